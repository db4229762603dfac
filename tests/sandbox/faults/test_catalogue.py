"""Every fault switch does what its name says, as seen by the unmodified ccxt client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import ccxt
import pytest

from forwardtrader.core.errors import ConfigError, InvalidSetting, UnknownSetting
from forwardtrader.sandbox.faults.catalogue import CATALOGUE, Switchboard, read_faults, read_options
from forwardtrader.sandbox.process import start_sandbox
from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.ccxt_clients import binance_on, running

Script = Callable[[SandboxServer, Any], Awaitable[None]]


def play(script: Script, **settings: Any) -> None:
    async def whole() -> None:
        async with running(**settings) as server, binance_on(server, timeout=700) as client:
            await client.load_markets()
            await script(server, client)

    asyncio.run(asyncio.wait_for(whole(), 20))


def arm(server: SandboxServer, name: str, **options: Any) -> None:
    server._instant.arm(name, options)


async def buy(client: Any, cid: str = "mine") -> Any:
    return await client.create_order("BTC/USDT", "market", "buy", 0.01, None, {"newClientOrderId": cid})


async def lookup(client: Any, cid: str = "mine") -> Any:
    return await client.fetch_order(None, "BTC/USDT", {"origClientOrderId": cid})


# What the order's answer looks like to the client, and whether the order was executed all the same.
ORDER_FAULTS = [
    ("F1", {}, ccxt.RequestTimeout, True),
    ("F2", {}, ccxt.ExchangeNotAvailable, True),
    ("F3", {"seconds": 5}, ccxt.RequestTimeout, True),
    ("F4", {}, ccxt.OperationFailed, False),
    # ccxt knows -1008 by the host name only, so that it is a plain ExchangeError here.
    ("F4", {"how": "overloaded"}, ccxt.ExchangeError, False),
    ("F4", {"how": "html"}, ccxt.ExchangeNotAvailable, False),
    ("F5", {}, ccxt.OperationFailed, False),
    ("F18", {"on": "place"}, ccxt.DDoSProtection, False),
    ("F19", {"on": "place", "seconds": 0.2}, ccxt.DDoSProtection, False),
    ("F26", {}, ccxt.InsufficientFunds, False),
    ("F37", {"on": "place"}, ccxt.AuthenticationError, False),
]


@pytest.mark.parametrize(("name", "options", "kind", "executed"), ORDER_FAULTS, ids=lambda v: str(v)[:24])
def test_an_order_answered_by_a_fault_is_executed_or_not_as_the_fault_says(name: str, options: Any, kind: Any, executed: bool) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, name, **options)
        with pytest.raises(ccxt.BaseError) as caught:
            await buy(client)
        assert isinstance(caught.value, kind)
        assert (len(server.venue.exchange.order_index.orders) == 1) is executed
        if executed:
            assert (await lookup(client))["status"] == "closed"
        else:
            with pytest.raises(ccxt.OrderNotFound):
                await lookup(client)
        await asyncio.sleep(0.25 if name == "F19" else 0)
        assert (await buy(client, "next"))["status"] == "closed"

    play(script)


def test_a_ban_meets_every_request_until_it_is_over() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F19", seconds=0.4)
        started, refused = time.monotonic(), 0
        while time.monotonic() < started + 5:
            try:
                await client.fetch_time()
                break
            except ccxt.DDoSProtection:
                refused += 1
                await asyncio.sleep(0.05)
        assert refused > 2
        assert 0.35 < time.monotonic() - started < 2

    play(script)


def test_too_many_requests_carries_retry_after() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F18", seconds=7)
        with pytest.raises(ccxt.DDoSProtection):
            await client.fetch_time()
        assert client.last_response_headers["Retry-After"] == "7"

    play(script)


def test_an_existing_order_is_not_found_for_a_while() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        await buy(client)
        arm(server, "F6", seconds=0.3)
        started = time.monotonic()
        with pytest.raises(ccxt.OrderNotFound):
            await lookup(client)
        while time.monotonic() < started + 2:
            try:
                await lookup(client)
                break
            except ccxt.OrderNotFound:
                await asyncio.sleep(0.05)
        assert 0.25 < time.monotonic() - started < 1.5

    play(script)


async def reports_of(server: SandboxServer, act: Callable[[], Awaitable[Any]], *, to_the_end: bool = False) -> list[Any]:
    """The private events that a raw client receives while `act` runs; or until its socket has ended, whose kind of end comes last."""
    said = server.described()
    import hashlib
    import hmac

    from forwardtrader.sandbox.binance.auth import socket_payload

    params = {"apiKey": said["api_key"], "timestamp": str(int(time.time() * 1000))}
    params["signature"] = hmac.new(said["api_secret"].encode(), socket_payload(params).encode(), hashlib.sha256).hexdigest()
    got: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(said["ws_url"] + "/ws-api/v3") as socket:
        await socket.send_json({"id": 1, "method": "userDataStream.subscribe.signature", "params": params})
        assert (await socket.receive_json())["status"] == 200
        await act()
        if not to_the_end:
            await socket.send_json({"id": "last", "method": "ping"})  # answered after everything that was to be told
        while True:
            message = await socket.receive(timeout=5)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return [*got, message.type.name]
            if message.json().get("id") == "last":
                return got
            got.append(message.json()["event"])


def executions(events: list[Any]) -> list[Any]:
    return [e["x"] for e in events if isinstance(e, dict) and e["e"] == "executionReport"]


REPORT_FAULTS = [
    ("", {}, ["NEW", "TRADE"]),
    ("F7", {"count": 2}, ["NEW", "NEW", "TRADE", "TRADE"]),
    ("F8", {}, ["TRADE"]),
    ("F8", {"count": 2}, []),
    ("F9", {"how": "reordered"}, ["TRADE", "NEW"]),
    ("F10", {"parts": 4}, ["NEW", "TRADE", "TRADE", "TRADE", "TRADE"]),
    ("F11", {"seconds": 0.1}, []),
]


@pytest.mark.parametrize(("name", "options", "expected"), REPORT_FAULTS, ids=lambda v: str(v)[:24])
def test_reports_are_doubled_lost_swapped_split_or_cut_off(name: str, options: Any, expected: list[str]) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def act() -> None:
            if name:
                arm(server, name, **options)
            order = await buy(client)
            assert order["filled"] == 0.01

        events = await reports_of(server, act, to_the_end=name == "F11")
        assert executions(events) == expected
        assert ("CLOSED" in events or "ERROR" in events) is (name == "F11")

    play(script)


def test_a_report_comes_before_the_reply() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F9", seconds=0.3)
        watching = asyncio.create_task(client.watch_orders("BTC/USDT"))
        while not any(e["name"].startswith("userData") for e in server.log.since(0)):
            await asyncio.sleep(0.01)
        order = asyncio.create_task(buy(client))
        await watching
        assert not order.done()
        assert (await order)["status"] == "closed"

    play(script)


@pytest.mark.parametrize("how", ["event", "shutdown"])
def test_the_private_stream_is_terminated(how: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        async def act() -> None:
            arm(server, "F12", how=how)

        events = await reports_of(server, act, to_the_end=how == "shutdown")
        told = [e if isinstance(e, str) else e["e"] for e in events]
        assert told == ["eventStreamTerminated"] if how == "event" else told[0] == "serverShutdown" and told[1] in ("CLOSE", "CLOSING")

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


def test_a_handshake_is_refused() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F16", status=503)
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(server.described()["ws_url"] + "/stream/ws/0")
            assert caught.value.status == 503
            await (await session.ws_connect(server.described()["ws_url"] + "/stream/ws/0")).close()

    play(script)


@pytest.mark.parametrize(("name", "missed"), [("F17", 0), ("F24", 5)])
def test_the_server_goes_down_and_comes_back_with_the_same_state(name: str, missed: int) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        bought = await buy(client)
        arm(server, name, seconds=0.5)
        await asyncio.sleep(0.2)
        with pytest.raises(ccxt.NetworkError):
            await client.fetch_time()
        await asyncio.sleep(0.6)
        assert (await lookup(client))["id"] == bought["id"]
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


async def closes_seen(server: SandboxServer, act: Callable[[], Awaitable[None]]) -> list[Any]:
    """The closed candles, or broken messages, that a raw market socket receives."""
    got: list[Any] = []
    async with aiohttp.ClientSession() as session, session.ws_connect(server.described()["ws_url"] + "/ws/btcusdt@kline_1m") as socket:
        await asyncio.sleep(0.05)
        await act()
        try:
            while True:
                message = await socket.receive(timeout=0.4)
                try:
                    k = message.json()["k"]
                    if k["x"]:
                        got.append((k["t"] // 60_000 % 1000, k["c"]))
                except ValueError:
                    got.append("broken")
        except TimeoutError:
            return got


@pytest.mark.parametrize("how", ["late", "revised", "duplicate", "out of order", "malformed", "missing"])
def test_a_closed_candle_is_spoilt_on_its_way(how: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        first = server.venue.exchange.listings["BTC/USDT"].bar.start // 60_000 % 1000

        async def act() -> None:
            if how == "missing":
                arm(server, "F21")
                server.venue.driver.advance()
            else:
                arm(server, "F22", how=how, seconds=0.2)
            server.venue.driver.advance()
            server.venue.driver.advance()

        seen = await closes_seen(server, act)
        starts = [s if s == "broken" else s[0] - first for s in seen]
        expected = {
            "late": [1, 0], "revised": [0, 1, 0], "duplicate": [0, 0, 1], "out of order": [1, 0], "malformed": ["broken", 0, 1],
            "missing": [0, 2],
        }  # fmt: skip
        assert starts == expected[how]
        if how == "revised":
            assert seen[0][1] != seen[2][1]

    play(script)


def test_the_candle_request_lags_behind_the_socket() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        whole = await client.fetch_ohlcv("BTC/USDT", "1m", limit=5)
        arm(server, "F23", bars=1)
        assert (await client.fetch_ohlcv("BTC/USDT", "1m", limit=3)) == whole[:-2]

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


def test_a_cancel_loses_the_race_against_a_fill() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        order = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 20_000.0)
        arm(server, "F28")
        with pytest.raises(ccxt.OrderNotFound):
            await client.cancel_order(order["id"], "BTC/USDT")
        assert (await client.fetch_order(order["id"], "BTC/USDT"))["filled"] == 0.01

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


@pytest.mark.parametrize(("how", "executed"), [("before", 0), ("after", 1), ("partial", 1)])
def test_the_trading_process_is_killed_at_a_point_of_its_order(how: str, executed: int) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
        arm(server, "F30", pid=victim.pid, how=how)
        arm(server, "F4", after_bars=99)  # keeps the order itself untouched
        order = await buy(client)
        assert victim.wait(5) == -9
        assert len(server.venue.exchange.order_index.orders) == 1
        assert order["filled"] == (0.005 if how == "partial" else 0.01)

    play(script)


def test_the_trading_process_is_asked_to_end_while_it_holds_a_position() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        victim = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
        arm(server, "F31", pid=victim.pid)
        await buy(client)
        assert victim.wait(5) == -15

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


def test_an_execution_leaves_dust() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F39")
        order = await client.create_order("BTC/USDT", "limit", "buy", 0.01, 999_999.0)
        assert 0 < order["remaining"] * order["average"] < 5

    play(script)


def test_a_faulty_day_repeats_exactly_with_the_same_seed() -> None:
    def fired(seed: int) -> list[str]:
        told: list[str] = []
        board = Switchboard(seed, lambda: 0, lambda name, facts: told.append(name))
        board.arm("F40", {"probability": 0.05})
        for _ in range(2000):
            for name in CATALOGUE:
                board.fire(name, "BTC/USDT", on="place")
        return told

    assert fired(1) == fired(1)
    assert fired(1) != fired(2)
    assert len(set(fired(1))) > 10


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_fault_of_the_catalogue_can_be_armed_by_name(name: str) -> None:
    assert set(CATALOGUE[name].options) <= set(read_options(name, {}))


BAD = [
    ("F99", {}, UnknownSetting, "did you mean"),
    ("F1", {"cuont": 2}, UnknownSetting, "did you mean 'count'"),
    ("F1", {"count": "two"}, InvalidSetting, "must be a number"),
    ("F1", {"probability": 2}, InvalidSetting, "probability"),
    ("F34", {}, InvalidSetting, "in the client"),
]


@pytest.mark.parametrize(("name", "options", "kind", "words"), BAD, ids=lambda v: str(v)[:20])
def test_a_wrong_switch_says_what_is_wrong(name: str, options: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        read_options(name, options)


def test_a_fault_file_is_read_and_a_wrong_one_is_named(tmp_path: Any) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("f1: {count: 2}\nF8:\n")
    assert read_faults(path) == {"F1": {"count": 2}, "F8": {}}
    path.write_text("[F1, F2]")
    assert read_faults(path) == {"F1": {}, "F2": {}}
    for text in ("F1: 3", "just words", "{", "F1: {count: -1}"):
        path.write_text(text)
        with pytest.raises(ConfigError):
            read_faults(path)


def test_the_control_endpoint_arms_and_clears_a_fault() -> None:
    with start_sandbox(speed="lockstep") as venue:
        assert venue.arm("F1", count=3)["F1"]["left"] == 3
        assert venue.disarm("F1") == {}
        with pytest.raises(ConfigError, match="no such fault"):
            venue.arm("F77")
        venue.admin_token = "wrong"
        with pytest.raises(ConfigError, match="token"):
            venue.state()


def test_a_fault_that_has_nothing_to_act_on_does_not_stop_the_market() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        arm(server, "F29", how="withdrawal", amount=5, after_bars=1, count=0)
        for _ in range(3):
            assert server.venue.driver.advance()
        assert server.venue.driver.played == 3

    play(script)
