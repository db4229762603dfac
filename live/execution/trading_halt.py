"""The trading halt of an account: why no order is sent any more, and what triggers it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import ReconciliationFailed, StorageFull, StoreDamaged, TradingError, VenueRefused
from forwardtrader.live.execution.events import AccountEvent, Halted
from forwardtrader.live.venue.ccxt_errors import OrderOutcome, classify, names_of

_LOG: Final = log.logger("live")


class TradingHalt:
    """Halts the account where its venue refuses the key, or its journal cannot be written.

    Args:
        notify: receives `Halted`, once for each halt.

    Attributes:
        reason: why the account is halted; "" while it trades.
        error: the kind of that reason, for a start that it ends.
    """

    def __init__(self, notify: Callable[[AccountEvent], None]) -> None:
        self.reason = ""
        self.error: type[TradingError] = ReconciliationFailed
        self._notify = notify
        self._tasks: set[asyncio.Task[None]] = set()

    def halt(self, reason: str, *, unwritable: bool = False, error: type[TradingError] = ReconciliationFailed) -> None:
        """Halt the account, unless it is halted already."""
        if not self.reason:
            self.reason, self.error = reason, error
            self._notify(Halted(reason, unwritable))

    def on_error(self, error: BaseException | None) -> bool:
        """Halt if a venue's answer says that it takes no orders from this key or account; returns whether it does."""
        if error is None or classify(names_of(error), str(error)) is not OrderOutcome.HALT:
            return False
        reason = " ".join(log.redact(str(error)).split())[:200]
        self.halt(f"the venue does not accept the key, or restricts the account: {reason}", error=VenueRefused)
        return True

    @contextmanager
    def on_storage_error(self) -> Iterator[None]:
        """Halt if the journal cannot be written in the block; the error goes on."""
        try:
            yield
        except (StorageFull, StoreDamaged) as error:
            self.halt(str(error), unwritable=True, error=type(error))
            raise

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run work whose failure is only logged, unless the journal cannot be written or the key is refused."""
        try:
            with self.on_storage_error():
                await work()
        except TradingError as error:
            log.event(_LOG, "account_check_failed", reason=str(error))
            self.on_error(error.__cause__)

    def attempt_later(self, work: Callable[[], Awaitable[None]]) -> None:
        """As `attempt`, in a task of its own."""
        task = asyncio.ensure_future(self.attempt(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
