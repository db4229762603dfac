"""What befalls the account of a session with real orders, told to whoever is to act: halts, refusals, orders of others, orders in doubt."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from forwardtrader.live.execution.events import AccountEvent, ForeignOrder, Halted, Refused, Unresolved

_TOLD_EVERY_S: Final = 3600.0
_NUMBERS: Final = re.compile(r"\d[\d.,]*")


@dataclass
class _Kind:
    """One kind of trouble: how often it came since it was told of last, and its newest facts."""

    name: str
    facts: dict[str, Any]
    told_at: float
    untold: int = 0


class AccountAlerts:
    """Tells the first trouble of a kind at once, and of those that follow how many there were: once an hour, and at the end.

    Args:
        notify: kind, level and facts, as `SessionHealth.notify` takes them.
        halted: called with the reason where the account takes no more orders.
    """

    def __init__(self, notify: Callable[..., None], halted: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._notify = notify
        self._halted = halted
        self._monotonic = monotonic
        self._kinds: dict[str, _Kind] = {}

    def hear(self, event: AccountEvent) -> None:
        """Take in one event; those of an ordinary order's life change nothing."""
        if isinstance(event, Halted):
            self._halted(event.reason)
        elif isinstance(event, Refused):
            self._count("orders_refused", event.reason, reason=event.reason)
        elif isinstance(event, ForeignOrder):
            self._count("foreign_order", event.symbol, symbol=event.symbol, side=event.side, size=event.size, number=event.venue_id)
        elif isinstance(event, Unresolved):
            self._count("order_unresolved", "", order=event.client_id)

    def turn(self) -> None:
        """Tell what is due."""
        for kind in self._kinds.values():
            if kind.untold and self._monotonic() - kind.told_at >= _TOLD_EVERY_S:
                self._notify_count(kind)

    def finish(self) -> None:
        """Tell everything that was not told yet."""
        for kind in self._kinds.values():
            if kind.untold:
                self._notify_count(kind)

    def _count(self, name: str, which: str, **facts: Any) -> None:
        key = f"{name} {_NUMBERS.sub('#', which)}"  # refusals that differ in amounts only are of one kind
        known = self._kinds.get(key)
        if known is None:
            self._kinds[key] = _Kind(name, facts, self._monotonic())
            self._notify(name, "warning", **facts)
        else:
            known.facts, known.untold = facts, known.untold + 1

    def _notify_count(self, kind: _Kind) -> None:
        self._notify(kind.name, "warning", count=kind.untold, newest=", ".join(f"{name} {value}" for name, value in kind.facts.items()))
        kind.told_at, kind.untold = self._monotonic(), 0
