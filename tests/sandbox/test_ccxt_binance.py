"""The unmodified ccxt classes trade on the practice exchange."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine
from typing import Any

import ccxt
import pytest

from sandbox.process import start_sandbox
from tests.sandbox.ccxt_clients import SPOT_ONLY, binance_on, point_at_binance, running


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 20))


def test_the_synchronous_client_completes_the_whole_script() -> None:
    with start_sandbox(speed="lockstep") as venue:
        client = ccxt.binance({"apiKey": venue.api_key, "secret": venue.api_secret, "options": SPOT_ONLY})
        point_at_binance(client, venue.url, venue.ws_url)
        market = client.load_markets()["BTC/USDT"]
        assert (market["precision"]["price"], market["limits"]["cost"]["min"]) == (0.01, 5.0)
        candles = client.fetch_ohlcv("BTC/USDT", "1m", limit=10)
        assert len(candles) == 10
        book = client.fetch_order_book("BTC/USDT", 5)
        assert book["bids"][0][0] < book["asks"][0][0]
        assert client.fetch_ticker("BTC/USDT")["last"] == candles[-1][4]
        bought = client.create_order("BTC/USDT", "market", "buy", 0.01, None, {"newClientOrderId": "first"})
        assert (bought["status"], bought["filled"], bought["average"]) == ("closed", 0.01, candles[-1][1])
        resting = client.create_order("BTC/USDT", "limit", "sell", 0.005, round(candles[-1][4] * 1.5, 2))
        assert [o["id"] for o in client.fetch_open_orders("BTC/USDT")] == [resting["id"]]
        assert client.cancel_order(resting["id"], "BTC/USDT")["status"] == "canceled"
        assert client.fetch_order(None, "BTC/USDT", {"origClientOrderId": "first"})["id"] == bought["id"]
        assert [t["order"] for t in client.fetch_my_trades("BTC/USDT")] == [bought["id"]]
        assert client.fetch_balance()["BTC"]["free"] == 0.00999
        assert venue.advance(3)["advanced"] == 3


async def _closed_candles() -> None:
    async with running() as server, binance_on(server) as client:
        watching = asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1m"))
        while not any(e["kind"] == "market socket" for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        running_start = server.venue.exchange.listings["BTC/USDT"].bar.start
        server.venue.driver.advance()
        seen = await watching
        while seen[-1][0] <= running_start:
            seen = await client.watch_ohlcv("BTC/USDT", "1m")
        assert seen[-1][0] == running_start + 60_000


def test_the_socket_client_sees_the_next_candle_open() -> None:
    run(_closed_candles())


async def _order_over_socket() -> None:
    async with running() as server, binance_on(server) as client:
        watching = asyncio.create_task(client.watch_orders("BTC/USDT"))
        while not any(e["name"].startswith("userData") for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        order = await client.create_order_ws("BTC/USDT", "market", "buy", 0.02)
        assert (order["status"], order["filled"]) == ("closed", 0.02)
        [update] = await watching
        assert update["id"] == order["id"]
        resting = await client.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 20_000.0)
        assert (await client.fetch_order_ws(resting["id"], "BTC/USDT"))["status"] == "open"
        assert (await client.cancel_order_ws(resting["id"], "BTC/USDT"))["status"] == "canceled"
        assert (await client.fetch_balance())["BTC"]["total"] == 0.01998


def test_an_order_over_the_socket_is_filled_and_reported() -> None:
    run(_order_over_socket())


ERRORS = [
    ({"type": "market", "side": "buy", "amount": 100}, ccxt.InsufficientFunds, -2010),
    ({"type": "limit", "side": "buy", "amount": 0.00002, "price": 20_000.0}, ccxt.BadRequest, -1013),
    ({"type": "limit", "side": "buy", "amount": 0.000001, "price": 20_000.0}, ccxt.InvalidOrder, None),
]


@pytest.mark.parametrize(("order", "kind", "code"), ERRORS, ids=["balance", "notional", "below one step"])
def test_a_refused_order_raises_what_binance_would_make_ccxt_raise(order: Any, kind: Any, code: Any) -> None:
    async def attempt() -> None:
        async with running() as server, binance_on(server) as client:
            await client.load_markets()
            with pytest.raises(kind) as caught:
                await client.create_order("BTC/USDT", **order)
            assert type(caught.value) is kind
            assert code is None or str(code) in str(caught.value) or "balance" in str(caught.value)

    run(attempt())


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    async def attempt() -> None:
        async with running() as server, binance_on(server) as client:
            again = {"newClientOrderId": "twice"}
            await client.create_order("BTC/USDT", "limit", "buy", 0.01, 20_000.0, again)
            with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
                await client.create_order("BTC/USDT", "limit", "buy", 0.01, 20_000.0, again)
            await client.cancel_order(None, "BTC/USDT", {"origClientOrderId": "twice"})
            for _ in range(2):  # filled at once, so the id is free again: a lookup key, not a guard
                assert (await client.create_order("BTC/USDT", "market", "buy", 0.01, None, again))["status"] == "closed"

    run(attempt())


async def _linked() -> None:
    async with running() as server, binance_on(server) as client:
        await client.load_markets()
        await client.create_order("BTC/USDT", "market", "buy", 0.02)
        last = float(server.venue.exchange.listings["BTC/USDT"].last)
        legs = {
            "aboveType": "LIMIT_MAKER",
            "abovePrice": round(last * 1.5, 2),
            "belowType": "STOP_LOSS",
            "belowStopPrice": round(last / 2, 2),
        }
        group = await client.private_post_orderlist_oco({"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.01", **legs})
        assert [r["status"] for r in group["orderReports"]] == ["NEW", "NEW"]
        assert len(await client.fetch_open_orders("BTC/USDT")) == 2
        done = await client.private_delete_orderlist({"symbol": "BTCUSDT", "orderListId": group["orderListId"]})
        assert [r["status"] for r in done["orderReports"]] == ["CANCELED", "CANCELED"]
        held = {"pendingType": "LIMIT_MAKER", "pendingSide": "SELL", "pendingQuantity": "0.01", "pendingPrice": round(last * 1.5, 2)}
        working = {"workingType": "LIMIT", "workingSide": "BUY", "workingQuantity": "0.01", "workingPrice": round(last * 0.9, 2)}
        asked = {"symbol": "BTCUSDT", "workingTimeInForce": "GTC", **working, **held}
        group = await client.private_post_orderlist_oto(asked)
        assert [r["status"] for r in group["orderReports"]] == ["NEW", "PENDING_NEW"]
        assert (await client.private_get_orderlist({"orderListId": group["orderListId"]}))["contingencyType"] == "OTO"


def test_linked_orders_are_placed_queried_and_cancelled() -> None:
    run(_linked())


async def _streams() -> None:
    async with running() as server, binance_on(server) as client:
        await client.load_markets()

        async def market() -> None:
            while True:
                server.venue.driver.advance()
                await asyncio.sleep(0.1)

        moving = asyncio.create_task(market())
        book = await client.watch_order_book("BTC/USDT")
        assert book["bids"][0][0] < book["asks"][0][0]
        assert (await client.watch_trades("BTC/USDT"))[0]["price"] > 0
        assert (await client.watch_ticker("BTC/USDT"))["last"] > 0
        assert (await client.watch_bids_asks(["BTC/USDT"]))["BTC/USDT"]["bid"] > 0
        hourly = await client.watch_ohlcv("BTC/USDT", "1h")
        assert hourly[-1][0] % 3_600_000 == 0
        moving.cancel()


def test_every_public_stream_reaches_the_client() -> None:
    run(_streams())


async def _runs_by_the_clock() -> None:
    async with running(speed=600) as server, binance_on(server) as client:
        starts: list[int] = []
        while len(starts) < 4:
            for candle in await client.watch_ohlcv("BTC/USDT", "1m"):
                if candle[0] not in starts:
                    starts.append(candle[0])
        assert {b - a for a, b in itertools.pairwise(starts)} == {60_000}


def test_a_market_that_runs_by_the_clock_prints_one_candle_after_the_other() -> None:
    run(_runs_by_the_clock())


async def _real_time() -> None:
    async with running(speed=1) as server, binance_on(server) as client:
        now = server.venue.wall_ms()
        [*_, last] = await client.fetch_ohlcv("BTC/USDT", "1m")
        assert 0 <= now - last[0] < 61_000
        assert abs(server.venue.market_clock() - now) < 61_000


def test_the_sample_market_at_real_time_stands_at_the_present_minute() -> None:
    run(_real_time())


async def _slow_venue() -> None:
    async with running(fills="book", book={"latency_ms": 150}) as server, binance_on(server) as client:
        await client.load_markets()
        for place in (client.create_order, client.create_order_ws):
            await place("BTC/USDT", "market", "buy", 0.001)
            begun = time.monotonic()
            await place("BTC/USDT", "market", "buy", 0.001)
            assert 0.15 <= time.monotonic() - begun < 1


def test_latency_delays_requests_over_both_transports() -> None:
    run(_slow_venue())
