"""Retry with exponential backoff, and the cooldown after a rate limit.

Only idempotent calls may be retried: reads, lookups, cancels. `create_order` is never retried. A request whose answer was lost may have
been executed, and a second one buys twice: an order is sent once and then looked up by its client id.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from forwardtrader.core.errors import VenueBusy, VenueUnreachable

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Exponential backoff: the pause doubles with each failure in a row, from `first_s` up to `longest_s` seconds.

    Args:
        attempts: how many calls at most, the first included; None for no limit.
        within_s: how long after the start of the first call the last one may start; the pause before it is cut to fit. None for no limit.
    """

    first_s: float
    longest_s: float = 60.0
    attempts: int | None = None
    within_s: float | None = None

    def pause(self, failures: int) -> float:
        """Seconds to wait after that many failures in a row; 1 is the first."""
        doublings = min(failures - 1, 64)  # enough for any pause, and no number too large for a float
        return min(self.longest_s, self.first_s * 2.0**doublings)


def is_unreachable(error: Exception) -> bool:
    """Whether a venue did not answer, or asked for fewer requests: the usual predicate for reads."""
    return isinstance(error, VenueUnreachable)


def _ignore(_error: Exception, _pause_s: float) -> None:
    """The default of `Retry.on_retry`."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A retry policy for idempotent calls; never for `create_order`.

    A venue that names a time to wait (`VenueBusy.retry_after_s`) is given at least that, up to `backoff.longest_s`.

    Args:
        retryable: whether a call that raised this error may be repeated; any other error is raised at once.
        on_retry: called with the error and the pause in seconds, before each pause.
        clock: seconds that never run backwards; read only where `backoff.within_s` is set.
    """

    backoff: Backoff
    retryable: Callable[[Exception], bool] = is_unreachable
    on_retry: Callable[[Exception, float], object] = _ignore
    clock: Callable[[], float] = time.monotonic

    def call(self, function: Callable[[], T], *, sleep: Callable[[float], object] = time.sleep) -> T:
        """The result of `function`; the last error where all attempts failed, or one that is not retryable."""
        failures = _Failures(self)
        while True:
            try:
                return function()
            except Exception as error:
                pause = failures.pause_after(error)
                if pause is None:
                    raise
            sleep(pause)

    async def call_async(
        self, function: Callable[[], Awaitable[T]], *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> T:  # fmt: skip
        """As `call`, for a coroutine function."""
        failures = _Failures(self)
        while True:
            try:
                return await function()
            except Exception as error:
                pause = failures.pause_after(error)
                if pause is None:
                    raise
            await sleep(pause)


class _Failures:
    """The failures in a row of one call."""

    def __init__(self, policy: Retry) -> None:
        within_s = policy.backoff.within_s
        self._policy = policy
        self._count = 0
        self._until = None if within_s is None else policy.clock() + within_s

    def pause_after(self, error: Exception) -> float | None:
        """Seconds to wait before the next attempt; None where there is none."""
        policy, backoff = self._policy, self._policy.backoff
        self._count += 1
        left = float("inf") if self._until is None else self._until - policy.clock()
        if not policy.retryable(error) or left <= 0 or self._count == backoff.attempts:
            return None
        asked = error.retry_after_s if isinstance(error, VenueBusy) else None
        pause = min(max(asked or 0.0, backoff.pause(self._count)), backoff.longest_s, left)
        policy.on_retry(error, pause)
        return pause


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


class Cooldown:
    """The pause that a venue asks for when it is over its rate limit, shared by all requests of one client.

    A request sent into a ban makes it longer, so every request waits here first.

    Args:
        clock: seconds that never run backwards; those of the running event loop where None.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or _loop_time
        self._until = 0.0

    def extend(self, seconds: float) -> None:
        """Let no request through for that long from now on; a longer pause stays in force."""
        self._until = max(self._until, self._clock() + seconds)

    async def wait(self, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Return when requests are allowed again."""
        while (left := self._until - self._clock()) > 0:
            await sleep(left)
