"""The thread that talks to a venue leaves no socket behind, whatever it was doing when it was stopped."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from forwardtrader.feeds.live.client import open_client
from forwardtrader.live.bridge import venue_thread
from forwardtrader.live.bridge.venue_thread import VenueThread, new_event_loop
from tests import PATIENCE_S

NOT_WOUND_UP = "venue_loop_not_wound_up"
_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is reported; a thread is waited for until a busy machine, too, has come to its end, if there is one."""
    kept: list[str] = []
    monkeypatch.setattr(venue_thread, "_LONGEST_END_S", PATIENCE_S)
    monkeypatch.setattr(venue_thread.log, "event", lambda _logger, kind, *_given, **_facts: kept.append(kind))
    return kept


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A port that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield server


@pytest.fixture
def curt(silent: socket.socket) -> Iterator[socket.socket]:
    """A port that shakes hands over a web socket and says nothing more, not even goodbye."""
    ends: list[socket.socket] = []

    def shake_hands() -> None:
        with contextlib.suppress(OSError):
            while True:
                ends.append(silent.accept()[0])
                asked = ends[-1].recv(4096)
                key = next(iter(re.findall(rb"(?i)sec-websocket-key: (\S+)", asked)), b"")
                accept = base64.b64encode(hashlib.sha1(key + _WEBSOCKET).digest())
                ends[-1].sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                    + accept
                    + b"\r\n\r\n"
                )

    thread = threading.Thread(target=shake_hands, daemon=True)
    thread.start()
    yield silent
    silent.shutdown(socket.SHUT_RDWR)
    thread.join()
    for end in ends:
        end.close()


@pytest.fixture(params=["uvloop", "asyncio"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of loop; the second is what is there where uvloop is not."""
    if request.param == "asyncio":
        monkeypatch.setitem(sys.modules, "uvloop", None)
    return str(request.param)


def client_of(server: socket.socket) -> Any:
    host, port = server.getsockname()
    client = open_client("binance", base_url=f"http://{host}:{port}")
    client.markets_loading = None
    client.set_markets([client.safe_market_structure({"id": "BTCUSDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "type": "spot",
                                                      "spot": True, "lowercaseId": "btcusdt", "precision": {}, "limits": {}})])  # fmt: skip
    return client


def open_sockets() -> int:
    """Sockets of this process, whatever Python knows of them; those that only wait to be collected are none."""
    gc.collect()
    return len(psutil.Process().net_connections("tcp"))


def is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def cancel_half_way(server: socket.socket) -> int:
    """The number that the socket of a cancelled connection had."""
    end = socket.create_connection(server.getsockname())
    end.setblocking(False)
    number = end.fileno()

    async def cancel() -> None:
        loop = asyncio.get_running_loop()
        opening = loop.create_task(loop.create_connection(asyncio.Protocol, sock=end))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        while is_open(number):
            await asyncio.sleep(0)

    loop = new_event_loop()
    loop.run_until_complete(asyncio.wait_for(cancel(), PATIENCE_S))
    loop.close()
    return number


def test_a_connection_cancelled_half_way_does_not_close_what_gets_its_number(kind: str, silent: socket.socket) -> None:
    gc.disable()
    try:
        number = cancel_half_way(silent)
        reader, writer = os.pipe()
    finally:
        gc.enable()
    assert number in (reader, writer)
    gc.collect()
    os.write(writer, b"x")
    assert os.read(reader, 1) == b"x"
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 20])
def test_stopped_at_any_turn_of_connecting_no_socket_is_left(kind: str, turns: int, silent: socket.socket, events: list[str]) -> None:
    loop, client, before = VenueThread(), client_of(silent), open_sockets()
    loop.start()

    async def begin() -> None:
        asked = [asyncio.ensure_future(work) for work in (client.fetch_time(), client.watch_ohlcv("BTC/USDT", "1m"))]
        for _ in range(turns):
            await asyncio.sleep(0)
        assert len(asked) == 2

    loop.call(begin())
    loop.stop(client.close)
    assert NOT_WOUND_UP not in events
    assert open_sockets() == before


def test_a_venue_that_does_not_say_goodbye_is_not_waited_for(kind: str, curt: socket.socket, events: list[str]) -> None:
    loop, client, before = VenueThread(), client_of(curt), open_sockets()
    loop.start()
    loop.spawn(client.watch_ohlcv("BTC/USDT", "1m"))

    async def connected() -> None:
        while not any(each.isConnected for each in client.clients.values()):
            await asyncio.sleep(0.001)

    loop.call(connected(), PATIENCE_S)
    loop.stop(client.close)
    assert NOT_WOUND_UP not in events
    assert client.session is None
    assert open_sockets() <= before + 1  # the server's own end


def test_a_connection_with_something_still_to_be_sent_is_closed_at_the_end_though_nobody_reads_it() -> None:
    """What is left open warns, and here a warning fails the test."""
    thread = VenueThread()
    thread.start()
    with socket.create_server(("127.0.0.1", 0)) as deaf:

        async def send() -> None:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *deaf.getsockname())
            transport.write(bytes(64_000_000))
            transport.close()
            kept.append(transport)

        kept: list[Any] = []
        thread.call(send())
        thread.stop()
    gc.collect()
