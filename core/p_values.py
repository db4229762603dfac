"""P-values that are never zero: data of finite length can make chance unlikely, not impossible.

A resampling test cannot resolve a p-value below one in `samples + 1`, an analytic one none below floating-point precision. What is
shown is rounded to three digits, and a p that would round to zero is shown as `<0.001`.
"""

from __future__ import annotations

import math
import sys
from typing import Final

SMALLEST: Final = sys.float_info.min
# The largest number below one: the complement of a probability must not vanish either.
_LARGEST: Final = 1.0 - sys.float_info.epsilon / 2.0
_SHOWN: Final = 0.001


def analytic(p: float) -> float:
    """A p-value from a distribution function, which may underflow: at least the smallest normal float, at most one."""
    return p if math.isnan(p) else min(max(p, SMALLEST), 1.0)


def resampled(exceedances: int, samples: int) -> float:
    """The p-value of a statistic that `exceedances` of `samples` draws under the null reach: the observed one counts among them."""
    return (1.0 + exceedances) / (1.0 + samples)


def probability(value: float) -> float:
    """A probability that an estimate gives, such as the probabilistic Sharpe ratio: neither impossible nor certain."""
    return value if math.isnan(value) else min(max(value, SMALLEST), _LARGEST)


def shown(p: float | None) -> str:
    """Three digits, `<0.001` below them, and a dash where there is none."""
    if p is None or math.isnan(p):
        return "-"
    return f"<{_SHOWN}" if p < _SHOWN else f"{p:.3f}"
