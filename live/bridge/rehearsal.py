"""When the way of an order is walked for show: shortly before a bar is expected, until it is there.

While a session waits, other programs take the processor's caches; the first bar that comes then finds every step of its way two to four
times as slow as it need be. So the steps are taken without effect just before it. When that is, earlier bars have told: it needs no
clock, and how far a venue's messages lag behind its closes is counted in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_LEAD_S: Final = 0.02
_TAIL_S: Final = 1.0  # a bar that is later than that finds the caches cold
_SHARE: Final = 0.1  # of a bar that lead and tail may take each; bars are that short on a practice market only
_DRIFT: Final = 0.1  # of the lead, by which a late bar moves the next expectation
_STILL_S: Final = (0.001, 0.003)  # before and after the expected moment, when a bar shall find nobody at a step
_BREATH_S: Final = 0.0003  # between two rounds of steps, for whoever brings the bar
_SHORTEST_BAR_S: Final = 0.02


def expected(before: float | None, came: float, bar_s: float) -> float:
    """When the next bar will be there at the earliest, by any clock that runs evenly.

    Args:
        before: when the bar that came at `came` had been expected; None for the first one.
    """
    if before is None:
        return came + bar_s
    late = (came - before) % bar_s
    if late > bar_s / 2:  # too early, rather
        return came + bar_s
    return came - late + min(late, _DRIFT * lead_s(bar_s)) + bar_s


def lead_s(bar_s: float) -> float:
    """Seconds before the expected moment at which the rehearsal begins."""
    return min(_LEAD_S, _SHARE * bar_s)


class Rehearsal:
    """The rehearsals of the bars of one length.

    Args:
        bar_s: seconds of this machine between two bars; 0 where bars come when they are asked for, which needs no rehearsal.
        opening: called once for each bar, as long ahead of it as a connection may need.
    """

    def __init__(
        self, bar_s: float, opening: Callable[[], object] = bool, *, opening_s: float = 1.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._bar_s = bar_s
        self._opening, self._opening_s = opening, min(opening_s, bar_s / 2)
        self._monotonic = monotonic
        self._due: float | None = None
        self._opened_for: float | None = None

    def bar_came(self) -> None:
        """A bar is here; to be called as soon as that is known, from any thread."""
        if self._bar_s >= _SHORTEST_BAR_S:
            self._due = expected(self._due, self._monotonic(), self._bar_s)

    def rest_s(self, most_s: float) -> float:
        """How long one may wait before there is something to do, at most `most_s`."""
        due, now = self._due, self._monotonic()
        if due is None or now >= due + self._tail_s:
            return most_s
        begins = due - (self._opening_s if self._opened_for != due else lead_s(self._bar_s))
        return min(most_s, max(_BREATH_S, due + _STILL_S[1] - now if self.is_still else begins - now))

    @property
    def is_still(self) -> bool:
        """Whether the bar is expected at this very moment, so that no step is to be begun."""
        due, now = self._due, self._monotonic()
        return due is not None and due - _STILL_S[0] <= now < due + _STILL_S[1]

    def turn(self) -> bool:
        """Whether it is the time of a rehearsal; has the connection opened where it is time for that."""
        due, now = self._due, self._monotonic()
        if due is None:
            return False
        if self._opened_for != due and due - self._opening_s <= now < due:
            self._opened_for = due
            self._opening()
        return due - lead_s(self._bar_s) <= now < due + self._tail_s

    @property
    def _tail_s(self) -> float:
        return min(_TAIL_S, _SHARE * self._bar_s)
