"""An event loop with virtual time: it never waits, it jumps to the next timer."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
from asyncio import events
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from datetime import UTC, datetime
from typing import Any, Final

# Which life of the trading process a callback belongs to; 0 is the world around it: venue, network, market.
LIFE: Final[ContextVar[int]] = ContextVar("life", default=0)
_RESOLUTION_S: Final = 1e-6
_EPOCH_S: Final = 1_700_000_040.0  # where virtual time begins: on a minute


class Stuck(Exception):
    """No progress: nothing will ever happen again, or it goes on and on."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Callbacks run in the order that asyncio promises; timers when virtual time has reached them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.ends = math.inf  # virtual seconds by which everything has to be over
        self._clock_resolution = _RESOLUTION_S
        self.tasks: dict[int, list[asyncio.Task[Any]]] = {}  # by life, in the order of their making
        self._of_world: list[asyncio.Task[Any]] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(lambda _loop, _context: None)

    def time(self) -> float:
        return self.now

    def pump(self, is_done: Callable[[], bool], timeout_s: float) -> bool:
        """Let things happen until `is_done`, or `timeout_s` virtual seconds have passed; returns whether it is done."""
        end = self.now + timeout_s
        timer = self.call_at(end, bool)
        outer = events._get_running_loop()
        events._set_running_loop(self)
        try:
            while not is_done():
                if self.now > self.ends:
                    raise Stuck(f"it still runs after {self.now / 86400:.1f} days")
                if self.now + _RESOLUTION_S >= end:
                    return is_done()
                self._run_once()
            return True
        finally:
            events._set_running_loop(outer)
            timer.cancel()

    def _run_once(self) -> None:
        """One turn, as asyncio's; in the place of waiting the clock is moved to the next timer."""
        ready, timers = self._ready, self._scheduled
        while timers and timers[0]._cancelled:
            heapq.heappop(timers)._scheduled = False
        if not ready:
            if not timers:
                raise Stuck("no timer is set and nothing is ready")
            self.now = max(self.now, timers[0]._when)
        due = self.now + _RESOLUTION_S
        while timers and timers[0]._when < due:
            handle = heapq.heappop(timers)
            handle._scheduled = False
            ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is left out when its time comes."""

    def in_world(self, delay_s: float, callback: Callable[..., object], *args: object) -> asyncio.TimerHandle:
        """Call back later on behalf of the world, whatever becomes of the present life."""
        return self.call_at(self.now + delay_s, callback, *args, context=Context())

    def world_task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine on behalf of the world; no process that winds up its tasks sees it."""
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, context=Context())
        asyncio.tasks._unregister_task(task)
        self._of_world = [each for each in self._of_world if not each.done()] if len(self._of_world) > 64 else self._of_world
        self._of_world.append(task)
        return task

    def finish(self) -> None:
        """End the world."""
        for task in self._of_world:
            task.cancel()
        self.pump(lambda: all(task.done() for task in self._of_world), 0.001)
        self.close()

    def end_life(self, life: int) -> None:
        """Cancel everything that a dead process was doing; its I/O has no effect any more."""
        for _ in range(200):
            pending = [task for task in self.tasks.get(life, []) if not task.done()]
            if not pending:
                break
            for task in pending:
                task.cancel()
            with contextlib.suppress(KeyboardInterrupt):  # what killed it goes up through every task that waits for another
                self.pump(lambda: all(task.done() for task in pending), 0.001)  # noqa: B023 - called within the turn
        self.tasks.pop(life, None)
        self._scheduled = [handle for handle in self._scheduled if handle._context.get(LIFE, 0) != life]
        heapq.heapify(self._scheduled)
        for handle in [handle for handle in self._ready if handle._context.get(LIFE, 0) == life]:
            handle.cancel()

    def _make_task(self, _loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(work, loop=self, context=context)
        life = LIFE.get() if context is None else context.get(LIFE, 0)
        known = self.tasks.setdefault(life, [])
        known.append(task)
        if len(known) > 512:
            self.tasks[life] = [each for each in known if not each.done()]
        return task

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """At once: there is one thread."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is handed on
            future.set_exception(error)
        return future

    async def shutdown_asyncgens(self) -> None:
        """The loop outlives every process."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    def _write_to_self(self) -> None:
        """Nobody waits."""


class VirtualClock:
    """The wall clock of the simulated world; `skew_s` is the error of this machine's."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.skew_s = 0.0

    def seconds(self) -> float:
        return _EPOCH_S + self._loop.now + self.skew_s

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds(), UTC)
