"""Queries of one account's client: retried, translated, and held back while the venue is over its rate limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import VenueRefused, VenueUnreachable
from forwardtrader.core.retry import Backoff, Cooldown, Retry
from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.venues.exchange import UNREADABLE, rules_of, translated
from forwardtrader.feeds.venues.retry import VenueRequests
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.ccxt_errors import OrderOutcome, classify, names_of

T = TypeVar("T")
_LOG: Final = log.logger("live")
_ATTEMPTS: Final = 5
_BUSY_S: Final = 1.0  # the pause of a venue that names no time
_TICK_SIZE: Final = 4  # ccxt's precision mode in which precisions are tick sizes


class VenueQueries:
    """Read-only requests, which may be repeated. Orders wait their turn here too.

    Args:
        first_wait_s: before the first retry; doubled each time.
    """

    def __init__(self, client: CcxtClient, first_wait_s: float) -> None:
        self._client = client
        self._known: dict[str, MarketRules] = {}
        self._cooldown = Cooldown()
        self._retry = Retry(backoff=Backoff(first_s=first_wait_s, attempts=_ATTEMPTS), on_retry=_log_retry)

    async def wait_turn(self) -> None:
        """Wait until the venue takes requests again."""
        await self._cooldown.wait()

    def pause(self) -> None:
        """The venue is over its rate limit: send nothing for as long as it asks."""
        asked = str((self._client.last_response_headers or {}).get("Retry-After", ""))
        self._cooldown.extend(float(asked) if asked.replace(".", "", 1).isdigit() else _BUSY_S)

    async def ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """The answer, after a few retries where there is none.

        Raises:
            VenueUnreachable, VenueRefused: no answer, or a refusal.
        """
        return await self._retry.call_async(partial(self._attempt, request))

    async def once(self, request: Callable[[], Awaitable[T]]) -> T:
        """As `ask`, without a retry."""
        await self.wait_turn()
        try:
            return await request()
        except Exception as error:  # every error of ccxt, by its name, and of its reading; all others go through
            names = names_of(error)
            if "BaseError" in names:
                outcome = classify(names, str(error))
                if outcome is OrderOutcome.BUSY:
                    self.pause()
                if outcome is OrderOutcome.HALT:  # some come under the name of a rate limit, which waiting does not lift
                    raise VenueRefused(f"{self._client.id} does not accept the key, or restricts the account: {_line(error)}") from error
                raise translated(error, self._client.id, self._client.last_response_headers) from error
            if isinstance(error, (*UNREADABLE, OSError)):
                raise VenueUnreachable(f"{self._client.id} sent an answer that cannot be read ({type(error).__name__})") from error
            raise

    def rules(self, symbols: Iterable[str]) -> tuple[MarketRules, ...]:
        """What the venue accepts, by the markets that were loaded last."""
        return tuple(self._rules_of(symbol) for symbol in symbols)

    def _rules_of(self, symbol: str) -> MarketRules:
        """Those of a symbol that the venue lists no more are the last ones."""
        client, ticks = self._client, self._client.precisionMode == _TICK_SIZE
        if symbol in client.markets or symbol not in self._known:
            self._known[symbol] = rules_of(client.markets[symbol], client.id, ticks=ticks)
        return self._known[symbol]

    async def _attempt(self, request: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self.once(request)
        except VenueUnreachable as error:
            if type(error.__cause__).__name__ == "InvalidNonce":  # a clock jumped: without the new difference no signature is valid
                await self.once(self._client.load_time_difference)
            raise


def _line(error: Exception) -> str:
    return " ".join(log.redact(str(error)).split())[:200]


def _log_retry(error: Exception, pause_s: float) -> None:
    log.event(_LOG, "venue_asked_again", reason=str(error)[:200], wait_s=pause_s)


async def clock_offset(client: CcxtClient, clock: Clock) -> float | None:
    """Seconds that `clock` is ahead of the venue, half a round trip taken off; None where the venue has no call for its time.

    Raises:
        VenueUnreachable, VenueRefused: no answer, or a refusal.
    """
    if not client.has.get("fetchTime"):
        return None
    before = clock.now().timestamp()
    theirs = await VenueRequests(client).once(client.fetch_time)
    return (before + clock.now().timestamp()) / 2 - float(theirs) / 1000
