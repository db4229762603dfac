"""Questions to a venue: again where it does not answer, and not while it has asked for peace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.errors import VenueBusy, VenueUnreachable
from forwardtrader.feeds.venues.exchange import translated

_LOG: Final = log.logger("feeds")
_QUESTIONS: Final = 4
_FIRST_WAIT_S: Final = 0.1
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)


class Questions:
    """What is asked of one client.

    Raises (all methods):
        VenueUnreachable, VenueRefused, VenueBusy: what ccxt raised, in our words.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._pause_until = 0.0

    async def again(self, question: Callable[[], Any]) -> Any:
        """Ask a few times at growing distances; for questions, not for what is listened to."""
        for wait in (_FIRST_WAIT_S * 2**n for n in range(_QUESTIONS - 1)):
            try:
                return await self.once(question)
            except VenueUnreachable as trouble:
                log.event(_LOG, "venue_asked_again", reason=str(trouble)[:200], wait_s=wait)
            await asyncio.sleep(wait)
        return await self.once(question)

    async def once(self, question: Callable[[], Any]) -> Any:
        """Ask one time, or listen."""
        import ccxt

        while (left := self._pause_until - time.monotonic()) > 0:  # one sent into a ban makes it longer
            await asyncio.sleep(left)
        try:
            return await question()
        except ccxt.BaseError as error:
            trouble = translated(error, self._client.id, getattr(self._client, "last_response_headers", None))
            if isinstance(trouble, VenueBusy):
                self._pause_until = time.monotonic() + (trouble.retry_after_s or 1.0)
            raise trouble from error
        except (*_UNREADABLE, OSError) as error:
            raise VenueUnreachable(f"{self._client.id} sent an answer that cannot be read ({type(error).__name__})") from error
