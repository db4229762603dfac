"""The unmodified ccxt classes trade on the second protocol, spot and perpetuals."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import ccxt
import pytest

from forwardtrader.sandbox.process import start_sandbox
from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import BYBIT_OPTIONS, bybit_on, point_at_bybit, running

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"


def play(script: Callable[[SandboxServer, Any], Awaitable[None]], **settings: Any) -> None:
    async def whole() -> None:
        given = {"protocol": "bybit", "symbols": [SPOT, PERP]} | settings
        async with running(**given) as server, bybit_on(server) as client:
            await client.load_markets()
            client.timeout = 3000  # ms; what a fault leaves unanswered is waited for so long
            await script(server, client)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def test_the_synchronous_client_completes_the_whole_script() -> None:
    with start_sandbox(protocol="bybit", symbols=[SPOT, PERP], speed="lockstep") as venue:
        client = ccxt.bybit({"apiKey": venue.api_key, "secret": venue.api_secret, "options": BYBIT_OPTIONS})
        client.has["fetchCurrencies"] = False
        point_at_bybit(client, venue.url, venue.ws_url)
        market = client.load_markets()[SPOT]
        assert (market["precision"]["price"], market["limits"]["cost"]["min"]) == (0.01, 5.0)
        assert client.markets[PERP]["swap"]
        candles = client.fetch_ohlcv(SPOT, "1m", limit=10)
        assert [b[0] - a[0] for a, b in itertools.pairwise(candles)] == [60_000] * 9
        book = client.fetch_order_book(SPOT, 5)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert client.fetch_ticker(SPOT)["last"] == candles[-1][4]
        bought = client.create_order(SPOT, "market", "buy", 0.01, None, {"clientOrderId": "first"})
        assert (bought["status"], bought["filled"]) == (None, None)  # acknowledged only
        filled = client.fetch_order(bought["id"], SPOT, {"acknowledged": True})
        assert (filled["status"], filled["filled"], filled["clientOrderId"]) == ("closed", 0.01, "first")
        resting = client.create_order(SPOT, "limit", "sell", 0.005, round(candles[-1][4] * 1.5, 2))
        assert [o["id"] for o in client.fetch_open_orders(SPOT)] == [resting["id"]]
        client.cancel_order(resting["id"], SPOT)
        assert client.fetch_order(resting["id"], SPOT, {"acknowledged": True})["status"] == "canceled"
        assert [t["order"] for t in client.fetch_my_trades(SPOT)] == [bought["id"]]
        assert client.fetch_balance()["BTC"]["free"] == 0.00999


def test_orders_fills_and_balances_come_over_the_private_stream() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        orders, trades = (asyncio.create_task(f(SPOT)) for f in (client.watch_orders, client.watch_my_trades))
        while len([e for e in server.log.since(0) if e["kind"] == "private socket"]) < 2:
            await asyncio.sleep(0.02)
        made = await client.create_order(SPOT, "market", "buy", 0.02)
        assert (await trades)[-1]["order"] == made["id"]
        assert (await orders)[-1]["id"] == made["id"]

    play(script)


def test_an_order_can_be_sent_and_cancelled_over_the_trade_socket() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        made = await client.create_order_ws(SPOT, "limit", "buy", 0.01, 20_000.0)
        assert [o["id"] for o in await client.fetch_open_orders(SPOT)] == [made["id"]]
        await client.cancel_order_ws(made["id"], SPOT)
        assert await client.fetch_open_orders(SPOT) == []

    play(script)


def test_public_streams_reach_the_client_for_both_categories() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def market() -> None:
            while True:
                server.venue.driver.advance()
                await asyncio.sleep(0.05)

        moving = asyncio.create_task(market())
        for symbol in (SPOT, PERP):
            assert (await client.watch_ohlcv(symbol, "1m"))[-1][4] > 0
            book = await client.watch_order_book(symbol)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert (await client.watch_trades(symbol))[0]["price"] > 0
            assert (await client.watch_ticker(symbol))["last"] > 0
        moving.cancel()

    play(script)


REFUSED = [
    ((SPOT, "market", "buy", 100.0), ccxt.InsufficientFunds),
    ((SPOT, "limit", "buy", 0.00002, 20_000.0), ccxt.InvalidOrder),
    ((PERP, "market", "buy", 100.0), ccxt.InsufficientFunds),
]


@pytest.mark.parametrize(("order", "kind"), REFUSED, ids=lambda v: str(v)[:34])
def test_a_refusal_is_a_return_code_that_ccxt_understands(order: Any, kind: Any) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        with pytest.raises(kind):
            await client.create_order(*order)
        assert server.log.since(0)[-1]["status"] != 0

    play(script, rules={PERP: {"max_market_size": "10000"}})


def test_a_post_only_order_that_would_take_is_refused_at_spot_and_accepted_and_cancelled_on_a_contract() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        above = round(float(server.venue.exchange.listings[PERP].last) * 1.1, 2)
        with pytest.raises(ccxt.BaseError, match="170218"):
            await client.create_order(SPOT, "limit", "buy", 0.01, above, {"postOnly": True})
        made = await client.create_order(PERP, "limit", "buy", 0.01, above, {"postOnly": True, "clientOrderId": "maker"})
        found = await client.fetch_order(made["id"], PERP, {"acknowledged": True})
        assert (found["status"], found["filled"], found["clientOrderId"]) == ("canceled", 0, "maker")
        assert found["info"]["rejectReason"] == "EC_PostOnlyWillTakeLiquidity"
        assert await client.fetch_open_orders(PERP) == [] and not [p for p in await client.fetch_positions([PERP]) if p["contracts"]]

    play(script)


def test_an_unknown_order_and_a_used_client_id_have_codes_of_their_own() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("999", SPOT)
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order("999", PERP)
        for symbol in (SPOT, PERP):
            twice = {"clientOrderId": f"twice{len(symbol)}"}
            await client.create_order(symbol, "limit", "buy", 0.01, 20_000.0, twice)
            with pytest.raises(ccxt.BaseError, match=r"[Dd]uplicate"):
                await client.create_order(symbol, "limit", "buy", 0.01, 20_000.0, twice)

    play(script)


def test_a_short_position_is_opened_reduced_and_closed() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        entry = float(server.venue.exchange.listings[PERP].last)
        await client.create_order(PERP, "market", "sell", 0.3)
        [held] = await client.fetch_positions([PERP])
        assert (held["side"], held["contracts"], held["entryPrice"]) == ("short", 0.3, entry)
        await client.create_order(PERP, "market", "buy", 0.1, None, {"reduceOnly": True})
        assert (await client.fetch_positions([PERP]))[0]["contracts"] == 0.2
        await client.create_order(PERP, "market", "buy", 5.0, None, {"reduceOnly": True})
        assert not [p for p in await client.fetch_positions([PERP]) if p["contracts"]]
        total = (await client.fetch_balance())["USDT"]["total"]
        assert total == pytest.approx(10_000 - entry * 0.6 * 0.001, abs=0.01)
        with pytest.raises(ccxt.BaseError, match="educe"):
            await client.create_order(PERP, "market", "buy", 0.1, None, {"reduceOnly": True})

    play(script)


def test_a_stop_closes_a_long_position() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.create_order(PERP, "market", "buy", 0.1)
        last = float(server.venue.exchange.listings[PERP].last)
        stop = {"triggerPrice": round(last * 0.98, 2), "triggerDirection": "descending", "reduceOnly": True}
        await client.create_order(PERP, "market", "sell", 0.1, None, stop)
        assert len(server.venue.exchange.order_index.open_orders(PERP)) == 1
        server.exchange.faults.arm("F38", {"bps": -500.0, "symbol": PERP})
        server.venue.driver.advance()
        server.venue.driver.advance()
        assert not [p for p in await client.fetch_positions([PERP]) if p["contracts"]]

    play(script)


def test_longs_pay_shorts_every_eight_hours() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.create_order(PERP, "market", "sell", 0.1)
        before = (await client.fetch_balance())["USDT"]["total"]
        while server.venue.market_clock() % (8 * 3_600_000):
            server.venue.driver.advance()
        mark = float(server.venue.exchange.listings[PERP].last)
        account = server.venue.exchange.accounts["main"]
        received = float(account.position(PERP).funding)
        assert received == pytest.approx(0.1 * mark * 0.01, rel=0.01)
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(before + received, abs=0.01)
        assert (await client.fetch_funding_rate_history(PERP))[-1]["fundingRate"] == 0.01
        [paid] = await client.fetch_funding_history(PERP)
        assert (paid["amount"], paid["info"]["execType"]) == (-received, "Funding")
        assert len(await client.fetch_my_trades(PERP)) == 1

    play(script, funding_bps=100, timeframe="1h", history=30)


def test_a_position_that_cannot_be_carried_is_liquidated_and_the_balance_stays_at_nil() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.create_order(PERP, "market", "buy", 1.2)
        server.exchange.faults.arm("F38", {"bps": -4000.0, "symbol": PERP})
        for _ in range(3):
            server.venue.driver.advance()
        account = server.venue.exchange.accounts["main"]
        assert account.position(PERP).size == 0
        assert account.available("USDT") == 0 < account.insured["USDT"]

    play(script)


def test_a_position_that_the_venue_closes_is_listed_by_the_kind_of_its_execution_and_streamed() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        watched = asyncio.create_task(client.watch_my_trades())
        await client.create_order(PERP, "market", "sell", 0.3, None, {"clientOrderId": "mine"})
        while (seen := (await asyncio.wait_for(watched, PATIENCE_S))[-1])["info"]["execType"] != "AdlTrade":
            watched = asyncio.create_task(client.watch_my_trades())
            server.venue.liquidation.deleverage(server.venue.exchange.accounts["main"], PERP)
        assert (seen["side"], seen["amount"], seen["fee"]["currency"]) == ("buy", 0.3, "USDT")
        assert [t["id"] for t in await client.fetch_my_trades(PERP, None, 50, {"execType": "AdlTrade"})] == [seen["id"]]
        assert len(await client.fetch_my_trades(PERP)) == 1
        forced = await client.fetch_order(seen["order"], PERP, {"acknowledged": True})
        assert (forced["clientOrderId"], forced["reduceOnly"]) == (None, True)

    play(script)


def test_modes_and_leverage_are_set_and_read_back() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        assert (await client.fetch_margin_mode(PERP))["marginMode"] == "cross"
        assert (await client.fetch_leverage(PERP))["longLeverage"] == 10
        await client.set_leverage(3, PERP)
        with pytest.raises(ccxt.BadRequest, match="not modified"):
            await client.set_leverage(3, PERP)
        assert (await client.fetch_leverage(PERP))["longLeverage"] == 3
        with pytest.raises(ccxt.BaseError, match="risk limit"):
            await client.set_leverage(101, PERP)
        await client.set_position_mode(True, PERP)
        assert [p["info"]["positionIdx"] for p in await client.fetch_positions([PERP])] == [1, 2]
        with pytest.raises(ccxt.BaseError, match="position mode"):
            await client.create_order(PERP, "market", "buy", 0.1)
        await client.set_position_mode(False, PERP)
        await client.set_margin_mode("isolated", PERP)
        assert (await client.fetch_margin_mode(PERP))["marginMode"] == "isolated"
        tiers = await client.fetch_market_leverage_tiers(PERP)
        assert [tier["maxLeverage"] for tier in tiers] == [100, 50, 20, 5]

    play(script)


FAULTS = [
    ("F1", {}, True),
    ("F2", {}, True),
    ("F5", {}, False),
    ("F18", {"on": "place"}, False),
    ("F26", {}, False),
]


@pytest.mark.parametrize(("name", "options", "executed"), FAULTS, ids=str)
def test_the_fault_switches_work_here_too(name: str, options: Any, executed: bool) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        server.exchange.faults.arm(name, options)
        with pytest.raises(ccxt.BaseError):
            await client.create_order(SPOT, "market", "buy", 0.01)
        assert (len(server.venue.exchange.order_index.orders) == 1) is executed

    play(script)


def test_a_wrong_signature_or_an_old_stamp_is_refused() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        secret, client.secret = client.secret, "wrong"
        with pytest.raises(ccxt.AuthenticationError):
            await client.fetch_balance()
        client.secret = secret
        server.venue.skew_ms = 60_000
        with pytest.raises(ccxt.InvalidNonce):
            await client.fetch_balance()

    play(script)
