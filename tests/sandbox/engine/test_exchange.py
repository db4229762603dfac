"""The engine: fills, locks, fees, linked orders."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import Printed
from forwardtrader.sandbox.orders.order import OrderType, Status, TimeInForce
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.venue import ACCOUNT
from tests.real_data import real_candles
from tests.sandbox.small_market import FLAT, balance, candle_file, place, request, told, venue_of

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT
TAKE, TAKE_LIMIT, MAKER = OrderType.TAKE_PROFIT, OrderType.TAKE_PROFIT_LIMIT, OrderType.LIMIT_MAKER

# Bar 1 opens at 100; bar 2 is 98..106. What an order placed in bar 1 gets: (price, number of bars it waits).
BARS = [FLAT, (102.0, 106.0, 98.0, 104.0), FLAT, FLAT]
BAR_RULE = [
    ((MARKET, BUY), (100, 0)),
    ((LIMIT, BUY, 1, 100.5), (100, 0)),
    ((LIMIT, BUY, 1, 99.5), (99.5, 1)),
    ((LIMIT, BUY, 1, 98.5), (98.5, 2)),
    ((LIMIT, BUY, 1, 90), None),
    ((LIMIT, SELL, 1, 100.7), (100.7, 1)),
    ((LIMIT, SELL, 1, 101.5), (102, 2)),
    ((LIMIT, SELL, 1, 105), (105, 2)),
    ((STOP, BUY, 1, None, 100.9), (100.9, 1)),
    ((STOP, BUY, 1, None, 101.5), (102, 2)),
    ((STOP, BUY, 1, None, 105), (105, 2)),
    ((STOP, BUY, 1, None, 99), (100, 0)),
    ((STOP, SELL, 1, None, 98.5), (98.5, 2)),
    ((STOP_LIMIT, BUY, 1, 105.5, 105), (105, 2)),
    ((STOP_LIMIT, BUY, 1, 103, 105), (100, 3)),
    ((STOP_LIMIT, SELL, 1, 99.5, 98.5), (99.5, 2)),
    ((TAKE, SELL, 1, None, 105), (105, 2)),
    ((TAKE, BUY, 1, None, 98.5), (98.5, 2)),
]


@pytest.mark.parametrize(("order", "expected"), BAR_RULE, ids=str)
def test_the_bar_rule_fills_at_the_open_or_at_the_price_that_the_bar_reaches(tmp_path: Path, order: Any, expected: Any) -> None:
    venue = venue_of(tmp_path, BARS)
    made = place(venue, *order)
    waited = 0
    while made.is_open and venue.driver.advance():
        waited += 1
    got = (float(made.average), waited) if made.status is Status.FILLED else None
    assert got == expected


def test_the_next_open_is_in_force_before_the_closed_candle_is_told(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    orders: list[Any] = []

    def answer(fact: Any) -> None:
        if getattr(fact, "closed", False) and not orders:
            orders.append(place(venue, MARKET, BUY))

    venue.exchange.subscribe(answer)
    venue.driver.advance()
    assert float(orders[0].average) == 102


def test_an_open_order_locks_what_it_may_cost_and_gives_it_back(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    order = place(venue, LIMIT, BUY, 2, 90)
    assert balance(venue, "USDT") == (9820, 180)
    venue.exchange.cancel(order)
    assert balance(venue, "USDT") == (10_000, 0)
    place(venue, STOP, SELL, 3, None, 50)
    assert balance(venue, "BTC") == (7, 3)


def test_a_partly_filled_order_locks_the_rest_only(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    venue.exchange.fill_cap = Decimal("0.4")
    order = place(venue, LIMIT, BUY, 1, 100)
    assert (order.status, float(order.filled)) == (Status.PARTIAL, 0.4)
    assert balance(venue, "USDT") == (9900, 60)
    venue.exchange.cancel(order)
    assert (order.status, float(order.filled), balance(venue, "USDT")) == (Status.CANCELED, 0.4, (9960, 0))


def test_a_capped_market_order_goes_on_in_the_next_bar(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    venue.exchange.fill_cap = Decimal("0.6")
    order = place(venue, MARKET, SELL, 1)
    assert order.status is Status.PARTIAL
    venue.driver.advance()
    assert order.status is Status.FILLED


REFUSALS = [
    ((MARKET, BUY, 101), RefusalReason.INSUFFICIENT_BALANCE),
    ((LIMIT, BUY, 200, 51), RefusalReason.INSUFFICIENT_BALANCE),
    ((MARKET, SELL, 10.5), RefusalReason.INSUFFICIENT_BALANCE),
    ((LIMIT, BUY, 1, 99.001), RefusalReason.PRICE_FILTER),
    ((LIMIT, BUY, 0.000001, 99), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 0.01, 99), RefusalReason.NOTIONAL),
    ((MARKET, BUY, 2000), RefusalReason.MARKET_LOT_SIZE),
    ((LIMIT, BUY, 10_001, 99), RefusalReason.LOT_SIZE),
    ((LIMIT, BUY, 1, 1_000_000.01), RefusalReason.PRICE_FILTER),
    ((MAKER, BUY, 1, 100.5), RefusalReason.WOULD_TAKE),
]


@pytest.mark.parametrize(("order", "reason"), REFUSALS, ids=str)
def test_a_refused_order_changes_nothing(tmp_path: Path, order: Any, reason: RefusalReason) -> None:
    venue = venue_of(tmp_path, BARS)
    facts = told(venue)
    with pytest.raises(OrderRefused) as caught:
        place(venue, *order)
    assert caught.value.reason is reason
    assert (facts, balance(venue, "USDT"), balance(venue, "BTC")) == ([], (10_000, 0), (10, 0))
    assert not venue.exchange.order_index.orders


FEES = [
    ("received", BUY, "BTC", 0.001, {"BTC": 10.999, "USDT": 9900}),
    ("received", SELL, "USDT", 0.1, {"BTC": 9, "USDT": 10_099.9}),
    ("quote", BUY, "USDT", 0.1, {"BTC": 11, "USDT": 9899.9}),
    ("BNB", BUY, "BNB", 0.0002, {"BTC": 11, "USDT": 9900, "BNB": 0.9998}),
]


@pytest.mark.parametrize(("mode", "side", "asset", "fee", "after"), FEES, ids=str)
def test_the_fee_is_taken_in_the_coin_the_setting_names(
    tmp_path: Path, mode: str, side: Side, asset: str, fee: float, after: dict[str, float]
) -> None:
    venue = venue_of(
        tmp_path, BARS, fee_asset=mode, taker_fee_bps=10, symbols=["BTC/USDT", "BNB/USDT"], balances={"USDT": 10_000, "BTC": 10, "BNB": 1}
    )
    venue.exchange.listings["BNB/USDT"].last = Decimal(500)
    [trade] = place(venue, MARKET, side, 1).trades
    assert (trade.fee_asset, float(trade.fee)) == (asset, fee)
    assert {a: sum(balance(venue, a)) for a in after} == after


def test_a_coin_that_has_run_out_leaves_the_fee_to_what_is_received(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, fee_asset="BNB", taker_fee_bps=10)
    assert place(venue, MARKET, BUY, 1).trades[0].fee_asset == "BTC"


def test_all_money_can_be_spent_to_the_last_step_where_fees_are_in_quote(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, fee_asset="quote", taker_fee_bps=10)
    order = place(venue, MARKET, BUY, 99.9)
    assert order.status is Status.FILLED
    assert balance(venue, "USDT")[0] == pytest.approx(10_000 - 9990 * 1.001)


def test_of_two_linked_orders_the_one_that_deals_ends_the_other(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 10, 105), request(STOP, SELL, 10, None, 97)])
    assert balance(venue, "BTC") == (0, 10)
    venue.driver.advance()
    venue.driver.advance()
    assert [o.status for o in group.legs] == [Status.FILLED, Status.EXPIRED]
    assert (group.done, balance(venue, "BTC")) == (True, (0, 0))


def test_cancelling_one_linked_order_ends_both(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 1, 120), request(STOP, SELL, 1, None, 80)])
    venue.exchange.cancel(group.legs[1])
    assert ([o.status for o in group.legs], balance(venue, "BTC")) == ([Status.CANCELED] * 2, (10, 0))


def test_held_legs_enter_the_market_when_the_working_order_has_filled(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, balances={"USDT": 10_000})
    legs = [request(LIMIT, SELL, 1, 105), request(STOP, SELL, 1, None, 90)]
    group = venue.exchange.place_list(ACCOUNT, legs, working=request(LIMIT, BUY, 1, 99.5))
    assert [o.status for o in group.orders] == [Status.NEW, Status.HELD, Status.HELD]
    venue.driver.advance()
    assert [o.status for o in group.orders] == [Status.FILLED, Status.NEW, Status.NEW]
    venue.driver.advance()
    assert [o.status for o in group.orders] == [Status.FILLED, Status.FILLED, Status.EXPIRED]


def test_cancelling_the_working_order_ends_the_held_legs(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS)
    group = venue.exchange.place_list(ACCOUNT, [request(LIMIT, SELL, 1, 105)], working=request(LIMIT, BUY, 1, 50))
    venue.exchange.cancel(group.orders[0])
    assert ({o.status for o in group.orders}, group.done) == ({Status.CANCELED}, True)


def test_a_market_that_misses_a_bar_is_halted_while_it_lasts(tmp_path: Path) -> None:
    path = candle_file(tmp_path / "gap.csv", [FLAT] * 6, skip=(3,))
    venue = venue_of(tmp_path, BARS, market=[str(path)])
    halted = []
    while not venue.driver.ended:
        halted.append(not venue.exchange.listings["BTC/USDT"].is_open)
        venue.driver.advance()
    assert halted == [False, False, True, False, False]
    with pytest.raises(OrderRefused, match="market closed"):
        place(venue, MARKET, BUY)


# The book mode: 100 in the middle, one tick or 100 bps around it.


def book_venue(folder: Path, **book: Any) -> Any:
    settings = {"spread_bps": 100, "level_gap_bps": 100, "levels": 3, "level_value": 200, "participation": 0.5} | book
    return venue_of(folder, BARS, fills="book", book=settings)


def test_a_taker_pays_the_spread_and_walks_the_levels(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    order = place(venue, MARKET, BUY, 2)
    assert [float(t.price) for t in order.trades] == [100.5, 101.5]
    assert float(order.trades[0].size) == pytest.approx(100 / 100.5, abs=1e-4)
    assert not any(t.maker for t in order.trades)


def test_a_market_order_larger_than_the_book_expires_with_what_it_got(tmp_path: Path) -> None:
    order = place(book_venue(tmp_path), MARKET, BUY, 30)
    assert order.status is Status.EXPIRED
    assert 5 < order.filled < 6


def test_immediate_orders_never_rest(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    some = place(venue, LIMIT, BUY, 2, 100.5, tif=TimeInForce.IOC)
    none = place(venue, LIMIT, BUY, 2, 100.5, tif=TimeInForce.FOK)
    assert (some.status, some.filled > 0) == (Status.EXPIRED, True)
    assert (none.status, none.filled) == (Status.EXPIRED, 0)
    assert balance(venue, "USDT")[1] == 0


def test_a_resting_order_gets_its_share_of_what_is_printed_at_its_price(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    first, second = place(venue, LIMIT, BUY, 3, 99), place(venue, LIMIT, BUY, 3, 99)
    venue.driver.set_price("BTC/USDT", Decimal(99), Decimal(8))
    assert (float(first.filled), float(second.filled)) == (3, 1)
    assert all(t.maker and t.price == 99 for t in first.trades + second.trades)


def test_the_better_price_goes_first_whatever_its_age(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    worse, better = place(venue, LIMIT, BUY, 3, 98.5), place(venue, LIMIT, BUY, 3, 99)
    venue.driver.set_price("BTC/USDT", Decimal(98), Decimal(6))
    assert (float(worse.filled), float(better.filled)) == (0, 3)


def test_a_stop_is_triggered_by_the_last_trade_and_takes_from_the_book(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    stop = place(venue, STOP, SELL, 0.5, None, 95)
    venue.driver.set_price("BTC/USDT", Decimal("95.5"), Decimal(1))
    assert stop.is_open
    venue.driver.set_price("BTC/USDT", Decimal(94), Decimal(1))
    assert (stop.status, stop.average < 94) == (Status.FILLED, True)


@pytest.mark.parametrize("order", [(STOP, SELL, 1, None, 101), (STOP, BUY, 1, None, 99), (TAKE, SELL, 1, None, 99)], ids=str)
def test_a_trigger_already_passed_is_refused_in_book_mode(tmp_path: Path, order: Any) -> None:
    with pytest.raises(OrderRefused, match="trigger at once"):
        place(book_venue(tmp_path), *order)


def test_linked_orders_must_stand_on_both_sides_of_the_market(tmp_path: Path) -> None:
    venue = book_venue(tmp_path)
    with pytest.raises(OrderRefused, match="wrong sides"):
        venue.exchange.place_list(ACCOUNT, [request(MAKER, SELL, 1, 90), request(STOP, SELL, 1, None, 80)])
    assert balance(venue, "BTC") == (10, 0)


def test_a_recorded_stream_is_traded_as_it_was(tmp_path: Path) -> None:
    path = real_candles("binance_spot_BTCUSDT_ws_20240808.txt.gz")
    venue = venue_of(tmp_path, [], market=[str(path)], history=1, ticks_per_bar=200, fills="book")
    facts = told(venue)
    while venue.driver.advance():
        pass
    [*bars] = venue.exchange.listings["BTC/USDT"].candles.closed
    prints = [f for f in facts if isinstance(f, Printed)]
    assert len(bars) == 7  # the last one begins with the minute after the recording
    assert len(prints) > 600
    assert all(61_000 < f.price < 63_000 for f in prints)
    assert sum(f.size for f in prints) == sum(b.volume for b in bars[1:])


@pytest.mark.parametrize("text", ["", "1 {}\n", '1 {"e":"trade"}\n', "\x00"])
def test_a_file_that_is_no_recorded_stream_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "stream.txt").write_text(text)
    with pytest.raises(CandleFileInvalid, match=r"stream\.txt"):
        venue_of(tmp_path, [], market=[str(tmp_path / "stream.txt")])


def test_open_orders_are_counted_and_limited(tmp_path: Path) -> None:
    venue = venue_of(tmp_path, BARS, max_orders=4, max_trigger_orders=2)
    for _ in range(2):
        place(venue, STOP, SELL, 0.1, None, 90)
    with pytest.raises(OrderRefused, match="trigger"):
        place(venue, STOP, SELL, 0.1, None, 90)
    for _ in range(2):
        place(venue, LIMIT, SELL, 0.1, 120)
    with pytest.raises(OrderRefused, match="too many"):
        place(venue, LIMIT, SELL, 0.1, 120)
    place(venue, MARKET, SELL, 0.1)
