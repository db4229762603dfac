"""Faults of the venue as a whole do what they say, as the unmodified ccxt client sees them."""

from __future__ import annotations

import asyncio
from typing import Any

import ccxt
import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.faults.ccxt_script import arm, buy, lookup, play, reports_of


@pytest.mark.parametrize("how", ["event", "shutdown"])
def test_the_private_stream_is_terminated(how: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def act() -> None:
            arm(server, "F12", how=how)

        events = await reports_of(server, act, to_the_end=how == "shutdown")
        ends = [e if isinstance(e, str) else e["e"] for e in events]
        assert ends == ["eventStreamTerminated"] if how == "event" else ends[0] == "serverShutdown" and ends[1] in ("CLOSE", "CLOSING")

    play(script)


@pytest.mark.parametrize("name", ["F13", "F14"])
def test_a_cut_market_socket_fails_the_watch_and_the_next_one_recovers(name: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        watching = asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1m"))
        while not server.sockets.connections("market"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        arm(server, name)
        with pytest.raises(ccxt.NetworkError):
            await watching
        again = asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1m"))
        while not again.done():  # it dials again when it sees fit
            server.venue.driver.advance()
            await asyncio.sleep(0.02)
        assert await again

    play(script)


def test_a_half_open_socket_answers_no_ping() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        client.streaming["keepAlive"] = 300
        watching = asyncio.create_task(client.watch_ohlcv("BTC/USDT", "1m"))
        while not server.sockets.connections("market"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        arm(server, "F15", which="market", seconds=10)
        server.venue.driver.advance()
        with pytest.raises(ccxt.RequestTimeout):
            await watching

    play(script)


@pytest.mark.parametrize(("name", "missed"), [("F17", 0), ("F24", 5)])
def test_the_server_goes_down_and_comes_back_with_the_same_state(name: str, missed: int) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        bought = await buy(client)
        arm(server, name, seconds=1.5)
        refused, found = False, None
        while found is None:
            try:
                answer = await lookup(client)
                found = answer if refused else None  # it may take a moment to go down
            except ccxt.NetworkError:
                refused = True
            await asyncio.sleep(0.02)
        assert found["id"] == bought["id"]
        assert server.venue.driver.played == missed

    play(script)


def test_the_clock_jumps_and_can_be_corrected() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F20", milliseconds=-15_000)
        with pytest.raises(ccxt.InvalidNonce):
            await buy(client)
        client.options["adjustForTimeDifference"] = True
        await client.load_time_difference()
        assert (await buy(client))["status"] == "closed"

    play(script)


def test_filters_change_while_the_client_runs() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F25", factor=1000)
        with pytest.raises(ccxt.InvalidOrder, match="LOT_SIZE"):
            await client.create_order("BTC/USDT", "market", "buy", 0.01234)
        await client.load_markets(True)
        assert client.market("BTC/USDT")["precision"]["amount"] == 0.01
        assert (await client.create_order("BTC/USDT", "market", "buy", 0.01234))["amount"] == 0.01

    play(script)


def test_a_halted_symbol_refuses_orders_until_its_bars_have_passed() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F27", bars=2)
        with pytest.raises(ccxt.ExchangeError, match="Market is closed"):
            await buy(client)
        assert client.parse_market((await client.public_get_exchangeinfo())["symbols"][0])["active"] is False
        for _ in range(3):
            server.venue.driver.advance()
        assert (await buy(client))["status"] == "closed"

    play(script)


@pytest.mark.parametrize(("how", "event"), [("order", "executionReport"), ("deposit", "balanceUpdate"), ("withdrawal", "balanceUpdate")])
def test_somebody_else_moves_the_account(how: str, event: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await buy(client)

        async def act() -> None:
            arm(server, "F29", how=how, amount=0.001)

        assert event in [e["e"] for e in await reports_of(server, act)]
        expected = {"order": 0.010989, "deposit": 0.01099, "withdrawal": 0.00899}[how]
        assert (await client.fetch_balance())["BTC"]["total"] == expected

    play(script)


def test_the_market_gaps_through_a_stop() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await buy(client)
        last = float(server.venue.exchange.listings["BTC/USDT"].last)
        stop = await client.create_order("BTC/USDT", "market", "sell", 0.009, None, {"stopLossPrice": round(last * 0.97, 2)})
        arm(server, "F38", bps=-1000)
        server.venue.driver.advance()
        server.venue.driver.advance()
        filled = await client.fetch_order(stop["id"], "BTC/USDT")
        assert filled["status"] == "closed"
        assert filled["average"] < last * 0.95

    play(script)


def test_a_fault_that_has_nothing_to_act_on_does_not_stop_the_market() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F29", how="withdrawal", amount=5, after_bars=1, count=0)
        for _ in range(3):
            assert server.venue.driver.advance()
        assert server.venue.driver.played == 3

    play(script)
