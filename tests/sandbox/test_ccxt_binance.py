"""The unmodified ccxt classes trade on the practice exchange."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

import ccxt
import pytest

from forwardtrader.sandbox.process import start_sandbox
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import SPOT_ONLY, binance_on, point_at_binance, running

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, PATIENCE_S))


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


async def _next_candle() -> int:
    """Milliseconds from the start of the running candle to that of the one a watch sees open."""
    async with running() as server, binance_on(server) as client:
        watching = asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1m"))
        while not any(e["kind"] == "market socket" for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        running_start = server.venue.exchange.listings["BTC/USDT"].bar.start
        server.venue.driver.advance()
        seen = await watching
        while seen[-1][0] <= running_start:
            seen = await client.watch_ohlcv("BTC/USDT", "1m")
        return int(seen[-1][0] - running_start)


def test_the_socket_client_sees_the_next_candle_open() -> None:
    assert run(_next_candle()) == 60_000


async def _order_over_socket() -> list[Any]:
    """Status and size of a market order, what was reported of it, then the states of a limit order, then the coins."""
    async with running() as server, binance_on(server) as client:
        watching = asyncio.create_task(client.watch_orders("BTC/USDT"))
        while not any(e["name"].startswith("userData") for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        order = await client.create_order_ws("BTC/USDT", "market", "buy", 0.02)
        [update] = await watching
        resting = await client.create_order_ws("BTC/USDT", "limit", "buy", 0.01, 20_000.0)
        states = [await ask(resting["id"], "BTC/USDT") for ask in (client.fetch_order_ws, client.cancel_order_ws)]
        coins = (await client.fetch_balance())["BTC"]["total"]
        return [order["status"], order["filled"], update["id"] == order["id"], *(state["status"] for state in states), coins]


def test_an_order_over_the_socket_is_filled_and_reported() -> None:
    assert run(_order_over_socket()) == ["closed", 0.02, True, "open", "canceled", 0.01998]


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


async def _linked() -> list[Any]:
    """What became of the parts of linked orders, in the order asked."""
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
        resting = len(await client.fetch_open_orders("BTC/USDT"))
        done = await client.private_delete_orderlist({"symbol": "BTCUSDT", "orderListId": group["orderListId"]})
        held = {"pendingType": "LIMIT_MAKER", "pendingSide": "SELL", "pendingQuantity": "0.01", "pendingPrice": round(last * 1.5, 2)}
        working = {"workingType": "LIMIT", "workingSide": "BUY", "workingQuantity": "0.01", "workingPrice": round(last * 0.9, 2)}
        asked = {"symbol": "BTCUSDT", "workingTimeInForce": "GTC", **working, **held}
        second = await client.private_post_orderlist_oto(asked)
        looked_up = await client.private_get_orderlist({"orderListId": second["orderListId"]})
        states = [[report["status"] for report in answer["orderReports"]] for answer in (group, done, second)]
        return [*states, resting, looked_up["contingencyType"]]


def test_linked_orders_are_placed_queried_and_cancelled() -> None:
    assert run(_linked()) == [["NEW", "NEW"], ["CANCELED", "CANCELED"], ["NEW", "PENDING_NEW"], 2, "OTO"]


async def _streams() -> dict[str, Any]:
    async with running() as server, binance_on(server) as client:
        await client.load_markets()

        async def market() -> None:
            while True:
                server.venue.driver.advance()
                await asyncio.sleep(0.1)

        moving = asyncio.create_task(market())
        received = {
            "book": await client.watch_order_book("BTC/USDT"),
            "trades": await client.watch_trades("BTC/USDT"),
            "ticker": await client.watch_ticker("BTC/USDT"),
            "quotes": await client.watch_bids_asks(["BTC/USDT"]),
            "hours": await client.watch_ohlcv("BTC/USDT", "1h"),
        }
        moving.cancel()
        return received


def test_every_public_stream_reaches_the_client() -> None:
    received = run(_streams())
    assert 0 < received["book"]["bids"][0][0] < received["book"]["asks"][0][0]
    assert received["trades"][0]["price"] > 0
    assert received["ticker"]["last"] > 0
    assert received["quotes"]["BTC/USDT"]["bid"] > 0
    assert received["hours"][-1][0] % 3_600_000 == 0


async def _starts_of_candles() -> list[int]:
    async with running(speed=600) as server, binance_on(server) as client:
        starts: list[int] = []
        while len(starts) < 4:
            for candle in await client.watch_ohlcv("BTC/USDT", "1m"):
                if candle[0] not in starts:
                    starts.append(candle[0])
        return starts


def test_a_market_that_runs_by_the_clock_prints_one_candle_after_the_other() -> None:
    assert {b - a for a, b in itertools.pairwise(run(_starts_of_candles()))} == {60_000}


async def _behind_the_clock() -> tuple[float, float]:
    """Milliseconds that the running candle's start and the market's clock differ from the wall's."""
    async with running(speed=1) as server, binance_on(server) as client:
        now = server.venue.wall_ms()
        [*_, last] = await client.fetch_ohlcv("BTC/USDT", "1m")
        return now - last[0], abs(server.venue.market_clock() - now)


def test_the_sample_market_at_real_time_stands_at_the_present_minute() -> None:
    start, clock = run(_behind_the_clock())
    assert 0 <= start < 61_000
    assert clock < 61_000


async def _answers_of_a_slow_venue() -> list[float]:
    """Seconds that an order took over each transport."""
    took = []
    async with running(fills="book", book={"latency_ms": 150}) as server, binance_on(server) as client:
        await client.load_markets()
        for place in (client.create_order, client.create_order_ws):
            await place("BTC/USDT", "market", "buy", 0.001)
            started = time.monotonic()
            await place("BTC/USDT", "market", "buy", 0.001)
            took.append(time.monotonic() - started)
    return took


def test_latency_delays_requests_over_both_transports() -> None:
    took = run(_answers_of_a_slow_venue())
    assert min(took) >= 0.15
