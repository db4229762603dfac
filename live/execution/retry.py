"""What is asked of the venue of an account beside its orders: again where it does not answer, and not while it wants peace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.feeds.venues.exchange import translated
from forwardtrader.live.execution.ccxt_errors import OrderOutcome, classify, names_of

_LOG: Final = log.logger("live")
_QUESTIONS: Final = 5
_UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError)


class VenueQueries:
    """Questions change nothing at the venue, and so may be asked again. Orders take their `turn` here too.

    Args:
        first_wait_s: before a question is asked again; doubled each time.
    """

    def __init__(self, client: Any, first_wait_s: float) -> None:
        self._client = client
        self._first_wait_s = first_wait_s
        self._pause_until = 0.0

    async def turn(self) -> None:
        """Wait until the venue takes requests again: one sent into a ban makes it longer."""
        while (left := self._pause_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def pause(self) -> None:
        """The venue has said that it is asked too much: leave it alone for as long as it wishes."""
        headers = getattr(self._client, "last_response_headers", None) or {}
        said = str(headers.get("Retry-After", ""))
        wait = float(said) if said.replace(".", "", 1).isdigit() else 1.0
        self._pause_until = max(self._pause_until, time.monotonic() + wait)

    async def ask(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, asked for several times where the venue does not give one.

        Raises:
            VenueUnreachable, VenueRefused: no answer, or a refusal.
        """
        for wait in (self._first_wait_s * 2**n for n in range(_QUESTIONS - 1)):
            try:
                return await self.once(question)
            except VenueUnreachable as trouble:
                log.event(_LOG, "venue_asked_again", reason=str(trouble)[:200], wait_s=wait)
                if type(trouble.__cause__).__name__ == "InvalidNonce":  # a clock jumped: without the new difference no signature holds
                    await self.once(self._client.load_time_difference)
            await asyncio.sleep(wait)
        return await self.once(question)

    async def once(self, question: Callable[[], Awaitable[Any]]) -> Any:
        """As `ask`, without asking again."""
        await self.turn()
        try:
            return await question()
        except Exception as error:  # every error of ccxt, by its name, and of its reading; all others go through
            names = names_of(error)
            if "BaseError" in names:
                if classify(names, str(error)) is OrderOutcome.BUSY:
                    self.pause()
                raise translated(error, self._client.id, getattr(self._client, "last_response_headers", None)) from error
            if isinstance(error, _UNREADABLE):
                raise VenueUnreachable(f"{self._client.id} sent an answer that cannot be read ({type(error).__name__})") from error
            raise
