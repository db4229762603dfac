"""The unmodified ccxt classes trade perpetuals by Binance USD-M's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running, usdm_on

PERP = "BTC/USDT:USDT"
Script = Callable[[SandboxServer, Any], Awaitable[None]]


def play(script: Script, name: str = "binanceusdm", **settings: Any) -> None:
    async def whole() -> None:
        async with running(**{"symbols": [PERP], "fee_asset": "quote"} | settings) as server, usdm_on(server, name) as client:
            await client.load_markets()
            await script(server, client)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


@pytest.mark.parametrize("name", ["binanceusdm", "binance"])
def test_the_market_of_a_perpetual_is_read(name: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        market = client.markets[PERP]
        assert (market["swap"], market["linear"], market["contractSize"], market["limits"]["cost"]["min"]) == (True, True, 1.0, 5.0)
        candles = await client.fetch_ohlcv(PERP, "1m", limit=10)
        marks = await client.fetch_ohlcv(PERP, "1m", None, 10, {"price": "mark"})
        closed = candles[:-1]
        assert [row[0] for row in marks[1:]] == [row[0] for row in closed] and marks[-1][4] == pytest.approx(closed[-1][4] * 1.001)
        assert (await client.fetch_funding_rate(PERP))["fundingRate"] == 0.0001
        assert {row["fundingRate"] for row in await client.fetch_funding_rate_history(PERP, limit=1)} == {0.0001}
        assert (await client.fetch_funding_intervals())[PERP]["interval"] == "8h"
        tiers = (await client.fetch_leverage_tiers([PERP]))[PERP]
        assert (tiers[0]["maxLeverage"], tiers[1]["maintenanceMarginRate"]) == (100, 0.01)

    play(script, name, mark_basis_bps=10, history=600)


def test_a_short_is_opened_reduced_and_closed() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        entry = float(server.venue.exchange.listings[PERP].last)
        made = await client.create_order(PERP, "market", "sell", 0.3, None, {"clientOrderId": "first"})
        assert (made["status"], made["filled"], made["clientOrderId"]) == ("closed", 0.3, "first")
        [held] = await client.fetch_positions([PERP])
        assert (held["side"], held["contracts"], held["entryPrice"]) == ("short", 0.3, entry)
        await client.create_order(PERP, "market", "buy", 5.0, None, {"reduceOnly": True})
        assert await client.fetch_positions([PERP]) == []
        assert (await client.fetch_balance())["USDT"]["total"] == pytest.approx(10_000 - entry * 0.6 * 0.001, abs=0.01)
        assert len(await client.fetch_my_trades(PERP)) == 2
        with pytest.raises(ccxt.InvalidOrder, match="ReduceOnly"):
            await client.create_order(PERP, "market", "buy", 0.1, None, {"reduceOnly": True})

    play(script)


@pytest.mark.parametrize(
    ("order", "kind", "code"),
    [
        ((PERP, "market", "buy", 100.0), ccxt.InsufficientFunds, "-2019"),
        ((PERP, "limit", "buy", 0.00002, 20_000.0), ccxt.InvalidOrder, "-4164"),
        ((PERP, "limit", "buy", 0.01, 90_000.0, {"postOnly": True}), ccxt.OrderNotFillable, "-5022"),
    ],
    ids=["margin", "notional", "post-only"],
)
def test_a_refusal_has_the_venues_code_and_leaves_no_order(order: Any, kind: Any, code: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        with pytest.raises(kind, match=code):
            await client.create_order(*order)
        assert not server.venue.exchange.order_index.orders

    play(script, "binance")


def test_a_stop_is_an_algo_order_until_it_is_an_order_under_another_id() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        last = float(server.venue.exchange.listings[PERP].last)
        await client.create_order(PERP, "market", "buy", 0.1)
        stop = await client.create_order(
            PERP, "market", "sell", 0.1, None, {"stopLossPrice": round(last * 0.9, 2), "clientOrderId": "stop", "reduceOnly": True}
        )
        waiting = {"clientOrderId": "stop", "trigger": True}
        assert [o["id"] for o in await client.fetch_open_orders(PERP, None, None, {"trigger": True})] == [stop["id"]]
        assert await client.fetch_open_orders(PERP) == []
        with pytest.raises(ccxt.OrderNotFound):
            await client.fetch_order(None, PERP, {"clientOrderId": "stop"})
        server.venue.driver.set_price(PERP, server.venue.exchange.listings[PERP].last * 8 // 10, Decimal(1))
        server.venue.driver.advance()
        done = await client.fetch_order(None, PERP, waiting)
        became = await client.fetch_order(done["info"]["actualOrderId"], PERP)
        assert (done["info"]["algoStatus"], became["clientOrderId"], became["filled"]) == ("FINISHED", "stop", 0.1)
        assert became["id"] != stop["id"]
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(None, PERP, waiting)

    play(script)


def test_leverage_and_modes_are_read_and_set() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.set_leverage(7, PERP)
        assert (await client.fetch_leverage(PERP))["longLeverage"] == 7
        with pytest.raises(ccxt.BaseError, match="-4028"):
            await client.set_leverage(120, PERP)
        assert (await client.fetch_margin_mode(PERP))["marginMode"] == "cross"
        with pytest.raises(ccxt.MarginModeAlreadySet):
            await client.set_margin_mode("cross", PERP)
        await client.set_margin_mode("isolated", PERP)
        assert (await client.fetch_margin_mode(PERP))["marginMode"] == "isolated"
        assert (await client.fetch_position_mode(PERP))["hedged"] is False
        await client.set_position_mode(True, PERP)
        assert (await client.fetch_position_mode(PERP))["hedged"] is True
        with pytest.raises(ccxt.BaseError, match="-4061"):
            await client.create_order(PERP, "market", "buy", 0.1)

    play(script)


def test_orders_trades_and_balances_come_over_the_user_stream() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        orders, trades, money = (asyncio.create_task(f()) for f in (client.watch_orders, client.watch_my_trades, client.watch_balance))
        while not [e for e in server.log.since(0) if e["kind"] == "private socket"]:
            await asyncio.sleep(0.01)
        made = await client.create_order(PERP, "market", "buy", 0.02)
        assert (await trades)[-1]["order"] == made["id"]
        assert (await orders)[-1]["id"] == made["id"]
        assert (await money)["USDT"]["total"] < 10_000

    play(script)


def test_funding_is_income_and_a_liquidation_a_forced_order() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.create_order(PERP, "market", "buy", 0.5)
        server.venue.driver.advance()
        server.venue.driver.advance()
        paid = await client.fetch_funding_history(PERP)
        assert paid and all(row["amount"] < 0 and row["code"] == "USDT" for row in paid)
        server.venue.driver.set_price(PERP, server.venue.exchange.listings[PERP].last * 6 // 10, Decimal(1))
        server.venue.driver.advance()
        [forced] = await client.fetch_my_liquidations(PERP, None, 10, {"autoCloseType": "LIQUIDATION"})
        assert forced["info"]["clientOrderId"].startswith("autoclose-")
        assert [t["amount"] for t in await client.fetch_my_trades(PERP, None, 10, {"orderId": forced["info"]["orderId"]})] == [0.5]

    play(script, timeframe="1h", funding_hours=1)


def test_candles_and_the_book_reach_the_client() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def market() -> None:
            while True:
                server.venue.driver.advance()
                await asyncio.sleep(0.02)

        moving = asyncio.create_task(market())
        assert (await client.watch_ohlcv(PERP, "1m"))[-1][4] > 0
        assert (await client.fetch_order_book(PERP, 5))["bids"][0][0] > 0
        moving.cancel()

    play(script)


def test_a_dead_mans_switch_takes_orders_off_when_its_time_is_over() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await client.create_order(PERP, "limit", "buy", 0.01, 20_000.0)
        await client.fapiPrivatePostCountdownCancelAll({"symbol": "BTCUSDT", "countdownTime": 20})
        made = server.venue.exchange.order_index.all_open("main")
        assert len(made) == 1
        while server.venue.exchange.order_index.all_open("main"):
            await asyncio.sleep(0.01)
        assert str(made[0].status) == "canceled" and not made[0].filled

    play(script)


def test_spot_and_perpetual_of_one_pair_are_traded_side_by_side() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        made = await client.create_order(PERP, "market", "buy", 0.02)
        assert made["symbol"] == PERP
        spot = [o for o in server.venue.exchange.order_index.orders.values() if o.request.symbol == "BTC/USDT"]
        assert spot == [] and [t["symbol"] for t in await client.fetch_my_trades(PERP)] == [PERP]

    play(script, symbols=["BTC/USDT", PERP])
