"""Features of the cross-section: causal to the bit, the same in any order of symbols, neutral for one that is alone or not there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, group_of, named
from forwardtrader.models.features.cross_section import LOOK_BACK, MARKET, TOGETHER
from forwardtrader.models.features.feature_checks import checked
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.selection import chosen
from tests.models.bars import heard, simulated_bars

HOUR = Timeframe.parse("1h")
NAMES = tuple(MARKET)
ROWS = 460


def candles(seed: int, *, late: int = 0, missing: float = 0.0) -> pd.DataFrame:
    frame = simulated_bars(ROWS, seed=seed).iloc[late:]
    return frame[np.random.default_rng(seed).random(len(frame)) >= missing]


def features(frames: dict[str, pd.DataFrame], symbol: str) -> np.ndarray:
    panel = Panel.of(frames, (1,), NAMES, HOUR)
    first = panel.offset[symbol]
    return panel.features[first : first + len(frames[symbol])]


def column(table: np.ndarray, name: str) -> np.ndarray:
    return table[:, NAMES.index(name)]


def test_they_keep_every_rule_of_features() -> None:
    checked(TOGETHER, HOUR)


def test_they_warm_up_in_exactly_the_bars_they_declare() -> None:
    table = features({"A": candles(1), "B": candles(2, missing=0.05)}, "B")
    assert np.isnan(table[: LOOK_BACK - 1]).all() and np.isfinite(table[LOOK_BACK - 1 :]).all()


symbols = st.fixed_dictionaries({name: st.tuples(st.integers(0, 300), st.floats(0.0, 0.3)) for name in "ABC"})


@settings(max_examples=15, deadline=None)
@given(how=symbols, order=st.permutations("ABC"), bumped=st.integers(LOOK_BACK, ROWS - 2))
def test_gaps_and_late_starts_leave_numbers_no_future_and_no_order(
    how: dict[str, tuple[int, float]], order: list[str], bumped: int
) -> None:
    frames = {"O": candles(9)} | {s: candles(k, late=late, missing=gaps) for k, (s, (late, gaps)) in enumerate(how.items())}
    own = features(frames, "O")
    assert np.isfinite(own[LOOK_BACK - 1 :]).all()
    np.testing.assert_array_equal(features({s: frames[s] for s in [*order, "O"]}, "O"), own)
    moment = frames["O"].index[bumped]
    later = {s: pd.concat([frame[frame.index <= moment], 1.3 * frame[frame.index > moment]]) for s, frame in frames.items()}
    np.testing.assert_array_equal(features(later, "O")[: bumped + 1], own[: bumped + 1])


def test_a_buffer_of_the_declared_length_gives_the_bits_of_the_whole_history() -> None:
    frames = {"A": candles(1, missing=0.1), "B": candles(2, late=50), "O": candles(3, missing=0.02)}
    whole, end = features(frames, "O"), len(frames["O"]) - 5
    short = frames["O"].iloc[end - LOOK_BACK : end]
    np.testing.assert_array_equal(features(frames | {"O": short}, "O")[-1], whole[end - 1])


def test_one_that_is_alone_is_its_own_market() -> None:
    frame = candles(1)
    table = features({"O": frame}, "O")[LOOK_BACK - 1 :]
    for name in NAMES:
        if "relative" in name or "rank" in name:
            assert (column(table, name) == 0.0).all()
    own = FEATURES["move_24"].compute(Bars.of(frame))[LOOK_BACK - 1 :]
    np.testing.assert_allclose(column(table, "market_move_24"), own, atol=1e-5)
    np.testing.assert_array_equal(column(table, "market_leader_1_move_24"), column(table, "market_move_24"))


def test_where_nobody_gives_the_bars_of_the_run_they_are_refused() -> None:
    with pytest.raises(FeatureFailed, match="all symbols of a run"):
        MARKET["market_move_6"].compute(Bars.of(candles(1)))


@pytest.mark.parametrize("kind", ["still", "ended", "never there"])
def test_a_dead_symbol_changes_nothing(kind: str) -> None:
    frames = {"A": candles(1), "O": candles(2)}
    dead = candles(3)
    if kind == "still":
        dead.iloc[:, :4] = 0.01
        dead["volume"] = 1e12
    dead = {"still": dead, "ended": dead.iloc[:20], "never there": dead.iloc[:0]}[kind]
    np.testing.assert_array_equal(features(frames | {"B": dead}, "O"), features(frames, "O"))


def test_the_mean_the_place_and_the_leaders_are_those_of_the_symbols_there_are() -> None:
    frames = {name: candles(k) for k, name in enumerate("ABCO")}
    frames["B"]["volume"] *= 1000
    table, returns = features(frames, "O")[-1], {}
    for name, frame in frames.items():
        returns[name] = FEATURES["return_1_ago"].compute(Bars.of(frame))[-1]
    market = np.mean(list(returns.values()))
    above = sum(returns["O"] > returns[other] for other in "ABC")
    assert column(table[None], "market_return_1_ago")[0] == pytest.approx(market, abs=1e-5)
    assert column(table[None], "market_relative_return_1_ago")[0] == pytest.approx(returns["O"] - market, abs=1e-5)
    assert column(table[None], "market_rank_return_1_ago")[0] == pytest.approx((2 * above - 3) / 3)
    assert column(table[None], "market_leader_1_return_1_ago")[0] == pytest.approx(returns["B"], abs=1e-5)


def test_they_come_by_name_and_not_with_the_catalogue() -> None:
    assert not set(chosen(["*"], (), HOUR)) & set(NAMES) and not set(chosen([], (), HOUR)) & set(NAMES)
    assert chosen(["*", "market_*"], (), HOUR) == (*FEATURES, *NAMES)
    assert chosen(["market_move_24"], (), HOUR) == ("market_move_24",)
    assert group_of("market_move_24") == "market" and named("market_move_24").cross_asset


def test_bar_by_bar_they_have_the_bits_of_the_whole_history() -> None:
    frames = {"A": candles(1, missing=0.1), "B": candles(2, late=60), "O": candles(3, missing=0.02)}
    names, own = ("move_6", *NAMES), frames["O"]
    panel, needed = Panel.of(frames, (1,), names, HOUR), LOOK_BACK + 1
    whole = panel.features[panel.offset["O"] :]

    def beside(row: int) -> dict[str, tuple[float, ...]]:
        at = own.index[row]
        return {symbol: tuple(frame.loc[at]) for symbol, frame in frames.items() if symbol != "O" and at in frame.index}

    before = {symbol: Bars.of(frame[frame.index < own.index[needed]], HOUR) for symbol, frame in frames.items()}
    rows = FeatureRows(names, 2, 1, HOUR, symbol="O", peers=lambda: before)
    rows.fill(own.iloc[1 : needed + 1], beside(needed))  # type: ignore[arg-type]
    for row in range(needed, needed + 30):
        if row > needed:
            rows.follow(heard(own, row, needed, lambda row=row: beside(row)))
        np.testing.assert_array_equal(rows.window, whole[row - 1 : row + 1])
