"""A user's own feature bar by bar: the bits of the whole history, whatever the bars and their gaps."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.asset_panel import AssetPanel
from forwardtrader.models.features.bars import LATE, Bars
from forwardtrader.models.features.catalogue import matrix, warm_up
from forwardtrader.models.features.incremental_factors import FactorRows
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.own_features import OwnFeature, chosen_name, defined
from forwardtrader.models.features.panel import Panel
from tests.models.bars import heard, simulated_bars
from tests.models.features.own import NAMES, SOURCE

HOUR, CONTEXT = Timeframe.parse("1h"), 5


@pytest.fixture(scope="module")
def names() -> Any:
    """The features of a user's module, as they are chosen."""
    module = types.ModuleType("own_features_of_a_module")
    sys.modules[module.__name__] = module
    exec(SOURCE, vars(module))
    yield tuple(chosen_name(own) for name in NAMES for own in defined(f"{module.__name__}:{name}"))
    del sys.modules[module.__name__]


def candles(seed: int, missing: float, still: bool) -> pd.DataFrame:
    frame, draw = simulated_bars(420, seed=seed, start="2020-01-01 03:00"), np.random.default_rng(seed)
    if still:
        frame.iloc[250:300, :4] = float(frame["close"].iloc[250])
        frame.iloc[250:300, 4] = 0.0
    return frame[draw.random(len(frame)) >= missing]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 20), st.floats(0.0, 0.3), st.booleans(), st.booleans(), st.integers(0, 3))
def test_an_own_feature_followed_bar_by_bar_has_the_bits_of_the_whole_history(
    names: tuple[str, ...], seed: int, missing: float, still: bool, ahead: bool, first: int
) -> None:
    frame = candles(seed, missing, still)
    beside = (names[0], "move_6", *names[1:])
    whole, needed = matrix(Bars.of(frame, HOUR), beside), warm_up(beside) + CONTEXT - 1
    rows, begin = FeatureRows(beside, CONTEXT, 1, HOUR), needed + first
    rows.fill(frame.iloc[begin - needed : begin])
    for row in range(begin, min(begin + 30, len(frame))):
        if ahead:
            rows.prepare(frame.index[row].to_pydatetime())
        rows.follow(heard(frame, row, needed))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
    assert rows.is_whole


def test_beside_factors_it_is_the_same(names: tuple[str, ...]) -> None:
    frame = simulated_bars(540)
    frame["factor_f"] = np.sin(np.arange(540.0))
    beside = (names[0], "factor_f:standing", "move_6", names[1])
    needed = warm_up(beside) + CONTEXT - 1
    whole = matrix(Bars.of(frame, HOUR), beside)
    rows = FactorRows(beside, CONTEXT, 1, lambda index: frame.loc[index, ["factor_f"]], needed, HOUR)
    plain = frame.drop(columns="factor_f")
    rows.fill(plain.iloc[:needed])
    for row in range(needed, 540):
        rows.follow(heard(plain, row, needed))
        np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])


SYMBOLS = ("ETH/USDT", "BTC/USDT", "SOL/USDT")


def against_all(bars: Bars, panel: AssetPanel) -> Any:
    """Looks at every symbol, and back in time at each."""
    moved = [np.log(other.close / np.append(np.full(3, np.nan), other.close[:-3])) for other in panel.values()]
    return np.log(bars.close / bars.open) + sum((n + 1) * move for n, move in enumerate(moved))


def arrived(seed: int, missing: float, late: float) -> dict[str, pd.DataFrame]:
    """Candles of all symbols, with gaps, and bars that came one or two turns after those of the others."""
    draw, found = np.random.default_rng(seed), {}
    for n, symbol in enumerate(SYMBOLS):
        frame = simulated_bars(300, seed=seed + n)
        frame[LATE] = np.where(draw.random(300) < late, draw.integers(1, 3, 300), 0)
        found[symbol] = frame[draw.random(300) >= missing]
    return found


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 50), st.floats(0.0, 0.3), st.floats(0.0, 0.5), st.integers(0, 30))
def test_what_others_did_is_seen_bar_by_bar_as_in_the_whole_history_also_where_it_came_late_or_never_and_after_a_restart(
    seed: int, missing: float, late: float, restart: int
) -> None:
    candles = arrived(seed, missing, late)
    names = (chosen_name(OwnFeature("against_all", 4, against_all, cross_asset=True)), "move_6")
    panel, needed = Panel.of(candles, (1,), names, HOUR), warm_up(names) + CONTEXT - 1
    whole = panel.features[panel.offset[SYMBOLS[0]] :]
    eth, symbol = candles[SYMBOLS[0]], SYMBOLS[0]
    begin = needed + 2

    def at_hand(row: int) -> dict[str, tuple[float, ...]]:
        """What came with the bar or before it."""
        others = {s: frame.loc[[eth.index[row]]].iloc[0] for s, frame in candles.items() if s != symbol and eth.index[row] in frame.index}
        return {s: tuple(bar.iloc[:5]) for s, bar in others.items() if bar[LATE] <= eth[LATE].iloc[row]}

    def recorded(row: int) -> dict[str, Bars]:
        """What is recorded while the bar of a row is worked on: what came before it."""
        found = {}
        for s, frame in candles.items():
            before = frame[frame.index < eth.index[row]]
            earlier = frame[(frame.index == eth.index[row]) & (frame[LATE] < eth[LATE].iloc[row])]
            found[s] = Bars.of(pd.concat([before, earlier]), HOUR)
        return found

    for first in (begin, min(begin + restart, len(eth) - 1)):  # the second time with what was recorded, as another process begins
        rows = FeatureRows(names, CONTEXT, 1, HOUR, symbol=symbol, peers=lambda first=first: recorded(first))
        rows.fill(eth.drop(columns=LATE).iloc[first - needed + 1 : first + 1], at_hand(first))
        for row in range(first, min(first + 40, len(eth))):
            if row > first:
                rows.follow(heard(eth, row, needed, lambda row=row: at_hand(row)))
            np.testing.assert_array_equal(rows.window, whole[row - CONTEXT + 1 : row + 1])
