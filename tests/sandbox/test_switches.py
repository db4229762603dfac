"""What a real venue does to its clients beside the faults of single requests, in both protocols."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import ccxt
import orjson
import pytest

from forwardtrader.sandbox.control import Control
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.server import SandboxServer
from forwardtrader.sandbox.state.state_file import MemoryState
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import binance_on, bybit_on, running
from tests.sandbox.plain_client import PlainClient

PROTOCOLS = ("binance", "bybit")
SYMBOL = "BTC/USDT"


class Venue:
    """The same questions in the words of either protocol."""

    def __init__(self, protocol: str, **settings: Any) -> None:
        self.is_binance = protocol == "binance"
        self.client = PlainClient(protocol=protocol, **settings)
        self.control = Control(self.client.exchange, ParentProcess(0, 0.0), lambda: None).run

    def buy(self, cid: str = "", limit: str = "") -> Any:
        if self.is_binance:
            kind = {"type": "LIMIT", "price": limit, "timeInForce": "GTC"} if limit else {"type": "MARKET"}
            named = {"newClientOrderId": cid} if cid else {}
            return self.client.ask("POST", "/api/v3/order", symbol="BTCUSDT", side="BUY", quantity="0.01", **kind, **named)
        kind = {"orderType": "Limit", "price": limit} if limit else {"orderType": "Market", "marketUnit": "baseCoin"}
        named = {"orderLinkId": cid} if cid else {}
        return self.client.ask("POST", "/v5/order/create", category="spot", symbol="BTCUSDT", side="Buy", qty="0.01", **kind, **named)

    def knows(self, cid: str) -> str:
        """The status of an order in the venue's words; "" where it knows none."""
        if self.is_binance:
            return str(self.client.ask("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId=cid).get("status", ""))
        rows = self.client.ask("GET", "/v5/order/realtime", category="spot", symbol="BTCUSDT", orderLinkId=cid)["result"]["list"]
        return str(rows[0]["orderStatus"]) if rows else ""

    def resting(self) -> int:
        if self.is_binance:
            return len(self.client.ask("GET", "/api/v3/openOrders", symbol="BTCUSDT"))
        return len(self.client.ask("GET", "/v5/order/realtime", category="spot", symbol="BTCUSDT")["result"]["list"])

    def executions(self) -> int:
        if self.is_binance:
            return len(self.client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT"))
        return len(self.client.ask("GET", "/v5/execution/list", category="spot", symbol="BTCUSDT")["result"]["list"])

    def coins(self) -> Decimal:
        if self.is_binance:
            rows = self.client.ask("GET", "/api/v3/account")["balances"]
            return sum((Decimal(row["free"]) for row in rows if row["asset"] == "BTC"), Decimal(0))
        rows = self.client.ask("GET", "/v5/account/wallet-balance")["result"]["list"][0]["coin"]
        return sum((Decimal(row["walletBalance"]) for row in rows if row["coin"] == "BTC"), Decimal(0))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_kind_of_query_lags_by_its_own_time(protocol: str) -> None:
    venue = Venue(protocol)
    for what, seconds in (("order", 1), ("orders", 2), ("trades", 3), ("balance", 4)):
        venue.control("lag", {"what": what, "seconds": seconds})
    venue.buy("market")
    venue.buy("limit", limit="20000")
    seen = []
    for _ in range(5):
        seen.append((bool(venue.knows("market")), venue.resting(), venue.executions(), bool(venue.coins())))
        venue.client.clock.pass_time(1.0)
    assert seen == [(False, 0, 0, False), (True, 0, 0, False), (True, 1, 0, False), (True, 1, 1, False), (True, 1, 1, True)]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_order_that_is_not_found_for_a_while_is_in_the_list_of_what_rests(protocol: str) -> None:
    venue = Venue(protocol)
    venue.buy("mine", limit="20000")
    venue.control("fault", {"name": "F6", "seconds": 2, "after_bars": 1})
    assert venue.knows("mine").upper() == "NEW"
    venue.control("advance", {"bars": 1})
    assert (venue.knows("mine"), venue.resting()) == ("", 1)
    venue.client.clock.pass_time(2.5)
    assert (venue.knows("mine").upper(), venue.resting()) == ("NEW", 1)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_executions_can_be_listed_bars_later_than_their_order_is_filled(protocol: str) -> None:
    venue = Venue(protocol, read_lag_bars={"trades": 2})
    venue.buy("mine")
    seen = []
    for _ in range(3):
        seen.append((venue.knows("mine").upper(), venue.executions()))
        venue.control("advance", {"bars": 1})
    assert seen == [("FILLED", 0), ("FILLED", 0), ("FILLED", 1)]
    venue.buy("second")
    venue.control("lag", {"what": "trades"})
    assert venue.executions() == 2


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_was_there_before_a_restart_is_seen_by_queries_that_lag(protocol: str) -> None:
    state, lags = MemoryState(), dict.fromkeys(("order", "orders", "trades", "balance"), 5)
    before = Venue(protocol, state=state, read_lag_s=lags)
    before.buy("market")
    before.buy("limit", limit="20000")
    after = Venue(protocol, state=state, read_lag_s=lags)
    assert (bool(after.knows("market")), after.resting(), after.executions(), bool(after.coins())) == (True, 1, 1, True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_order_that_rested_before_the_lag_is_seen_as_it_was(protocol: str) -> None:
    venue = Venue(protocol)
    venue.buy("mine", limit="20000")
    for what in ("order", "orders"):
        venue.control("lag", {"what": what, "bars": 1})
    venue.control("fill", {"order_id": 1})
    assert (venue.knows("mine").upper(), venue.resting()) == ("NEW", 1)
    venue.control("advance", {"bars": 1})
    assert (venue.knows("mine").upper(), venue.resting()) == ("FILLED", 0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_key_has_rights_that_can_be_set_and_are_kept(protocol: str) -> None:
    state = MemoryState()
    venue = Venue(protocol, state=state)
    assert rights(venue) == (False, True)
    venue.control("rights", {"withdrawals": "yes", "trading": False})
    assert rights(venue) == (True, False)
    refused = venue.buy("mine")
    assert refused.get("code", refused.get("retCode")) in (-2015, 10005)
    assert not venue.client.venue.exchange.order_index.orders
    assert rights(Venue(protocol, state=state)) == (True, False)


def rights(venue: Venue) -> tuple[bool, bool]:
    """Whether the key may withdraw, and whether it may trade, as the venue says."""
    if venue.is_binance:
        said = venue.client.ask("GET", "/sapi/v1/account/apiRestrictions")
        return said["enableWithdrawals"], said["enableSpotAndMarginTrading"]
    said = venue.client.ask("GET", "/v5/user/query-api")["result"]
    return "Withdraw" in said["permissions"]["Wallet"], "SpotTrade" in said["permissions"]["Spot"] and not said["readOnly"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_of_two_keys_of_an_account_is_revoked_and_the_other_goes_on(protocol: str) -> None:
    venue = Venue(protocol, more_keys={"second": "s"})
    request = venue.client.request
    path = "/api/v3/account" if venue.is_binance else "/v5/account/wallet-balance"

    def is_known(key: str) -> bool:
        venue.client.key = key
        body = venue.client.exchange.answer(request("GET", path)).body
        return b"-2015" not in body and b"10003" not in body

    assert [is_known(key) for key in ("k", "second", "third")] == [True, True, False]
    venue.control("revoke", {"key": "second"})
    assert [is_known(key) for key in ("k", "second")] == [True, False]
    venue.control("revoke", {"key": "second", "undo": True})
    assert is_known("second")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_maintenance_is_announced_and_nothing_is_carried_out(protocol: str) -> None:
    venue = Venue(protocol)
    path = "/sapi/v1/system/status" if venue.is_binance else "/v5/system/status"
    assert str(venue.client.ask("GET", path)).count("aintenance") == 0
    venue.control("fault", {"name": "F44", "count": 0})
    assert "aintenance" in str(venue.client.ask("GET", path))
    venue.buy("mine")
    venue.control("clear", {})
    assert venue.knows("mine") == ""
    assert venue.client.send("GET", path).status == 200


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_redirect_is_an_answer_and_carries_nothing_out(protocol: str) -> None:
    venue = Venue(protocol)
    venue.control("fault", {"name": "F43", "on": "place", "to": "http://localhost:9"})
    path = "/api/v3/order" if venue.is_binance else "/v5/order/create"
    sent = {"symbol": "BTCUSDT"} if venue.is_binance else {"category": "spot", "symbol": "BTCUSDT"}
    answer = venue.client.send("POST", path, **sent)
    assert (answer.status, answer.headers["Location"].partition("?")[0]) == (307, f"http://localhost:9{path}")
    assert not venue.client.venue.exchange.order_index.orders


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pages_are_as_short_as_set_and_lead_to_the_end(protocol: str) -> None:
    venue = Venue(protocol, page_limit=3)
    for _ in range(8):
        venue.buy()
    found: list[int] = []
    if venue.is_binance:
        while page := venue.client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=(found[-1] if found else 0) + 1, limit=1000):
            assert len(page) <= 3
            found += [row["id"] for row in page]
        assert [row["id"] for row in venue.client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT")] == [6, 7, 8]
        assert len(venue.client.ask("GET", "/api/v3/allOrders", symbol="BTCUSDT", orderId=1)) == 3
    else:
        cursor = "start"
        while cursor:
            more = {} if cursor == "start" else {"cursor": cursor}
            page = venue.client.ask("GET", "/v5/execution/list", category="spot", limit=100, **more)["result"]
            assert len(page["list"]) <= 3
            found += [int(row["execId"]) for row in page["list"]]
            cursor = page["nextPageCursor"]
            if len(found) == 3:
                venue.buy()  # what is new meanwhile shifts no page
        found.reverse()
    assert found == list(range(1, 9))


def test_binance_spans_a_day_at_most() -> None:
    venue = Venue("binance")
    answer = venue.client.ask("GET", "/api/v3/myTrades", symbol="BTCUSDT", startTime=0, endTime=86_400_001)
    assert answer == {"code": -1127, "msg": "More than 24 hours between startTime and endTime."}


def test_an_answer_to_an_order_may_hold_its_ids_only() -> None:
    answer = Venue("binance", order_answers="ids").buy("mine")
    assert sorted(answer) == ["clientOrderId", "orderId", "orderListId", "symbol", "transactTime"]


def test_bybit_cancels_what_rests_once_the_client_is_gone_for_the_time_it_set() -> None:
    venue = Venue("bybit")
    client = venue.client
    refused = client.ask("POST", "/v5/order/disconnected-cancel-all", timeWindow=1)
    assert refused["retCode"] == 10001
    assert client.ask("POST", "/v5/order/disconnected-cancel-all", timeWindow=10)["retCode"] == 0
    venue.buy("mine", limit="20000")
    talks = [following(client) for _ in range(2)]
    talks.pop().end()
    client.clock.pass_time(60)
    assert venue.resting() == 1  # the other connection is still there
    talks.pop().end()
    client.clock.pass_time(9)
    again = following(client)
    client.clock.pass_time(60)
    assert venue.resting() == 1  # back in time
    again.end()
    client.clock.pass_time(9.9)
    assert venue.resting() == 1
    client.clock.pass_time(0.2)
    assert (venue.resting(), venue.knows("mine")) == (0, "Cancelled")


def following(client: PlainClient) -> Any:
    """A private connection that follows `dcp`."""
    _, talk = client.connect("/v5/private")
    expires = str(client.venue.wall_ms() + 10_000)
    talk.receive(orjson.dumps({"op": "auth", "args": ["k", expires, client._signed(f"GET/realtime{expires}")]}))
    talk.receive(orjson.dumps({"op": "subscribe", "args": ["dcp.spot"]}))
    return talk


async def _struck(server: SandboxServer, name: str) -> None:
    """Wait until an armed fault has struck."""
    while server.exchange.board.armed(name) is not None:
        await asyncio.sleep(0.005)


async def _overtaken(server: SandboxServer, client: Any) -> list[str]:
    """An order and its cancel under way at the same time: the cancel arrives first."""
    await client.load_markets()
    server.exchange.faults.arm("F41", {"on": "place", "seconds": 1.5})
    name = "clientOrderId"
    placing = asyncio.create_task(client.create_order(SYMBOL, "limit", "buy", 0.01, 20_000.0, {name: "slow"}))
    await _struck(server, "F41")
    order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 20_000.0, {name: "quick"})
    first = await placing
    return [order["id"], first["id"]]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_later_request_overtakes_one_that_is_under_way(protocol: str) -> None:
    async def script() -> list[str]:
        opened = binance_on if protocol == "binance" else bybit_on
        async with running(protocol=protocol) as server, opened(server) as client:
            return await _overtaken(server, client)

    assert asyncio.run(asyncio.wait_for(script(), PATIENCE_S)) == ["1", "2"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_cancel_under_way_loses_to_the_fill(protocol: str) -> None:
    async def script() -> None:
        opened = binance_on if protocol == "binance" else bybit_on
        async with running(protocol=protocol) as server, opened(server) as client:
            await client.load_markets()
            order = await client.create_order(SYMBOL, "limit", "buy", 0.01, 20_000.0)
            server.exchange.faults.arm("F41", {"on": "cancel", "seconds": 1.0})
            cancelling = asyncio.create_task(client.cancel_order(order["id"], SYMBOL))
            await _struck(server, "F41")
            server.venue.exchange.fill_now(server.venue.exchange.order_index.orders[int(order["id"])])
            with pytest.raises(ccxt.OrderNotFound):
                await cancelling

    asyncio.run(asyncio.wait_for(script(), PATIENCE_S))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_answer_comes_after_that_of_a_later_request(protocol: str) -> None:
    async def script() -> list[str]:
        opened = binance_on if protocol == "binance" else bybit_on
        done: list[str] = []
        async with running(protocol=protocol) as server, opened(server) as client:
            await client.load_markets()
            server.exchange.faults.arm("F42", {"on": "place", "seconds": 1.5})

            async def place(name: str) -> None:
                await client.create_order(SYMBOL, "limit", "buy", 0.01, 20_000.0, {"clientOrderId": name})
                done.append(name)

            first = asyncio.create_task(place("first"))
            await _struck(server, "F42")
            await place("second")
            await first
            orders = [o.request.client_id for o in server.venue.exchange.order_index.orders.values()]
        return [*done, *orders]

    assert asyncio.run(asyncio.wait_for(script(), PATIENCE_S)) == ["second", "first", "first", "second"]


def test_over_bybits_trade_socket_a_request_is_under_way_and_an_answer_late_as_well() -> None:
    async def script() -> list[str]:
        async with running(protocol="bybit") as server, bybit_on(server) as client:
            await client.load_markets()
            await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 20_000.0)
            server.exchange.faults.arm("F41", {"seconds": 1.0})
            server.exchange.faults.arm("F42", {"seconds": 0.2})
            placing = asyncio.create_task(client.create_order_ws(SYMBOL, "limit", "buy", 0.01, 20_000.0))
            await _struck(server, "F41")
            orders = server.venue.exchange.order_index.orders
            before = len(orders)
            while len(orders) == before:
                await asyncio.sleep(0.01)
            return [str(before), str(len(orders)), str(not placing.done()), (await placing)["id"]]

    first, last, is_late, number = asyncio.run(asyncio.wait_for(script(), PATIENCE_S))
    assert (first, last, is_late, number) == ("1", "2", "True", "2")


NUMBERS: list[tuple[str, dict[str, Any]]] = [
    ("deposit", {"asset": "BTC", "amount": "NaN"}), ("deposit", {"asset": "BTC", "amount": "Infinity"}),
    ("deposit", {"asset": "", "amount": 1}),
    ("deposit", {"asset": "BTC", "amount": "1e99"}), ("deposit", {"asset": "BTC", "amount": "1e-99"}), ("price", {"price": "-1"}),
    ("price", {"price": 100, "volume": "NaN"}), ("fill_cap", {"size": "-1"}), ("fill_cap", {"size": "x"}), ("advance", {"bars": True}),
    ("advance", {"bars": 10**9}), ("lag", {"what": "trades", "seconds": float("inf")}), ("lag", {"what": "all"}), ("lag", {}),
    ("lag", {"what": "order", "bars": -1}), ("rights", {"withdrawals": "perhaps"}), ("rights", {"trading": 1}), ("revoke", {"key": "x"}),
    ("push", {"start": "soon", "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}), ("log", {"since": "x"}),
    ("fault", {"name": "F1", "count": 1.5e300}), ("fault", {"name": "F3", "seconds": float("nan")}),
    ("fault", {"name": "F3", "seconds": -1}),
]  # fmt: skip


@pytest.mark.parametrize(("command", "params"), NUMBERS, ids=str)
def test_a_number_out_of_range_is_refused_in_one_line(command: str, params: dict[str, Any]) -> None:
    from decimal import InvalidOperation

    from forwardtrader.core.errors import TradingError

    venue = Venue("binance")
    before = venue.control("state", {})
    with pytest.raises((TradingError, ValueError, KeyError, TypeError, InvalidOperation)) as refused:
        venue.control(command, params)
    assert "\n" not in str(refused.value)
    assert venue.control("state", {}) == before
