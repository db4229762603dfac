"""What the members of a fold learn from, worked out once for all of them."""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.models.features.sequences import draw_starts, updates_per_fold
from forwardtrader.models.forecasters.lstm import FEATURE_CLIP
from forwardtrader.models.port.sample_panel import SamplePanel

T = TypeVar("T")
# Windows are fewer bars than sequences are: an update sees so many times as many of them.
WINDOWS: Final = 16
Floats32 = NDArray[np.float32]


@dataclass(frozen=True)
class Lesson:
    """The training rows of a panel, and the scaling of its features over them.

    Attributes:
        segments: rows [first, last) of one symbol each, without a NaN in their features.
        mean: float32 [F].
        std: float32 [F].
    """

    segments: tuple[tuple[int, int], ...]
    mean: Floats32
    std: Floats32

    @classmethod
    def of(cls, panel: SamplePanel) -> Lesson:
        segments = tuple(_segments(panel))
        rows = np.concatenate([panel.features[first:last] for first, last in segments]).astype(np.float64)
        return cls(segments, rows.mean(axis=0).astype(np.float32), np.maximum(rows.std(axis=0), 1e-6).astype(np.float32))

    @property
    def rows(self) -> NDArray[np.int64]:
        return np.concatenate([np.arange(first, last) for first, last in self.segments])

    def scaled(self, features: Floats32) -> Floats32:
        """Features [n, F] as networks see them."""
        return np.clip((features - self.mean) / self.std, -FEATURE_CLIP, FEATURE_CLIP).astype(np.float32)

    def updates(self, *, supervised: int, batch: int, epochs: int) -> int:
        """Of a training from nothing."""
        return updates_per_fold(len(self.rows), stride=supervised, batch=batch, epochs=epochs)

    def starts(self, *, length: int, supervised: int, batch: int, updates: int, seed: int) -> NDArray[np.int32]:
        """First rows of the sequences of each update.

        Raises:
            TooLittleHistory: no segment holds a sequence.
        """
        long_enough = [segment for segment in self.segments if segment[1] - segment[0] >= length]
        if not long_enough:
            raise TooLittleHistory(
                f"no symbol has the {length} bars on end that one training sequence needs; set a longer models.train_window, or a "
                "shorter `context` or `supervised`"
            )
        return draw_starts(long_enough, length=length, stride=supervised, batch=batch, updates=updates, seed=seed)


def _segments(panel: SamplePanel) -> list[tuple[int, int]]:
    """The longest runs of rows of one symbol without a NaN."""
    whole: NDArray[np.bool_] = np.asarray(np.isfinite(panel.features).all(axis=1))
    cut = np.flatnonzero(np.diff(panel.symbol_of) != 0) + 1
    edges = np.concatenate([[0], cut, np.flatnonzero(np.diff(whole.astype(np.int8)) != 0) + 1, [len(whole)]])
    bounds = np.unique(edges)
    return [(int(first), int(last)) for first, last in itertools.pairwise(bounds) if whole[first]]


class OncePerPanel:
    """What several forecasters ask of the same panel, worked out by the first of them."""

    def __init__(self) -> None:
        self._known: dict[int, dict[Any, Any]] = {}
        self._lock = threading.RLock()

    def of(self, panel: SamplePanel, key: Any, make: Callable[[], T]) -> T:
        """What `make` gives for a panel and a key, which names everything else that decides it."""
        with self._lock:
            if id(panel) not in self._known:
                self._known[id(panel)] = {}
                weakref.finalize(panel, self._known.pop, id(panel), None)
            known = self._known[id(panel)]
            if key not in known:
                known[key] = make()
            found: T = known[key]
            return found


SHARED: Final = OncePerPanel()
