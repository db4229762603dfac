"""Markets that rest: which bars are missing within their sessions. Nights, weekends, holidays and days that close early are no gaps.

Nobody says when such a market is open, and its hours move with daylight saving. So a bar is due where the market has one at the same time
of the week in most of the weeks around it, and a gap is what was due right before the next bar: a session that ends early is none.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Ints = np.ndarray[Any, np.dtype[np.int64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_WEEK: Final = 7 * 86_400
_SUNDAY: Final = 3 * 86_400  # of 1970: clocks are changed on Sundays, so that a week from then on has one of both times
_DAY: Final = 86_400
_AROUND: Final = 4  # weeks on either side
_HOLIDAY: Final = 20 * 3600  # a hole as long as a day may be one


def missing_in_sessions(times: Ints, step: int, closed_for_long: Flags) -> Ints:
    """By pair of neighbours, how many bars are missing between them; 0 for a rest.

    Args:
        times: open times in seconds, rising.
        step: length of a bar in seconds, below a day. Bars of which a day has no whole number are at other times every day, and only
            what `closed_for_long` says of them is known.
        closed_for_long: by pair, whether no holidays last so long; then all that were due between them are missing.
    """
    places = (times - (times[0] - _SUNDAY) // _WEEK * _WEEK - _SUNDAY) // step
    usual, due = _due(places, step)
    before, after = places[:-1], places[1:]
    rest = np.maximum.accumulate(np.where(due, -1, np.arange(len(due))))  # the last place that was not due
    run = np.minimum(after - 1 - rest[after - 1], after - 1 - before)
    so_far = np.concatenate([[0], np.cumsum(usual)])
    all_due = so_far[after] - so_far[np.minimum(before + 1, after)]
    is_known = (run * step < _HOLIDAY) & (_DAY % step == 0)
    return np.where(closed_for_long, all_due, np.where(is_known, run, 0))


def _due(places: Ints, step: int) -> tuple[Flags, Flags]:
    """By place on the grid, whether most of the weeks around it have a bar there, and whether its own week has one at that time of some day
    too, which it has not where clocks are changed in between."""
    week = -(-_WEEK // step)
    weeks = int(places[-1]) // week + 1
    there = np.zeros((weeks, week), dtype=np.int32)
    there.flat[places] = 1
    sums = np.vstack([np.zeros((1, week), dtype=np.int32), np.cumsum(there, axis=0, dtype=np.int32)])
    number = np.arange(weeks)
    first, last = np.maximum(number - _AROUND, 0), np.minimum(number + _AROUND + 1, weeks)
    usual = (sums[last] - sums[first]) * 2 > (last - first)[:, None]
    at = np.arange(week) * step % _DAY // step
    open_at = np.zeros((weeks, _DAY // step + 1), dtype=bool)
    open_at[places // week, at[places % week]] = True
    return usual.ravel(), (usual & open_at[:, at]).ravel()
