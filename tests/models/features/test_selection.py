"""Features are chosen by name; none named means the whole catalogue, as it always was."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.errors import FeatureFailed, InvalidSetting, UnknownSetting
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import FEATURES, all_names, warm_up
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.panel import Panel, selected
from forwardtrader.models.features.selection import chosen, look_back
from tests.models.bars import simulated_bars
from tests.models.features.own import NAMES

HOUR = Timeframe.parse("1h")


def short(names: tuple[str, ...]) -> list[str]:
    return [short_name(name) for name in names]


def test_without_a_choice_there_is_the_whole_catalogue() -> None:
    assert chosen((), ("factor_f",), HOUR) == all_names(("factor_f",)) == chosen(("*",), ("factor_f",), HOUR)
    assert look_back((), HOUR) == warm_up(tuple(FEATURES))


def test_names_and_patterns_are_taken_in_their_order_each_once() -> None:
    assert chosen(("range_now", "move_*", "move_24"), (), HOUR) == ("range_now", "move_6", "move_24", "move_72", "move_168", "move_336")


def test_a_single_name_needs_no_list() -> None:
    assert ModelSettings.model_validate({"features": "move_*"}).features == ("move_*",)


def test_features_of_factors_come_besides() -> None:
    assert chosen(("range_now",), ("factor_f",), HOUR)[:2] == ("range_now", "factor_f:standing")


def test_own_features_are_chosen_beside_ours(own_file: Path) -> None:
    names = chosen(("*", "my_own_features.py:squeeze"), (), HOUR)
    assert short(names) == [*FEATURES, "squeeze"]
    assert short(chosen(("my_own_features.py:*",), (), HOUR)) == list(NAMES)
    assert chosen(("my_own_features.py:*",), (), HOUR) == chosen(("my_own_features:*",), (), HOUR)


def test_a_feature_that_looks_back_farther_than_ours_needs_more_history(own_file: Path) -> None:
    own_file.with_name("my_own_features_long.py").write_text(
        "import forwardtrader as ft\n@ft.feature(warm_up=801)\ndef far(bars):\n    return bars.close / ft.lag(bars.close, 800) - 1.0\n"
    )
    assert look_back(("my_own_features_long.py:far",), HOUR) == 801
    assert look_back(("close_in_bar",), HOUR) > 168  # forecasts are measured in the volatility of a week


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("mov_24", "there is no feature 'mov_24'; did you mean 'move_24'?"),
        ("nothing_*", "there is no feature 'nothing_*'"),
        ("squeeze_of_mine", r"one of your own is named with its file, as in my_features.py:squeeze_of_mine"),
    ],
)
def test_a_name_that_nothing_has_is_answered_with_the_nearest(entry: str, words: str) -> None:
    with pytest.raises(UnknownSetting) as caught:
        chosen((entry,), (), HOUR)
    assert words in str(caught.value)


def test_two_features_of_one_name_are_refused(own_file: Path) -> None:
    other = own_file.with_name("my_own_features_other.py")
    other.write_text("import forwardtrader as ft\n@ft.feature(warm_up=1)\ndef squeeze(bars):\n    return bars.close / bars.open - 1.0\n")
    with pytest.raises(InvalidSetting, match="two features are called squeeze"):
        chosen(("my_own_features.py:squeeze", f"{other}:squeeze"), (), HOUR)
    other.write_text("import forwardtrader as ft\n@ft.feature(warm_up=1)\ndef move_6(bars):\n    return bars.close / bars.open - 1.0\n")
    other.rename(other.with_name("my_own_features_taken.py"))
    with pytest.raises(InvalidSetting, match="two features are called move_6"):
        chosen(("my_own_features_taken.py:move_6",), (), HOUR)


def test_an_own_feature_is_checked_when_it_is_chosen(own_file: Path) -> None:
    own_file.with_name("my_own_features_ahead.py").write_text(
        "import numpy as np\nimport forwardtrader as ft\n\n@ft.feature(warm_up=2)\ndef ahead(bars):\n"
        "    return np.roll(bars.close, -1) / bars.close\n"
    )
    with pytest.raises(FeatureFailed, match=r"feature ahead \(my_own_features_ahead\.py:4\) looks ahead"):
        chosen(("my_own_features_ahead.py:ahead",), (), HOUR)


def test_a_panel_has_the_columns_that_the_settings_choose(own_file: Path) -> None:
    candles = {"A/USD": simulated_bars(400)}
    names = selected(candles, ModelSettings(features=("move_6", "my_own_features.py:trend_4h")), HOUR)
    panel = Panel.of(candles, (1,), names, HOUR)
    assert short(panel.names) == ["move_6", "trend_4h"] and panel.features.shape == (400, 2)
    panel.require_numbers()


def test_one_bar_without_a_number_is_named(own_file: Path) -> None:
    own_file.with_name("my_own_features_holes.py").write_text(
        "import numpy as np\nimport forwardtrader as ft\n\n@ft.feature(warm_up=1)\ndef holes(bars):\n"
        "    return np.where(bars.volume == 77.0, np.nan, 1.0 * (bars.close > bars.open))\n"
    )
    frame = simulated_bars(400)
    names = selected({"A/USD": frame}, ModelSettings(features=("my_own_features_holes.py:holes",)), HOUR)
    frame.iloc[250, 4] = 77.0
    with pytest.raises(FeatureFailed, match=rf"feature holes is nan at {frame.index[250]:%Y-%m-%d %H:%M} of A/USD, one of 1 such bars"):
        Panel.of({"A/USD": frame}, (1,), names, HOUR).require_numbers()
