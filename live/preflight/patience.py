"""A venue that cannot be reached yet: tried again at growing distances, each time said, for as long as was allowed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from forwardtrader.core.errors import VenueBusy, VenueUnreachable

T = TypeVar("T")
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0


def patiently(
    work: Callable[[], T], patience_s: float, say: Callable[[str], None], *, sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:  # fmt: skip
    """The answer of `work`, tried again while the venue cannot be reached.

    Args:
        patience_s: how long; 0 tries once.
        say: hears of every wait.

    Raises:
        VenueUnreachable: it could not be reached in that time; anything else that `work` raises, at once.
    """
    until, wait = monotonic() + patience_s, _FIRST_S
    while True:
        try:
            return work()
        except VenueUnreachable as trouble:
            left = until - monotonic()
            if left <= 0:
                raise
            asked = trouble.retry_after_s if isinstance(trouble, VenueBusy) and trouble.retry_after_s is not None else wait
            pause = min(max(asked, wait), left, _LONGEST_S)
            hint = "" if "--sandbox" in str(trouble) else " (--sandbox practises without a network)"
            say(f"{trouble}; trying again in {pause:.0f} s{hint}")
            sleep(pause)
            wait *= 2
