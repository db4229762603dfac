"""Factor features: level and change of an outside series, each normalised by its own last weeks.

A factor is a column `factor_<name>` beside the candles, with the value known at each bar's close, NaN where none is known. Its features are
zero wherever the value is not known: as on a usual day, so that an unknown value does not move the forecast. All of them depend on
`LONGEST` bars and on nothing else, to the last bit, as every feature does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.models.features.rolling import Series, lag, window_sum

PREFIX: Final = "factor_"
MEMORY: Final = 480
CHANGES: Final = (1, 24)
LONGEST: Final = MEMORY + max(CHANGES)
LEAST_KNOWN: Final = 24
CLIP: Final = 6.0
# A spread below this share of the level is what rounding leaves of a value that stood still.
ROUNDING: Final = 1e-6


def factor_names(columns: Iterable[object]) -> tuple[str, ...]:
    """The columns that are factors, in their order."""
    return tuple(str(name) for name in columns if str(name).startswith(PREFIX))


def feature_names(factors: Iterable[str]) -> tuple[str, ...]:
    """The features that are made of these factors."""
    return tuple(f"{factor}:{kind}" for factor in factors for kind in _KINDS)


def factor_of(feature: str) -> str:
    """The column that a feature of a factor is made of; empty for any other feature."""
    factor, _, kind = feature.partition(":")
    return factor if kind in _KINDS and factor.startswith(PREFIX) else ""


def compute(feature: str, value: Series) -> Series:
    """The feature of a factor's column [T]."""
    return _KINDS[feature.partition(":")[2]](value)


def standing(value: Series) -> Series:
    """How far the value lies from its mean of the last weeks, in their standard deviations."""
    known = np.isfinite(value)
    count, own = window_sum(known.astype(np.float64), MEMORY), np.where(known, value, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = window_sum(own, MEMORY) / count
        spread = np.sqrt(np.maximum(window_sum(own * own, MEMORY) / count - mean * mean, 0.0))
        return _bounded((value - mean) / spread, count, spread > ROUNDING * np.abs(mean))


def change(value: Series, bars: int) -> Series:
    """The move over so many bars, in units of what was usual over the last weeks."""
    moved = value - lag(value, bars)
    known = np.isfinite(moved)
    # The rows before the first are no unknown values: the window has to lie behind them whole.
    own, count = np.where(known, moved, 0.0), window_sum(known + lag(np.zeros_like(value), bars), MEMORY)
    with np.errstate(divide="ignore", invalid="ignore"):
        usual = np.sqrt(window_sum(own * own, MEMORY) / count)
        return _bounded(moved / usual, count, usual > 0.0)


def _bounded(feature: Series, count: Series, measurable: NDArray[np.bool_]) -> Series:
    """Zero where the value is not known, hardly ever was, or never moved; NaN only while the window fills."""
    is_measured = np.isfinite(feature) & (count >= LEAST_KNOWN) & measurable
    return np.where(np.isnan(count), np.nan, np.clip(np.where(is_measured, feature, 0.0), -CLIP, CLIP))


_KINDS: Final[dict[str, Callable[[Series], Series]]] = {
    "standing": standing,
    **{f"change_{n}": partial(change, bars=n) for n in CHANGES},
}
