"""The user's page about features keeps up with the code: its examples are chosen, checked and computed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import forwardtrader as ft
from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.selection import chosen
from tests import ROOT
from tests.models.bars import simulated_bars

PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
FILE, *MORE = re.findall(r"```python\n(.*?)```", PAGE, re.S)
HOUR = Timeframe.parse("1h")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_features.py").write_text("\n\n".join([FILE, *MORE]))
    yield tmp_path
    sys.modules.pop("my_features", None)


def test_the_examples_pass_and_give_numbers(folder: Path) -> None:
    names = chosen(("move_*", "range_now", "my_features.py:*"), (), HOUR)
    assert [short_name(name) for name in names][-3:] == ["squeeze", "trend_4h", "behind_btc"]
    panel = Panel.of({"ETH/USDT": simulated_bars(600), "BTC/USDT": simulated_bars(600, seed=1)}, (1,), names, HOUR)
    panel.require_numbers()
    first = panel.offset["ETH/USDT"]
    assert (panel.features[first + 400 : first + 600, -3:].std(axis=0) > 0.05).all()


def test_the_lines_of_the_page_choose_what_they_say(folder: Path) -> None:
    for listed in re.findall(r"features(?:=': |=|: )'?(\[[^\]]*\])", PAGE):
        assert chosen(re.findall(r'"([^"]+)"', listed), (), HOUR)


def test_the_message_on_the_page_is_the_one_that_is_given(folder: Path) -> None:
    (folder / "my_features.py").write_text(
        f"{FILE}\n@ft.feature(warm_up=24)\ndef gap(bars):\n    return np.nan_to_num(bars.close / ft.lag(bars.close, 24) - 1.0)\n"
    )
    with pytest.raises(FeatureFailed) as caught:
        chosen(("my_features.py:gap",), (), HOUR)
    assert re.sub(r":\d+\)", ":19)", str(caught.value)) in PAGE


def test_what_the_bars_are_said_to_have_they_have() -> None:
    bars = ft.Bars.of(simulated_bars(400), HOUR)
    for name in ("open", "volume", "times", "returns", "log_close", "log_volume", "scaled_returns", "relative_volume", "log_range"):
        assert f"`bars.{name}`" in PAGE or f"`{name}`" in PAGE
        assert len(getattr(bars, name)) == len(bars) == 400
    for name, needs in (("volatility", 169), ("scaled_returns", 170)):
        assert int(np.isnan(getattr(bars, name)).sum()) == needs - 1
