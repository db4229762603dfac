"""The lease of an account, or of a session on paper: which machine trades it, where machines share a store that says so.

A lease is renewed every minute and ends three minutes after the last renewal, by the clock of the store. Whoever takes it gets a token that
is higher than all before (fencing token): a machine that was asleep meanwhile cannot renew, and nothing that it writes replaces what its
successor wrote. Where the store does not answer, the settings say whether trading goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Literal, Protocol

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import AccountLocked, TradingError

_LOG: Final = log.logger("live")
LIFE_S: Final = 180.0
_HEARTBEAT_S: Final = 60.0
_LOOK_S: Final = 1.0  # a machine that slept asks again at once
Outage = Literal["trade", "hold"]


@dataclass(frozen=True)
class Lease:
    """Who trades an account, with which session, and until when (epoch seconds) without another heartbeat.

    Attributes:
        token: grows from holder to holder; 0 for whoever has none yet.
    """

    holder: str
    until: float
    token: int = 0
    session: str = ""

    def after(self, held: Lease | None, now: float) -> Lease:
        """What is in force once this one was asked for: itself, with its token, or the one that is held."""
        if held is None:
            return replace(self, token=max(1, self.token))
        if self.token and (held.holder, held.token) == (self.holder, self.token):
            return self
        if self.token or (held.holder != self.holder and held.until > now):
            return held
        return replace(self, token=held.token + 1)


class LeaseStore(Protocol):
    """Where machines share leases: `FirestoreLeases` is a service, `MemoryLeases` a dictionary."""

    def take(self, name: str, wanted: Lease, now: float) -> Lease:
        """Take or renew a lease at once or not at all; returns the one that is in force then: it is another holder's, or has another
        token than `wanted`, where it was not to be had.

        Raises:
            VenueUnreachable: the store does not answer, so nothing is known.
        """
        ...


class MemoryLeases:
    """Leases of one process; for tests."""

    def __init__(self) -> None:
        self.held: dict[str, Lease] = {}

    def take(self, name: str, wanted: Lease, now: float) -> Lease:
        self.held[name] = wanted.after(self.held.get(name), now)
        return self.held[name]


class AccountLease:
    """Holds a lease by heartbeat, in a thread of its own.

    Args:
        name: of the account.
        holder: names this machine; equal after a restart, whose lock is the machine's own.
        session: whose lease it is.
        lost: called once, in that thread, with the reason when another machine holds the account.
        outage: what follows where the store does not answer.

    Attributes:
        token: of the lease in force; 0 where none was ever taken.
        taken: called with the token when the lease is taken in that thread, since the store did not answer before.
    """

    def __init__(
        self, name: str, store: LeaseStore, holder: str, clock: Clock, lost: Callable[[str], None], *, session: str = "",
        outage: Outage = "trade",
    ) -> None:  # fmt: skip
        self.token = 0
        self._name, self._store, self._holder, self._clock, self._lost = name, store, holder, clock, lost
        self._session, self._outage = session, outage
        self.taken: Callable[[int], None] = lambda _token: None
        self._until = 0.0
        self._asked = 0.0  # when the store last answered or did not
        self._lost_to = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def start(self) -> None:
        """Take the lease.

        Raises:
            AccountLocked: another machine holds it.
            VenueUnreachable: the store does not answer, and there is no trading without it.
        """
        try:
            given = self._take()
        except TradingError as trouble:
            if self._outage == "hold":
                raise
            log.event(_LOG, "lease_not_known", reason=str(trouble))
        else:
            if not self._is_mine(given):
                raise AccountLocked(f"{_reason(self._name, given)}; stop the session there first")
        self._thread.start()

    def close(self) -> None:
        """Give the lease back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
            if self.token and not self._lost_to:
                try:
                    self._take(life_s=0.0)
                except TradingError as trouble:
                    log.event(_LOG, "lease_not_given_back", reason=str(trouble))

    def renew(self) -> bool:
        """One heartbeat; False once another machine holds the account."""
        try:
            given = self._take()
        except TradingError as trouble:
            log.event(_LOG, "lease_not_known", reason=str(trouble))
            return True
        if not self._is_mine(given):
            self._lost_to = _reason(self._name, given)
            self._lost(f"{self._lost_to}; end one of the two sessions, look at the account, then use --resume")
        return not self._lost_to

    def objection(self) -> str:
        """Why no position may grow now, since another machine may trade the account; "" for no reason. Cheap: nothing is asked."""
        if self._lost_to:
            return self._lost_to
        if self._clock.now().timestamp() < self._until or (self._outage == "trade" and self._asked >= self._until):
            return ""
        return f"the lease of {self._name} has ended and could not be renewed yet"

    def _beat(self) -> None:
        due = self._asked + _HEARTBEAT_S
        while not self._stopped.wait(_LOOK_S):  # by the wall clock, which goes on while a machine sleeps
            if self._clock.now().timestamp() < due:
                continue
            try:
                if not self.renew():
                    return
            except Exception:  # noqa: BLE001 - whatever one answer does, the next is asked for: else the lease ends while the session trades
                _LOG.error("lease failed", exc_info=True)
            due = self._asked + _HEARTBEAT_S

    def _take(self, life_s: float = LIFE_S) -> Lease:
        now = self._clock.now().timestamp()
        try:
            given = self._store.take(self._name, Lease(self._holder, now + life_s, self.token, self._session), now)
        finally:
            self._asked = now
        if self._is_mine(given):
            self._until = now + life_s
            if given.token != self.token:
                self.token = given.token
                self.taken(given.token)
        return given

    def _is_mine(self, given: Lease) -> bool:
        return given.holder == self._holder and self.token in (0, given.token)


def _reason(name: str, other: Lease) -> str:
    return f"the account {name} is traded by {other.holder}, by a lease until {datetime.fromtimestamp(other.until, UTC):%H:%M:%S} UTC"
