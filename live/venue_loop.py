"""The event loop in which everything that talks to a venue runs, in a thread of its own beside Backtrader's."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from core import log

T = TypeVar("T")
# Seconds after which Python lets another thread go on. Its own 5 ms are how long an order would wait, at every step of its way, for
# whatever Backtrader's thread is busy with; a tenth of that costs nothing that can be measured.
_SWITCH_S: Final = 0.0005
_LOG = log.logger("live")


class VenueLoop:
    """Start it, hand it coroutines, stop it; `stop` cancels what is still running."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: set[Future[Any]] = set()
        self._interval = 0.0

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def start(self) -> None:
        if self._thread is not None:
            return
        ready = threading.Event()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._interval, _SWITCH_S))
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="venue", daemon=True)
        self._thread.start()
        ready.wait()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run `work` and wait for its result, from another thread. Raises what it raises, or TimeoutError."""
        return self._submit(work).result(timeout_s)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run `work` beside everything else; a failure nobody expected goes to the log."""
        future = self._submit(work)
        self._running.add(future)
        future.add_done_callback(self._finished)
        return future

    def stop(self, *closing: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Cancel what runs, then close what `closing` names, then end the thread."""
        if self._loop is None or self._thread is None:
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_wind_up(closing), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()
        self._loop = self._thread = None
        sys.setswitchinterval(self._interval)

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            work.close()
            raise RuntimeError("the venue loop is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _finished(self, future: Future[Any]) -> None:
        self._running.discard(future)
        if not future.cancelled() and (error := future.exception()) is not None:
            _LOG.error("venue task failed", exc_info=error)

    def _serve(self, ready: threading.Event) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(_quiet)
        self._loop.call_soon(ready.set)
        self._loop.run_forever()


async def _wind_up(closing: Iterable[Callable[[], Coroutine[Any, Any, Any]]]) -> None:
    """Tasks first: one that still runs would open a closed connection again."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for close in closing:
        try:
            await asyncio.wait_for(close(), 3)
        except Exception as error:  # noqa: BLE001 - a connection that does not close in time is abandoned, and said so
            log.event(_LOG, "connection_not_closed", error=type(error).__name__)
    await asyncio.sleep(0.05)  # transports close in the next turns of the loop
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()


def _quiet(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # A broken socket rejects every pending watch of ccxt, also those that nobody awaits any more; the redial reports it once.
    log.event(_LOG, "loop_noise", message=str(context.get("message", "")), error=str(context.get("exception", "")))


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # not on every platform; asyncio's own loop is somewhat slower
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
