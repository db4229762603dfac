"""The lease of an account: which machine trades it, where machines share a store that says so. Trading never waits for it.

A lease is renewed every minute and ends three minutes after the last renewal. Machines are expected to have clocks that are right to some
seconds. Where the store does not answer, the session starts and goes on; the lease is asked for again with every heartbeat.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import AccountLocked, VenueUnreachable

_LOG: Final = log.logger("live")
_LIFE_S: Final = 180.0
_HEARTBEAT_S: Final = 60.0


@dataclass(frozen=True)
class Lease:
    """Who trades an account, and until when (epoch seconds) without another heartbeat."""

    holder: str
    until: float


class LeaseStore(Protocol):
    """Where machines share leases: `FirestoreLeases` is a service, `MemoryLeases` a dictionary."""

    def take(self, name: str, wanted: Lease, now: float) -> Lease | None:
        """Take or renew a lease at once or not at all; returns the one that is in force for another holder, None where it was taken.

        Raises:
            VenueUnreachable: the store does not answer, so nothing is known.
        """
        ...


class MemoryLeases:
    """Leases of one process; for tests."""

    def __init__(self) -> None:
        self.held: dict[str, Lease] = {}

    def take(self, name: str, wanted: Lease, now: float) -> Lease | None:
        if other := in_force(self.held.get(name), wanted.holder, now):
            return other
        self.held[name] = wanted
        return None


def in_force(held: Lease | None, holder: str, now: float) -> Lease | None:
    """The lease that keeps `holder` from taking an account; None where it may: there is none, it is its own, or it ended."""
    return held if held is not None and held.holder != holder and held.until > now else None


class AccountLease:
    """Holds the lease of an account by heartbeat, in a thread of its own.

    Args:
        holder: names this machine; equal after a restart, whose lock is the machine's own.
        lost: called once, in that thread, with the reason when another machine holds the account.
    """

    def __init__(self, name: str, store: LeaseStore, holder: str, clock: Clock, lost: Callable[[str], None]) -> None:
        self._name, self._store, self._holder, self._clock, self._lost = name, store, holder, clock, lost
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def start(self) -> None:
        """Take the lease.

        Raises:
            AccountLocked: another machine holds it.
        """
        if other := self._take():
            raise AccountLocked(f"{_reason(self._name, other)}; stop the session there first")
        self._thread.start()

    def close(self) -> None:
        """Give the lease back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
            self._take(life_s=0.0)

    def renew(self) -> bool:
        """One heartbeat; False once another machine holds the account."""
        other = self._take()
        if other is not None:
            self._lost(f"{_reason(self._name, other)}; end one of the two sessions, look at the account, then use --resume")
        return other is None

    def _beat(self) -> None:
        while not self._stopped.wait(_HEARTBEAT_S):
            if not self.renew():
                return

    def _take(self, life_s: float = _LIFE_S) -> Lease | None:
        now = self._clock.now().timestamp()
        try:
            return self._store.take(self._name, Lease(self._holder, now + life_s), now)
        except VenueUnreachable as trouble:
            log.event(_LOG, "lease_not_known", reason=str(trouble))
            return None


def _reason(name: str, other: Lease) -> str:
    return f"the account {name} is traded by {other.holder}, by a lease until {datetime.fromtimestamp(other.until, UTC):%H:%M:%S} UTC"
