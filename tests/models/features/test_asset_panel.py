"""Features that look at other symbols: row by row at the same times, neutral where the other has no bar, never ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forwardtrader as ft
from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features import own_features
from forwardtrader.models.features.asset_panel import AssetPanel
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.feature_checks import checked
from forwardtrader.models.features.own_features import OwnFeature, chosen_name
from forwardtrader.models.features.panel import Panel
from tests.models.bars import simulated_bars

HOUR, BTC, ETH = Timeframe.parse("1h"), "BTC/USDT", "ETH/USDT"


def behind_btc(bars: Bars, panel: AssetPanel) -> Any:
    btc = panel[BTC]
    return np.log(btc.close / ft.lag(btc.close, 4)) - np.log(bars.close / ft.lag(bars.close, 4))


OWN = OwnFeature("behind_btc", 5, behind_btc, cross_asset=True)


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    made = chosen_name(OWN)
    yield made
    del own_features._chosen[made]


def candles(seed: int, missing: float, late: int = 0, early: int = 0) -> pd.DataFrame:
    frame = simulated_bars(300, seed=seed).iloc[late : 300 - early]
    return frame[np.random.default_rng(seed).random(len(frame)) >= missing]


def of_eth(panel: Panel) -> Any:
    """Its only feature."""
    return panel.features[panel.offset[ETH] :][: len(panel.index[ETH]), 0]


def test_another_symbol_is_seen_at_the_times_of_ones_own(name: str) -> None:
    eth, btc = candles(1, 0.2), candles(2, 0.2)
    panel = AssetPanel(replace(Bars.of(eth), peers={BTC: Bars.of(btc), ETH: Bars.of(eth)}))
    expected = btc.reindex(eth.index)
    for column in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(panel[BTC], column), expected[column])
    np.testing.assert_array_equal(panel.missing, expected["close"].isna())
    np.testing.assert_array_equal(panel[ETH].close, eth["close"])
    assert list(panel) == [BTC, ETH]


def test_symbols_come_in_the_order_of_their_names_whatever_order_they_were_named_in() -> None:
    eth = Bars.of(candles(1, 0.0))
    assert list(AssetPanel(replace(eth, peers={ETH: eth, "ADA/USDT": eth, BTC: eth}))) == ["ADA/USDT", BTC, ETH]


def test_a_symbol_without_a_single_bar_is_unknown_everywhere() -> None:
    eth = Bars.of(candles(1, 0.0))
    panel = AssetPanel(replace(eth, peers={BTC: eth.window(0, 0)}))
    assert np.isnan(panel[BTC].close).all() and panel.missing.all()


def test_a_feature_is_neutral_where_the_other_symbol_has_no_bar_and_exact_elsewhere(name: str) -> None:
    eth, btc = candles(1, 0.0), candles(2, 0.1, late=100, early=20)
    panel = Panel.of({ETH: eth, BTC: btc}, (1,), (name,), HOUR)
    panel.require_numbers()
    seen, other = of_eth(panel), btc["close"].reindex(eth.index)
    truth = np.log(other / other.shift(4)) - np.log(eth["close"] / eth["close"].shift(4))
    assert np.isnan(seen[:4]).all() and (seen[4:104] == 0.0).all() and (seen[-20:] == 0.0).all()
    np.testing.assert_allclose(seen[4:], truth.fillna(0.0)[4:], atol=1e-6)


def test_a_number_that_is_none_for_another_reason_is_not_hidden() -> None:
    def broken(bars: Bars, panel: AssetPanel) -> Any:
        return np.where(panel[BTC].volume > 0, np.log(-panel[BTC].close), np.nan)

    with pytest.raises(FeatureFailed, match="is nan"):
        checked(OwnFeature("broken", 1, broken, cross_asset=True), HOUR)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 5), st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.integers(0, 200), st.integers(0, 90), st.data())
def test_what_a_row_says_is_decided_by_its_own_bars_and_those_of_the_same_times(
    seed: int, own_gaps: float, other_gaps: float, late: int, early: int, data: st.DataObject
) -> None:
    eth, btc = candles(seed, own_gaps), candles(seed + 50, other_gaps, late, early)
    name = chosen_name(OWN)
    whole = of_eth(Panel.of({ETH: eth, BTC: btc}, (1,), (name,), HOUR))
    row = data.draw(st.integers(4, len(eth) - 1))
    at = eth.index[row]
    later = btc.copy()
    later.loc[later.index > at] *= 1.5
    for other in (btc.loc[btc.index <= at], later):
        seen = of_eth(Panel.of({ETH: eth.iloc[: row + 1], BTC: other}, (1,), (name,), HOUR))
        np.testing.assert_array_equal(seen, whole[: row + 1])
    first = eth.index[row - 4]
    part = Panel.of({ETH: eth.iloc[row - 4 : row + 1], BTC: btc.loc[(btc.index >= first) & (btc.index <= at)]}, (1,), (name,), HOUR)
    assert of_eth(part)[4] == whole[row]


def test_the_other_symbols_bars_are_part_of_what_a_model_is_made_of(name: str) -> None:
    eth, btc = candles(1, 0.0), candles(2, 0.0)
    changed = btc.copy()
    changed.iloc[50, 3] *= 1.01
    prints = [Panel.of({ETH: eth, BTC: other}, (1,), (name,), HOUR).fingerprint(ETH, 40, 60) for other in (btc, changed)]
    alone = [Panel.of({ETH: eth, BTC: other}, (1,), ("close_in_bar",), HOUR).fingerprint(ETH, 40, 60) for other in (btc, changed)]
    assert prints[0] != prints[1] and alone[0] == alone[1]
    beyond = [Panel.of({ETH: eth, BTC: other}, (1,), (name,), HOUR).fingerprint(ETH, 60, 90) for other in (btc, changed)]
    assert beyond[0] == beyond[1]


def test_a_symbol_that_is_not_run_is_named() -> None:
    eth = Bars.of(candles(1, 0.0))
    with pytest.raises(FeatureFailed, match=r"panel\['BTC/USDT'\]: the run has no such symbol; it has ETH/USDT; name it under feeds"):
        OWN.compute(Bars(eth.times, eth.open, eth.high, eth.low, eth.close, eth.volume, peers={ETH: eth}))
    with pytest.raises(FeatureFailed, match="looks at other symbols, whose bars are not at hand here"):
        OWN.compute(eth)


def test_the_check_catches_one_that_looks_ahead_or_too_far_back_in_another_symbol() -> None:
    checked(OWN, HOUR)
    with pytest.raises(FeatureFailed, match="write warm_up=5,"):
        checked(OwnFeature("odd", 4, behind_btc, cross_asset=True), HOUR)
    ahead = OwnFeature("odd", 1, lambda bars, panel: np.nan_to_num(np.roll(panel[BTC].close, -1)), cross_asset=True)
    with pytest.raises(FeatureFailed, match="looks ahead"):
        checked(ahead, HOUR)
