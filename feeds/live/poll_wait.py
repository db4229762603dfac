"""Polling interval: short around a bar's close and in volatile markets, long in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean


@dataclass(frozen=True)
class PollRule:
    """Seconds. `base` is the wait in an ordinary market far from a close; every wait lies between `least` and `most`."""

    base: float = 30.0
    least: float = 0.5
    most: float = 120.0
    near_close: float = 0.05  # a share of the bar: inside it the wait is `least`


def poll_wait(rule: PollRule, *, until_close: float, bar_seconds: float, relative_volatility: float = 1.0) -> float:
    """Seconds until the next poll.

    Args:
        until_close: seconds until the running bar closes; negative where a closed bar is overdue.
        relative_volatility: recent volatility over its usual level; 2 halves the wait, 0.5 doubles it.
    """
    if until_close <= rule.near_close * bar_seconds:
        return rule.least
    calm = rule.base / min(4.0, max(0.25, relative_volatility))
    return max(rule.least, min(rule.most, calm, until_close))


def relative_volatility(closes: Sequence[float], recent: int = 5) -> float:
    """Mean absolute move of the last `recent` bars over that of all given; 1 if there are too few bars."""
    moves = [abs(b / a - 1.0) for a, b in pairwise(closes)]
    usual = fmean(moves) if moves else 0.0
    return fmean(moves[-recent:]) / usual if len(moves) >= 2 * recent and usual > 0 else 1.0
