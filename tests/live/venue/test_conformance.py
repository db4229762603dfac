"""One suite for every protocol: place, find by client id, cancel, stops, executions page by page, balance. Real ccxt classes throughout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.order_lookup import key_of
from forwardtrader.live.venue.order_access import OrderAccess
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import practice, store_on

FAR_BELOW, FAR_ABOVE = Decimal("0.5"), Decimal("1.5")


SPOT, PERPETUAL = "BTC/USDT", "BTC/USDT:USDT"


@pytest.fixture(params=[("binance", SPOT), ("bybit", SPOT), ("bybit", PERPETUAL), ("binanceusdm", PERPETUAL)], ids="-".join)
def market(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def symbol(market: tuple[str, str]) -> str:
    return market[1]


@pytest.fixture
def venue(market: tuple[str, str]) -> Iterator[SandboxHandle]:
    exchange, symbol = market
    protocol = "binance" if exchange == "binanceusdm" else exchange
    coins = {"BTC": 2} if symbol == SPOT else {}
    with practice(protocol=protocol, symbols=[symbol], balances={"USDT": 100_000, **coins}, fee_asset="quote", leverage=5) as venue:
        yield venue


@pytest.fixture
def store(venue: SandboxHandle, market: tuple[str, str]) -> Iterator[Any]:
    exchange, symbol = market
    store = store_on(venue, exchange=exchange)
    store.getdata(dataname=symbol)
    store.getbroker()
    store.start()
    yield store
    store.stop()


class Trader:
    """Sends intents through the account, as a session does."""

    def __init__(self, venue: SandboxHandle, store: Any, symbol: str) -> None:
        self.venue, self.store, self.account, self.symbol = venue, store, store.account, symbol
        self.last = Decimal(venue.state()["symbols"][symbol]["last"])
        self.sent = 0

    def intent(self, side: Side = Side.BUY, size: str = "0.01", limit: Decimal | None = None, stop: Decimal | None = None) -> Intent:
        self.sent += 1
        limit, stop = (None if part is None else (self.last * part).quantize(Decimal("0.01")) for part in (limit, stop))
        request = OrderRequest(symbol=self.symbol, side=side, size=Decimal(size), limit_price=limit, stop_price=stop, reason="")
        return Intent(client_id=f"ft-conform-{self.sent}", request=request, bar=0)

    def place(self, **kind: Any) -> Intent:
        intent = self.intent(**kind)
        assert self.account.journal.write(intent)
        self.store.loop.call(self.account.send(intent))
        return intent

    def found(self, intent: Intent) -> Any:
        return self.store.loop.call(self.access.find(key_of(intent)))

    def cancel(self, intent: Intent) -> None:
        self.store.loop.call(self.account.cancel(intent))

    def state(self, intent: Intent) -> IntentState | None:
        return self.account.journal.state_of(intent.client_id)

    @property
    def access(self) -> OrderAccess:
        return self.account.orders.access


@pytest.fixture
def trader(venue: SandboxHandle, store: Any, symbol: str) -> Trader:
    return Trader(venue, store, symbol)


def test_an_order_that_rests_is_found_by_its_client_id(trader: Trader) -> None:
    intent = trader.place(limit=FAR_BELOW)
    assert (trader.found(intent)["status"], trader.found(intent)["clientOrderId"]) == ("open", intent.client_id)
    assert [order["clientOrderId"] for order in trader.store.loop.call(trader.access.resting(trader.symbol))] == [intent.client_id]


def test_an_order_that_is_filled_in_part_is_found_with_what_was_filled(trader: Trader) -> None:
    trader.venue.control("fill_cap", size="0.004")
    intent = trader.place(limit=FAR_ABOVE)
    found = trader.found(intent)
    assert found["status"] == "open" and 0 < Decimal(str(found["filled"])) < Decimal("0.01")


def test_an_order_that_is_filled_is_found(trader: Trader) -> None:
    intent = trader.place()
    found = trader.found(intent)
    assert (found["status"], Decimal(str(found["filled"]))) == ("closed", Decimal("0.01"))


def test_an_order_that_is_cancelled_is_found(trader: Trader) -> None:
    intent = trader.place(limit=FAR_BELOW)
    trader.cancel(intent)
    assert trader.state(intent) is IntentState.DONE
    assert trader.found(intent)["status"] == "canceled"
    assert trader.venue.state()["open_orders"] == []


def test_an_order_that_never_arrived_is_known_not_to_be_there(trader: Trader) -> None:
    assert trader.found(trader.intent()) is None


def test_an_unknown_order_is_settled_by_asking(trader: Trader) -> None:
    trader.venue.arm("F2", count=1)  # executed, and the connection is reset before the answer
    intent = trader.place()
    assert trader.state(intent) is IntentState.DONE
    assert trader.account.journal.filled(intent.client_id) == Decimal("0.01")
    assert not trader.account.halted


def test_an_unknown_order_that_did_not_arrive_is_refused_after_the_time_of_its_signature(trader: Trader) -> None:
    trader.venue.arm("F4", count=1)  # not executed, 503
    intent = trader.place()
    assert trader.state(intent) is IntentState.REFUSED
    assert not trader.account.halted and trader.venue.orders() == []


@pytest.mark.parametrize("limit", [None, Decimal("0.69")])
def test_a_stop_rests_is_found_and_is_cancelled(trader: Trader, limit: Decimal | None) -> None:
    intent = trader.place(side=Side.SELL, stop=Decimal("0.7"), limit=limit)
    assert trader.state(intent) is IntentState.ACKNOWLEDGED
    assert trader.found(intent)["status"] == "open"
    assert [order["clientOrderId"] for order in trader.store.loop.call(trader.access.resting(trader.symbol))] == [intent.client_id]
    trader.cancel(intent)
    assert trader.state(intent) is IntentState.DONE and trader.venue.state()["open_orders"] == []


def test_a_stop_is_executed_when_the_market_reaches_it_and_is_found(trader: Trader) -> None:
    intent = trader.place(side=Side.SELL, stop=Decimal("0.9"))
    trader.venue.control("price", price=str(trader.last * Decimal("0.85")))
    trader.venue.advance()
    trader.store.loop.call(trader.account.settle(intent))
    assert trader.found(intent)["status"] == "closed"
    assert trader.account.journal.filled(intent.client_id) == Decimal("0.01")


def test_a_stop_that_was_triggered_and_rests_as_a_limit_is_cancelled(trader: Trader) -> None:
    intent = trader.place(side=Side.SELL, stop=Decimal("0.9"), limit=Decimal("0.89"))
    trader.venue.control("price", price=str((trader.last * Decimal("0.5")).quantize(Decimal("0.01"))))
    assert trader.found(intent)["status"] == "open"
    trader.cancel(intent)
    assert trader.state(intent) is IntentState.DONE and trader.venue.state()["open_orders"] == []


def test_executions_of_one_order_are_listed_to_the_end(trader: Trader) -> None:
    pages = trader.access.traits.trades
    trader.venue.arm("F10", count=1, parts=23)
    intent = trader.place(size="0.23")
    trader.place()  # somebody else's executions are in the same list
    found = trader.found(intent)
    listed = trader.store.loop.call(replace(pages, limit=5).of_order(trader.access.client, trader.symbol, str(found["id"])))
    assert len({trade["id"] for trade in listed}) == len(listed) == 23
    assert sum(Decimal(str(trade["amount"])) for trade in listed) == Decimal("0.23")


def test_more_orders_than_a_page_holds_are_all_listed(venue: SandboxHandle, trader: Trader) -> None:
    sent = {trader.place(limit=FAR_BELOW, size="0.001").client_id for _ in range(60)}
    assert {order["clientOrderId"] for order in trader.store.loop.call(trader.access.resting(trader.symbol))} == sent


def test_the_balance_is_read_with_what_orders_hold(trader: Trader) -> None:
    trader.place(limit=FAR_BELOW)
    view = trader.store.loop.call(trader.account.read())
    assert view.balances == {"USDT": Decimal(100_000), **({"BTC": Decimal(2)} if trader.symbol == SPOT else {})}
    assert len(view.open_orders) == 1


def test_cancelling_twice_does_no_harm(trader: Trader) -> None:
    intent = trader.place(limit=FAR_BELOW)
    trader.cancel(intent)
    trader.cancel(intent)
    assert trader.state(intent) is IntentState.DONE and not trader.account.halted
