"""Rules that hardly learn: no change, the usual direction, the last return taken back, the trend going on."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from forwardtrader.models.forecasters.huber_regression import huber_weights
from forwardtrader.models.forecasters.shipped.scaled_rows import Floats32, ScaledRows


class Zero(ScaledRows):
    """Tomorrow's price is today's: a return of zero."""

    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        return

    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        return np.zeros(len(features), dtype=np.float32)


class Majority(ScaledRows):
    """The direction that was the more frequent one in the training window, at its median size."""

    location_: float

    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        sign = 1.0 if np.count_nonzero(target > 0) >= np.count_nonzero(target < 0) else -1.0
        self.location_ = sign * max(abs(float(np.median(target))), 1e-4)

    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        return np.full(len(features), self.location_, dtype=np.float32)


class _Signal(ScaledRows):
    """A fixed signal times the one coefficient that had the least Huber loss in training, its sign fixed beforehand."""

    source: ClassVar[str]
    sign: ClassVar[float]
    size_: float

    def _signal(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        """A named feature, or the first one where it is not among those of the run."""
        return self.sign * features[:, names.index(self.source) if self.source in names else 0]

    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        fitted = float(huber_weights(self._signal(features, names)[:, None], target, ridge=0.0, intercept=False)[0])
        # The rule is tested as it stands: a training window that contradicts it may shrink it, not turn it round.
        self.size_ = max(fitted, 1e-3)

    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        return (self.size_ * self._signal(features, names)).astype(np.float32)


class Reversal(_Signal):
    """The last return reverts."""

    source, sign = "return_1_ago", -1.0


class Momentum(_Signal):
    """The direction of the last 24 bars continues."""

    source, sign = "move_24", 1.0

    def _signal(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        return np.sign(super()._signal(features, names)).astype(np.float32)
