"""What the forecasters here share that learn from rows of scaled features, one horizon at a time."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import NotTrained
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel

Floats32 = NDArray[np.float32]


class ScaledRows(BaseForecaster):
    """Learns a location from each sample's newest row of features, scaled by the training window's mean and standard deviation."""

    runs_in_threads = True

    mean_: Floats32
    std_: Floats32

    def fit(self, panel: SamplePanel) -> Self:
        self.mean_, self.std_ = panel.scaling
        self._learn(panel.standardised, panel.y, panel.names)
        return self

    def predict(self, panel: SamplePanel) -> Floats32:
        """The location of each sample: float32 [N].

        Raises:
            NotTrained: `fit` was never called.
            ValueError: there are other features than it learned from.
        """
        if not hasattr(self, "mean_"):
            raise NotTrained(f"{type(self).__name__} predicts only after fit")
        if panel.X.shape[1] != len(self.mean_):
            raise ValueError(f"it is asked with {panel.X.shape[1]} features, {len(self.mean_)} is what it learned from")
        return self._location(panel.scaled(self.mean_, self.std_), panel.names)

    @abstractmethod
    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        """From scaled features [N, F] and targets [N]."""

    @abstractmethod
    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        """The location for each row of scaled features [N, F]: float32 [N]."""
