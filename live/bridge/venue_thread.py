"""The thread beside Backtrader's whose event loop runs everything that talks to a venue."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from socket import socket
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakSet

from forwardtrader.core import log
from forwardtrader.feeds.live.client import open_client

_Close: TypeAlias = Callable[[], Coroutine[object, object, object]]
T = TypeVar("T")
# Seconds after which Python lets another thread go on. Its own 5 ms are how long an order would wait, at every step of its way, for
# whatever Backtrader's thread is busy with; a fiftieth of that costs nothing that can be measured.
SWITCH_S: Final = 0.0001
_CLOSING_S: Final = 2.0  # how long a venue may take to answer the end of a connection
_LONGEST_END_S: Final = 10.0
_ROUNDS: Final = 3
_TURNS: Final = 3  # of the loop, in which transports close that were asked to
_LOG = log.logger("live")


class VenueThread:
    """Start it, hand it coroutines, stop it; `stop` cancels what is still running.

    It is also the port through which a store meets its machine: time, waiting and connections. A simulation puts its own in its place.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: set[Future[None]] = set()
        self._failure: Exception | None = None
        self._interval = 0.0

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is not None:
            return
        ready = threading.Event()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._interval, SWITCH_S))
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="venue", daemon=True)
        self._thread.start()
        ready.wait()

    def monotonic(self) -> float:
        """Seconds that never run backwards, for both threads."""
        return time.monotonic()

    def condition(self) -> threading.Condition:
        """A condition on which another thread waits for this one."""
        return threading.Condition()

    def wait(self, event: threading.Event, timeout_s: float) -> None:
        """Block another thread until this one sets `event`, or `timeout_s` seconds have passed."""
        event.wait(timeout_s)

    def open_client(
        self, exchange: str, *, linear: bool = False, keys: dict[str, str] | None = None, base_url: str = "", ws_url: str = ""
    ) -> Any:
        """A client whose connections this thread serves; arguments and errors as of `feeds.live.client.open_client`."""
        return open_client(exchange, linear=linear, keys=keys, base_url=base_url, ws_url=ws_url)

    def call(self, work: Coroutine[object, object, T], timeout_s: float | None = None) -> T:
        """Run `work` and wait for its result, from another thread. Raises what it raises, or TimeoutError."""
        return self._submit(work).result(timeout_s)

    def spawn(self, work: Coroutine[object, object, None]) -> Future[None]:
        """Run `work` in the background; an unexpected failure is logged, and raised by `require_whole`."""
        future = self._submit(work)
        self._running.add(future)
        future.add_done_callback(self._finished)
        return future

    def fail(self, error: Exception) -> None:
        """Something in this thread ended that nobody should trade without: bars or reports of orders would be missing from then on."""
        _LOG.error("venue task failed", exc_info=error)
        self._failure = self._failure or error

    def require_whole(self) -> None:
        """Raise the first failure, if there was one."""
        if self._failure is not None:
            raise self._failure

    def stop(self, *closing: _Close) -> None:
        """Cancel what runs, then close what `closing` names, then end the thread; no socket is left open."""
        if self._loop is None or self._thread is None:
            return
        try:
            asyncio.run_coroutine_threadsafe(_wind_up(closing), self._loop).result(_LONGEST_END_S)
        except TimeoutError:
            log.event(_LOG, "venue_loop_not_wound_up")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LONGEST_END_S)
        if self._thread.is_alive():
            log.event(_LOG, "venue_loop_does_not_stop")
        else:
            self._loop.close()
        self._loop = self._thread = None
        sys.setswitchinterval(self._interval)

    def _submit(self, work: Coroutine[object, object, T]) -> Future[T]:
        if self._loop is None:
            work.close()
            raise RuntimeError("the venue loop is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _finished(self, future: Future[None]) -> None:
        self._running.discard(future)
        if not future.cancelled() and isinstance(error := future.exception(), Exception):
            self.fail(error)

    def _serve(self, ready: threading.Event) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_quiet)
        self._loop.call_soon(ready.set)
        self._loop.run_forever()


async def _wind_up(closing: Sequence[_Close]) -> None:
    """Tasks first: one that still runs would open a closed connection again."""
    await _cancel_all()
    open_still = await _close(closing, _CLOSING_S)
    await _cancel_all()  # what closing began, and close messages that stay unanswered
    if not_closed := await _close(open_still, _CLOSING_S):
        log.event(_LOG, "connections_not_closed", count=len(not_closed))
    for connection in list(getattr(asyncio.get_running_loop(), "connections", ())):
        connection.abort()  # one with something still to be sent would wait for whoever does not read it
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


async def _cancel_all() -> None:
    """Cancel every other task, and those that start on the way, until none is left."""
    for _ in range(_ROUNDS):
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not others:
            return
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=_CLOSING_S)


async def _close(closing: Sequence[_Close], wait_s: float) -> list[_Close]:
    """Close all at once; returns those that did not come to an end in time."""
    ends = await asyncio.gather(*(asyncio.wait_for(close(), wait_s) for close in closing), return_exceptions=True)
    return [close for close, end in zip(closing, ends, strict=True) if isinstance(end, BaseException)]


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    # A broken socket rejects every pending watch of ccxt, also those that nobody awaits any more; the redial reports it once.
    log.event(_LOG, "loop_noise", message=str(context.get("message", "")), error=str(context.get("exception", "")))


def new_event_loop() -> asyncio.AbstractEventLoop:
    """A loop of uvloop's kind; asyncio's own, somewhat slower, on platforms that lack it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()

    class Loop(uvloop.Loop):
        """uvloop's, with its connections, and without a fault of it.

        It closes the descriptor of a connection that is cancelled half way but leaves its number to the Python socket. Whenever that
        socket was collected, it would close the number once more: by then another socket's, or the journal's.

        Attributes:
            connections: their transports, as long as anything holds them.
        """

        def __init__(self) -> None:
            super().__init__()
            self.connections: WeakSet[asyncio.BaseTransport] = WeakSet()

        # With uvloop's own named arguments: a socket that was given belongs to the transport wherever a cancellation can come.
        async def create_connection(
            self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, *, sock: socket | None = None, **options: Any
        ) -> Any:
            try:
                made: Any = await super().create_connection(protocol_factory, host, port, sock=sock, **options)
            except asyncio.CancelledError:
                if sock is not None:
                    sock.detach()
                raise
            self.connections.add(made[0])
            return made

    return Loop()
