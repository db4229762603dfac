"""Which stops rested, from when until when, and at which price."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.backtrader.assembly import record_of
from forwardtrader.strategies.backtrader.recorders.stop_recorder import stops_frame
from forwardtrader.strategies.decision import STOPPED
from tests.strategies.backtrader.test_broker import flat, play
from tests.strategies.market import PERP, candles, knobs, run

Steps = dict[int, Callable[[Any], Any]]
BUY: Steps = {0: lambda s: s.buy(size=1)}


def stops(bars: pd.DataFrame, steps: Steps) -> list[tuple[str, float, int, int | None]]:
    """Kind, price, and the numbers of the bars of since and until; None where it rests on."""
    return _numbered(record_of(play(bars, steps)).stops, bars)


def _numbered(table: pd.DataFrame, bars: pd.DataFrame) -> list[tuple[str, float, int, int | None]]:
    times = [bars.index.get_indexer([row.since])[0] for row in table.itertuples()]
    ends = [None if pd.isna(row.until) else int(bars.index.get_indexer([row.until])[0]) for row in table.itertuples()]
    return [(row.kind, row.price, int(at), end) for row, at, end in zip(table.itertuples(), times, ends, strict=True)]


def rest(price: float, exectype: int = bt.Order.Stop, **more: Any) -> Callable[[Any], Any]:
    return lambda s: s.sell(size=1, exectype=exectype, price=price, **more)


def test_a_stop_rests_from_the_bar_it_was_sent_on_until_the_one_it_was_cancelled_on() -> None:
    steps = {**BUY, 2: rest(90), 5: lambda s: s.cancel(s.orders[1])}
    assert stops(flat(), steps) == [("stop", 90.0, 2, 5)]


def test_a_stop_ends_with_the_bar_that_executed_it() -> None:
    bars = flat()
    bars.loc[bars.index[5], "low"] = 85
    assert stops(bars, {**BUY, 2: rest(90)}) == [("stop", 90.0, 2, 5)]


def test_a_stop_that_is_out_at_the_end_rests_on() -> None:
    assert stops(flat(), {**BUY, 2: rest(90)}) == [("stop", 90.0, 2, None)]


def test_a_stop_of_a_bracket_rests_from_the_fill_of_its_parent_on() -> None:
    bars = flat()
    bars.loc[bars.index[3], "low"] = 94  # the parent waits for that
    bars.loc[bars.index[6], "high"] = 111
    steps: Steps = {0: lambda s: s.buy_bracket(size=1, price=95, stopprice=90, limitprice=110)}
    assert stops(bars, steps) == [("stop", 90.0, 3, 6)]


def test_a_trailing_stop_is_a_step_for_each_bar_that_moves_it() -> None:
    bars = flat()
    bars.loc[bars.index[4] :, ["open", "high", "low", "close"]] += 5
    found = stops(bars, {**BUY, 2: lambda s: s.sell(size=1, exectype=bt.Order.StopTrail, trailamount=10.0)})
    assert found == [("trailing stop", 90.0, 2, 4), ("trailing stop", 95.0, 4, None)]


def test_a_stop_limit_is_none_any_more_once_it_was_triggered() -> None:
    bars = flat()
    bars.loc[bars.index[5] :, ["open", "high", "low", "close"]] = [88, 89, 87, 88]
    assert stops(bars, {**BUY, 2: rest(90, bt.Order.StopLimit, plimit=95)}) == [("stop", 90.0, 2, 5)]


def test_limit_and_market_orders_are_no_stops_and_neither_is_one_that_was_refused() -> None:
    assert stops(flat(), {**BUY, 2: rest(120, bt.Order.Limit), 3: rest(90)}) == []


def test_a_stop_in_the_place_of_one_at_the_same_price_is_one() -> None:
    def again(s: Any) -> Any:
        s.cancel(s.orders[1])
        return rest(90)(s)

    assert stops(flat(), {**BUY, 2: rest(90), 4: again}) == [("stop", 90.0, 2, None)]


def test_a_position_on_margin_has_the_price_at_which_it_would_be_liquidated() -> None:
    bars, settings = flat(10), knobs(fee_bps=0, slippage_bps=0, leverage=5.0, cash=400.0)
    perpetual, steps = replace(PERP, settle="USDT"), {0: lambda s: s.buy(size=10), 4: lambda s: s.close()}
    [(kind, price, since, until)] = _numbered(record_of(play(bars, steps, rules=perpetual, settings=settings)).stops, bars)
    assert (kind, since, until) == ("liquidation", 1, 5)
    assert 60.0 < price < 70.0  # 400 of equity under ten at 100


def test_every_stop_of_our_strategy_that_was_executed_rested_until_then_at_its_price() -> None:
    record = record_of(run(candles(800), knobs(stop_scales=0.5)))
    executed = record.fills.loc[record.fills["reason"] == STOPPED]
    rested = record.stops.set_index("until")
    assert len(executed) > 3
    for fill in executed.itertuples():
        price = float(rested.loc[fill.timestamp, "price"])
        assert fill.price <= price  # a stop sells at its price, or at a worse open


@given(
    st.lists(st.lists(st.sampled_from([("sell", "stop", 90.0), ("sell", "stop", 91.0), ("buy", "trailing stop", 110.0)]), unique=True)),
    st.data(),
)
def test_a_record_that_is_begun_anew_between_any_two_bars_says_the_same(levels: list[list[tuple[str, str, float]]], data: Any) -> None:
    def rows(kept: Sequence[int]) -> list[tuple[float, str, str]]:
        return [(738000.0 + n, "A/USD", json.dumps(levels[n])) for n in kept]

    changes = [n for n in range(len(levels)) if n == 0 or sorted(levels[n]) != sorted(levels[n - 1])]
    also = data.draw(st.sets(st.sampled_from(range(len(levels))))) if levels else set()
    pd.testing.assert_frame_equal(stops_frame(rows(changes)), stops_frame(rows(sorted({*changes, *also}))))


def test_a_run_without_stops_has_a_table_without_rows() -> None:
    table = record_of(play(flat(), {})).stops
    assert table.empty and list(table.columns) == ["symbol", "side", "kind", "price", "since", "until"]
