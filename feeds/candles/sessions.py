"""Markets that rest: which bars are missing within their sessions. Nights, weekends, holidays and days that close early are no gaps.

Nobody says when such a market is open, and its hours move with daylight saving. So a bar is due where the market has one at the same time
of the week in most of the weeks around it, and a gap is what was due right before the next bar: a session that ends early is none.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]

_WEEK: Final = 7 * 86_400
_AROUND: Final = 4  # weeks on either side
_HOLIDAY: Final = 20 * 3600  # a hole as long as a day may be one


def missing_in_sessions(times: Ints, step: int, closed_for_long: np.ndarray[Any, np.dtype[np.bool_]]) -> Ints:
    """By pair of neighbours, how many bars are missing between them; 0 for a rest.

    Args:
        times: open times in seconds, rising.
        step: length of a bar in seconds, below a day.
        closed_for_long: by pair, whether no holidays last so long; then all that were due between them are missing.
    """
    places = (times - times[0] // _WEEK * _WEEK) // step
    due = _due(places, -(-_WEEK // step))
    before, after = places[:-1], places[1:]
    rest = np.maximum.accumulate(np.where(due, -1, np.arange(len(due))))  # the last place that was not due
    run = np.minimum(after - 1 - rest[after - 1], after - 1 - before)
    so_far = np.concatenate([[0], np.cumsum(due)])
    all_due = so_far[after] - so_far[np.minimum(before + 1, after)]
    return np.where(closed_for_long, all_due, np.where(run * step < _HOLIDAY, run, 0))


def _due(places: Ints, week: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """By place on the grid, whether most of the weeks around it have a bar there."""
    weeks = int(places[-1]) // week + 1
    there = np.zeros((weeks, week), dtype=np.int32)
    there.flat[places] = 1
    sums = np.vstack([np.zeros((1, week), dtype=np.int32), np.cumsum(there, axis=0, dtype=np.int32)])
    number = np.arange(weeks)
    first, last = np.maximum(number - _AROUND, 0), np.minimum(number + _AROUND + 1, weeks)
    return ((sums[last] - sums[first]) * 2 > (last - first)[:, None]).ravel()
