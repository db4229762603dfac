"""Access to a session's account without the session: a client of its own, and the session's journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.feeds.live.client import open_client
from forwardtrader.live.bridge.recovery import rebuilt
from forwardtrader.live.bridge.venue_thread import VenueThread
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import AccountEvent, StandsStill
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.execution.recovery.journal_file import open_journal
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.client_ids import own_prefixes

T = TypeVar("T")
_LOG: Final = log.logger("live")
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class AccountAccess:
    """Where an account is, and the keys to it, as ccxt takes them. `run` is the prefix of the session's client ids."""

    exchange: str
    keys: Mapping[str, str]
    base_url: str
    ws_url: str
    journal: str
    symbols: tuple[str, ...]
    run: str = ""


class LoneAccount:
    """An account that is held by nobody else now: whoever makes one holds the session's lock, or has ended its process.

    The client is made ready at once, which takes seconds; the journal is opened only when there is something to do.

    Raises:
        VenueUnreachable, VenueRefused: from `use` as well.
    """

    def __init__(self, access: AccountAccess) -> None:
        self._access = access
        self._loop = VenueThread()
        self._loop.start()
        self._client: CcxtClient = open_client(
            access.exchange, linear=any(":" in symbol for symbol in access.symbols), keys=dict(access.keys), base_url=access.base_url,
            ws_url=access.ws_url,
        )  # fmt: skip

    @property
    def run(self) -> str:
        """The prefix of the session's client ids."""
        return self._access.run

    def prepare(self) -> None:
        """Read the venue's markets, which every request needs."""
        self._loop.call(self._account(Journal(":memory:")).connect(), _PATIENCE_S)

    def use(self, work: Callable[[CcxtAccount], Coroutine[object, object, T]]) -> T:
        """Do something with the account and its journal.

        Raises:
            StoreDamaged, StorageFull: the journal is of a newer version, or cannot be written.
        """
        journal = open_journal(Path(self._access.journal))
        try:
            self._rebuild(journal)
            return self._loop.call(work(self._account(journal)), _PATIENCE_S)
        finally:
            journal.close()

    def close(self) -> None:
        self._loop.stop(self._client.close)

    def _rebuild(self, journal: Journal) -> None:
        """Put back what a journal that was lost had, as far as the venue lists it: what is known is acted on."""
        try:
            rebuilt(self._account(journal), self._loop, own_prefixes(self.run, journal.oldest()), None, (), _log_stop)
        except ReconciliationFailed as error:
            log.event(_LOG, "journal_not_rebuilt", logging.WARNING, reason=str(error))

    def _account(self, journal: Journal) -> CcxtAccount:
        return CcxtAccount(self._client, journal, self._access.symbols, _unheard)


def _log_stop(event: AccountEvent) -> None:
    """What a journal that was put back lacks; the next start's session has no other way to know."""
    if isinstance(event, StandsStill):
        log.event(_LOG, "stop_stands_still", logging.WARNING, symbol=event.symbol, order=event.client_id, what=event.what)


def _unheard(_event: AccountEvent) -> None:
    """The journal has what happened; nobody else listens."""
