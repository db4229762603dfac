"""The samples that a forecaster learns from, or is asked about: rows of features with their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
# Scaled features are clipped at so many standard deviations.
CLIP: Final = 5.0


@dataclass(frozen=True)
class SamplePanel:
    """Bars of one or several symbols, and the rows among them that are samples. All arrays are read-only.

    Attributes:
        features: float32 [T, F], one row for each closed bar, as the catalogue computes them and not scaled; symbols follow one another.
        targets: float32 [T, H], the log return from the open of the next bar to the close `horizon` bars ahead, in units of the move that
            is usual over that horizon, clipped to -5 .. 5; NaN where it is not known, and everywhere when a forecast is asked for.
        rows: int64 [N], the samples' rows in `features`. Each ends `look_back` rows of its symbol without a NaN.
        symbol_of: int64 [T], for each row its symbol's place in `symbols`.
        look_back: rows that a sample may look back over, its own included.
        names: of the F features.
        horizons: bars ahead of the H targets.
        symbols: those of the run.
        timeframe_s: seconds of one bar.
    """

    features: Floats32
    targets: Floats32
    rows: NDArray[np.int64]
    symbol_of: NDArray[np.int64]
    look_back: int
    names: tuple[str, ...]
    horizons: tuple[int, ...]
    symbols: tuple[str, ...]
    timeframe_s: int

    def __post_init__(self) -> None:
        for name in ("features", "targets", "rows", "symbol_of"):
            seen = getattr(self, name).view()
            seen.flags.writeable = False
            object.__setattr__(self, name, seen)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def X(self) -> Floats32:  # noqa: N802 - scikit-learn's name
        """The features of each sample: float32 [N, F]."""
        return _closed(self.features[self.rows])

    @cached_property
    def y(self) -> Floats32:
        """The target of each sample at the first horizon, the only one of a forecaster that is asked about one at a time: float32 [N]."""
        return _closed(self.targets[self.rows, 0])

    @cached_property
    def Y(self) -> Floats32:  # noqa: N802
        """The targets of each sample at all horizons: float32 [N, H]."""
        return _closed(self.targets[self.rows])

    @cached_property
    def scaling(self) -> tuple[Floats32, Floats32]:
        """Mean and standard deviation of each feature over all rows without NaN: float32 [F] each. What `fit` keeps, for `predict`."""
        whole = np.isfinite(self.features).all(axis=1)
        return scaling(self.features if whole.all() else self.features[whole])

    @cached_property
    def standardised(self) -> Floats32:
        """`X` in standard deviations from the mean of this panel, clipped to -5 .. 5: what `fit` learns from. float32 [N, F]."""
        return _closed(self.scaled(*self.scaling))

    def scaled(self, mean: Floats32, std: Floats32) -> Floats32:
        """`X` by the mean and standard deviation that `fit` kept, clipped to -5 .. 5: float32 [N, F]."""
        return np.clip((self.X - mean) / std, -CLIP, CLIP)

    def windows(self, length: int | None = None) -> Floats32:
        """The last `length` rows of features up to each sample, the oldest first: float32 [N, length, F]; `look_back` of them by default.

        Raises:
            ValueError: more than `look_back`.
        """
        length = self.look_back if length is None else length
        if not 1 <= length <= self.look_back:
            raise ValueError(f"a window of {length} rows, where a sample has {self.look_back}; set `warm_up` to {length}")
        return _closed(self.features[self.rows[:, None] + np.arange(1 - length, 1)])

    def column(self, name: str) -> Floats32:
        """The feature of that name at each sample: float32 [N]. Raises ValueError where the run has none of that name."""
        if name not in self.names:
            raise ValueError(f"there is no feature {name}; this run has {', '.join(self.names)}")
        return self.X[:, self.names.index(name)]

    def at_horizon(self, place: int) -> SamplePanel:
        """The same with one horizon alone, and the samples whose target at it is known (all of them where none is)."""
        targets = self.targets[:, place : place + 1]
        known = np.isfinite(targets[self.rows, 0])
        rows = self.rows[known] if known.any() else self.rows
        return replace(self, targets=targets, horizons=self.horizons[place : place + 1], rows=rows)

    def with_features(self, names: tuple[str, ...]) -> SamplePanel:
        """The same with these features alone; the same object each time it is asked for."""
        if names == self.names:
            return self
        if names not in self._cut:
            places = [self.names.index(name) for name in names]
            self._cut.setdefault(names, replace(self, features=_closed(self.features[:, places]), names=names))
        return self._cut[names]

    @cached_property
    def _cut(self) -> dict[tuple[str, ...], SamplePanel]:
        return {}

    def part(self, kept: NDArray[np.bool_]) -> SamplePanel:
        """The same with the kept ones [T] of the rows alone; samples on others are left out."""
        place = np.cumsum(kept) - 1
        rows = place[self.rows[kept[self.rows]]].astype(np.int64)
        return replace(self, features=self.features[kept], targets=self.targets[kept], symbol_of=self.symbol_of[kept], rows=rows)


def scaling(rows: Floats32) -> tuple[Floats32, Floats32]:
    """Mean and standard deviation of each column of [n, F], none below 1e-6: float32 [F] each."""
    wide = rows.astype(np.float64)
    return wide.mean(axis=0).astype(np.float32), np.maximum(wide.std(axis=0), 1e-6).astype(np.float32)


def sample_rows(features: Floats32, segments: Sequence[tuple[int, int]], look_back: int) -> NDArray[np.int64]:
    """The rows of each segment [first, last) that have `look_back` rows without NaN behind them in it, themselves included."""
    found = []
    for first, last in segments:
        whole = np.isfinite(features[first:last]).all(axis=1)
        run = np.convolve(whole, np.ones(look_back), mode="full")[: last - first]
        found.append(first + np.flatnonzero(run > look_back - 0.5))
    return np.concatenate(found).astype(np.int64) if found else np.zeros(0, np.int64)


def _closed(array: Floats32) -> Floats32:
    array.flags.writeable = False
    return array
