"""How orders are found at venues that the practice exchange does not speak, and what an error of ccxt's own means."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import ConfigError
from forwardtrader.feeds.live.client import open_client
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.venue.order_access import VENUES, AmbiguousOrder, ByQuery, OrderAccess, OrderKey, VenueTraits, access_of, match
from forwardtrader.sandbox.process import SandboxHandle
from tests import PATIENCE_S
from tests.live.execution.test_submit import intent
from tests.live.market import HASTY, practice, store_on

KEY = OrderKey(client_id="ft-one-1", symbol="BTC/USD", side="buy", since=1)
KEYS = {"apiKey": "key", "secret": "c2VjcmV0", "password": "phrase"}


class Recorder(ThreadingHTTPServer):
    """Answers by path, and keeps what it was asked: method, path and body."""

    def __init__(self, answers: Callable[[str], Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.answers = answers
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answers(BaseHTTPRequestHandler):
    server: Recorder

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.server.asked.append(f"{self.command} {self.path} {sent}".strip())
        body = json.dumps(self.server.answers(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that the server looks for

    def log_message(self, *args: Any) -> None: ...


@contextmanager
def answering(answers: Callable[[str], Any]) -> Iterator[Recorder]:
    server = Recorder(answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


MARKET = {
    "id": "XXBTZUSD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "baseId": "BTC", "quoteId": "USD", "type": "spot", "spot": True,
    "active": True, "precision": {"price": 0.01, "amount": 0.0001}, "limits": {}, "swap": False, "option": False, "contract": False,
}  # fmt: skip


def found_at(name: str, answers: Callable[[str], Any]) -> tuple[Any, list[str]]:
    async def find(url: str) -> Any:
        client = open_client(name, keys=KEYS, base_url=url)
        client.set_markets([MARKET])
        try:
            return await access_of(client).find(KEY)
        finally:
            await client.close()

    with answering(answers) as server:
        return asyncio.run(find(server.url)), server.asked


def test_kraken_is_asked_by_client_id_in_its_open_and_closed_orders() -> None:
    closed = {
        "OABC": {"cl_ord_id": "ft-one-1", "status": "closed", "opentm": 1.0, "vol": "0.5", "vol_exec": "0.5", "cost": "1", "fee": "0",
                 "price": "2", "descr": {"pair": "XXBTZUSD", "type": "buy", "ordertype": "market"}},
    }  # fmt: skip
    order, asked = found_at("kraken", lambda path: {"error": [], "result": {"closed": closed} if "Closed" in path else {"open": {}}})
    assert (order["clientOrderId"], order["status"], order["filled"]) == ("ft-one-1", "closed", 0.5)
    assert [one.split()[1] for one in asked] == ["/0/private/OpenOrders", "/0/private/ClosedOrders"]
    assert all("cl_ord_id=ft-one-1" in one for one in asked)


def test_okx_is_asked_by_client_id() -> None:
    known = {
        "code": "0",
        "data": [{"clOrdId": "ft-one-1", "ordId": "9", "state": "filled", "instId": "BTC-USD", "side": "buy", "sz": "0.5"}],
    }
    order, asked = found_at("okx", lambda _path: known)
    assert order["clientOrderId"] == "ft-one-1"
    assert "clOrdId=ft-one-1" in asked[-1] and "/trade/order?" in asked[-1]
    assert found_at("okx", lambda _path: {"code": "51603", "msg": "Order does not exist", "data": []})[0] is None


def test_coinbase_is_searched_since_it_cannot_be_asked() -> None:
    mine = {"order_id": "9", "client_order_id": "ft-one-1", "product_id": "BTC-USD", "side": "BUY", "status": "FILLED"}
    mine["created_time"] = "2026-01-01T00:00:00Z"
    order, asked = found_at("coinbase", lambda path: {"orders": [mine] if "order_status=FILLED" in path else []})
    assert (order["id"], order["clientOrderId"]) == ("9", "ft-one-1")
    assert ["OPEN" in asked[0], "FILLED" in asked[1], "CANCELLED" in asked[2]] == [True] * 3
    assert found_at("coinbase", lambda _path: {"orders": []})[0] is None


def test_a_list_that_may_be_cut_off_proves_no_absence() -> None:
    def full(_path: str) -> Any:
        made = {"client_order_id": "other", "product_id": "BTC-USD", "side": "BUY", "created_time": "2026-01-01T00:00:00Z"}
        return {"orders": [{**made, "order_id": str(number)} for number in range(100)]}

    with pytest.raises(AmbiguousOrder, match="cut off before order ft-one-1"):
        found_at("coinbase", full)


def test_a_venue_that_cannot_be_asked_at_all_takes_no_orders() -> None:
    class Silent:
        id, trades_perpetuals = "silent", False
        has = MappingProxyType({"fetchOpenOrders": True, "fetchMyTrades": True})

    with pytest.raises(ConfigError, match="silent cannot be asked what became of an order"):
        access_of(Silent())  # type: ignore[arg-type]


def order(client_id: str | None, side: str | None = "buy") -> Any:
    return {"clientOrderId": client_id, "side": side}


def test_an_order_without_client_id_that_may_be_ours_is_never_taken_for_absent() -> None:
    with pytest.raises(AmbiguousOrder, match="ft-one-1"):
        match([order(None)], KEY)
    with pytest.raises(AmbiguousOrder):
        match([order(None, side=None)], KEY)
    assert match([order(None, side="sell"), order("another")], KEY) is None
    assert match([order(None), order("ft-one-1")], KEY) == order("ft-one-1")


@given(st.lists(st.tuples(st.sampled_from(["ft-one-1", "other", None]), st.sampled_from(["buy", "sell", None]))))
def test_a_search_finds_what_is_there_and_says_no_only_where_nothing_could_be_it(listed: list[Any]) -> None:
    orders = [order(*one) for one in listed]
    try:
        found = match(orders, KEY)
    except AmbiguousOrder:
        assert not any(o["clientOrderId"] == "ft-one-1" for o in orders)
        return
    if found is None:
        assert all(o["clientOrderId"] or o["side"] == "sell" for o in orders)
    else:
        assert found["clientOrderId"] == "ft-one-1"


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("okx", OrderKey(client_id="ft1", symbol="BTC/USD", is_stop=True), "stops in a list of their own"),
        ("okx", KEY, "does not take the client id ft-one-1"),
        ("kraken", OrderKey(client_id="ft-a-long-name-tjk3k0-1", symbol="BTC/USD"), "does not take the client id"),
        ("kraken", KEY, ""),
        ("binance", OrderKey(client_id="ft-one-1", symbol="BTC/USD", is_stop=True), ""),
    ],
)
def test_an_order_that_could_not_be_found_again_is_not_sent(name: str, key: OrderKey, why: str) -> None:
    objection = OrderAccess(type("Client", (), {"id": name})(), VENUES[name]).objection(key)
    assert why in objection and bool(why) == bool(objection)


@pytest.fixture
def bybit() -> Iterator[SandboxHandle]:
    with practice(protocol="bybit") as venue:
        yield venue


def test_an_error_that_ccxt_raises_without_asking_halts_at_once_with_its_reason(bybit: SandboxHandle) -> None:
    store = store_on(bybit, query_timeouts=replace(HASTY, not_found_s=2 * PATIENCE_S, give_up_s=2 * PATIENCE_S))
    store.getdata(dataname="BTC/USDT")
    store.getbroker()
    store.start()
    try:
        account = store.account
        account.orders.access = OrderAccess(account.client, VenueTraits(lookup=ByQuery("orderLinkId")))  # which ccxt refuses locally
        account.journal.write(intent())
        account.journal.claim("wired")
        account.orders.ledger.doubt("wired", "no answer")
        store.loop.call(account.settle(intent()), PATIENCE_S)
        assert account.halted.startswith("bybit cannot be asked about an order (ArgumentsRequired: ")
        assert account.journal.state_of("wired") is IntentState.UNKNOWN  # neither refused nor sent again
        assert bybit.orders() == []
    finally:
        store.stop()
