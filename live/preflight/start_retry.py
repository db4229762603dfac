"""Retry at the start: a venue that cannot be reached yet is tried again with exponential backoff, and each pause is reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from forwardtrader.core.retry import Backoff, Retry

T = TypeVar("T")
_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0


def until_reachable(
    work: Callable[[], T], patience_s: float, report: Callable[[str], None], *, sleep: Callable[[float], object] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> T:  # fmt: skip
    """The result of `work`, retried while the venue cannot be reached.

    Args:
        patience_s: for how long; 0 tries once.
        report: called with one line before each pause.

    Raises:
        VenueUnreachable: it could not be reached in that time; any other error of `work` is raised at once.
    """

    def on_retry(error: Exception, pause_s: float) -> None:
        hint = "" if "--sandbox" in str(error) else " (--sandbox practises without a network)"
        report(f"{error}; trying again in {pause_s:.0f} s{hint}")

    backoff = Backoff(first_s=_FIRST_S, longest_s=_LONGEST_S, within_s=patience_s)
    return Retry(backoff=backoff, on_retry=on_retry, clock=monotonic).call(work, sleep=sleep)
