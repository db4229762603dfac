"""Requests to a venue through one asynchronous client: ccxt errors translated, retries, the cooldown after a rate limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.errors import VenueBusy, VenueUnreachable
from forwardtrader.core.retry import Backoff, Cooldown, Retry
from forwardtrader.feeds.venues.exchange import UNREADABLE, translated

T = TypeVar("T")
_LOG: Final = log.logger("feeds")
_BACKOFF: Final = Backoff(first_s=0.1, attempts=4)
_BUSY_S: Final = 1.0  # the cooldown of a venue that names no time


class VenueRequests:
    """Read-only requests of one client.

    Raises (both methods):
        VenueUnreachable, VenueRefused, VenueBusy: what ccxt raised, translated.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._cooldown = Cooldown()
        self._retry = Retry(backoff=_BACKOFF, on_retry=_log_retry)

    async def retried(self, request: Callable[[], Awaitable[T]]) -> T:
        """The answer, with a few retries; for requests, not for subscriptions, which reconnect at their own pace."""
        return await self._retry.call_async(partial(self.once, request))

    async def once(self, request: Callable[[], Awaitable[T]]) -> T:
        """The answer to a single attempt, or the next message of a subscription."""
        import ccxt

        await self._cooldown.wait()
        try:
            return await request()
        except ccxt.BaseError as error:
            trouble = translated(error, self._client.id, getattr(self._client, "last_response_headers", None))
            if isinstance(trouble, VenueBusy):
                self._cooldown.extend(trouble.retry_after_s or _BUSY_S)
            raise trouble from error
        except (*UNREADABLE, OSError) as error:
            raise VenueUnreachable(f"{self._client.id} sent an answer that cannot be read ({type(error).__name__})") from error


def _log_retry(error: Exception, pause_s: float) -> None:
    log.event(_LOG, "request_retried", reason=str(error)[:200], wait_s=pause_s)
