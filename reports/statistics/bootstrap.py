"""Stationary bootstrap (Politis & Romano 1994): resamples of whole blocks, so that what hangs together in time stays together.

A resample is kept as how often each row was drawn. A mean over a resample is then one row of a matrix product, so a thousand resamples of
a hundred columns cost about as much as the product; every statistic here is a smooth function of such means.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.threads import one_thread

Floats = NDArray[np.float64]
_BATCH: Final = 32
# Counts of a short series are kept: 5 million of them are 20 MB.
_KEPT: Final = 5_000_000


def draw_counts(n: int, block: float, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How often each of `n` rows is drawn, one resample [n] at a time; each sums to `n`.

    Args:
        block: mean block length in rows; lengths are geometric, starts uniform, and the series is wrapped into a circle.
    """
    rng = np.random.default_rng(seed)
    most = math.ceil(n / block + 6.0 * math.sqrt(n / block) + 12.0)
    for _ in range(samples):
        ends = np.cumsum(rng.geometric(1.0 / max(block, 1.0), size=most))
        while ends[-1] < n:
            ends = np.append(ends, ends[-1] + np.cumsum(rng.geometric(1.0 / max(block, 1.0), size=most)))
        ends = np.minimum(ends[: int(np.searchsorted(ends, n)) + 1], n)
        starts = rng.integers(0, n, size=len(ends))
        yield _coverage(n, starts, starts + np.diff(ends, prepend=0))


@functools.lru_cache(maxsize=8)
def _kept_counts(n: int, block: float, samples: int, seed: int) -> NDArray[np.float32]:
    """All resamples [samples, n] of a short series, for the several statistics that are drawn alike."""
    return np.stack(list(draw_counts(n, block, samples, seed)))


def _batches(n: int, block: float, samples: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """The resamples [k, n] in batches small enough for the cache of a core; each is overwritten by the next."""
    if n * samples <= _KEPT:
        yield _kept_counts(n, block, samples, seed)
        return
    drawn, batch = draw_counts(n, block, samples, seed), np.empty((_BATCH, n), dtype=np.float32)
    for first in range(0, samples, _BATCH):
        some = batch[: min(_BATCH, samples - first)]
        for row, counts in zip(some, itertools.islice(drawn, len(some)), strict=True):
            row[:] = counts
        yield some


def _coverage(n: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.float32]:
    """Turn half-open runs on a circle of `n` into counts per row; a run is never longer than the circle."""
    steps = np.bincount(starts, minlength=n + 1) - np.bincount(np.where(stops > n, stops - n, stops), minlength=n + 1)
    steps[0] += np.count_nonzero(stops > n)
    return np.cumsum(steps[:n], dtype=np.int32).astype(np.float32)


def resampled_means(columns: Floats, *, block: float, samples: int, seed: int) -> Floats:
    """Column means over each resample: float64 [samples, K] from finite columns [n, K]."""
    n = len(columns)
    centre = columns.mean(axis=0)
    # Centred, so that single precision keeps seven digits of what varies.
    plain = np.empty(columns.shape, dtype=np.float32, order="F" if columns.flags.f_contiguous else "C")
    np.subtract(columns, centre, out=plain, casting="same_kind")  # without a second copy in double precision
    with one_thread():
        means = np.concatenate([counts @ plain for counts in _batches(n, block, samples, seed)])
    return np.asarray(means / n + centre, dtype=np.float64)


def interval(draws: Floats, confidence: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled statistics; NaN where the statistic is undefined in most resamples."""
    known = draws[np.isfinite(draws)]
    if len(known) < 0.5 * len(draws) or not len(known):
        return (math.nan, math.nan)
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2])
    return (float(low), float(high))


def block_length(series: Floats) -> float:
    """Mean block length for the stationary bootstrap of a mean by the rule of Politis & White 2004 as corrected by Patton et al. 2009.

    Returns at least 1 and at most a third of the series.
    """
    n = len(series)
    ceiling = max(1.0, n / 3.0)
    longest = max(5, math.ceil(math.sqrt(math.log10(max(n, 10)))))
    most = math.ceil(math.sqrt(n)) + longest
    covariances = autocovariances(series - series.mean(), min(2 * most, n - 1))
    if not covariances[0] > 0:
        return 1.0
    correlations = covariances / covariances[0]
    lags = np.arange(1, len(covariances))
    reach = _negligible_from(np.abs(correlations[1:]), longest, 2.0 * math.sqrt(math.log10(n) / n), most)
    width = min(2 * reach, len(lags))
    ratio = np.arange(1, width + 1) / width
    flat_top = np.where(ratio <= 0.5, 1.0, 2.0 * (1.0 - ratio))
    weighted = flat_top * covariances[1 : width + 1]
    slope = 2.0 * float(weighted @ np.arange(1, width + 1))
    level = float(covariances[0] + 2.0 * weighted.sum())
    if level <= 0:
        return 1.0
    return float(np.clip((slope**2 / level**2 * n) ** (1 / 3), 1.0, ceiling))


def _negligible_from(size: Floats, run: int, bound: float, most: int) -> int:
    """The last lag before `run` lags in a row stay under the bound; the last large lag where none do."""
    small = size[: most + run] < bound
    for lag in range(max(0, len(small) - run)):
        if small[lag : lag + run].all():
            return max(lag, 1)
    large = np.flatnonzero(~small)
    return int(large[-1]) + 1 if len(large) else 1


def autocovariances(centred: Floats, lags: int) -> Floats:
    """Autocovariances 0 .. `lags` of a series with mean zero, each divided by n."""
    n = len(centred)
    size = 1 << (2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    return np.asarray(np.fft.irfft(power, size)[: lags + 1] / n)
