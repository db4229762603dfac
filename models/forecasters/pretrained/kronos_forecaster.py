"""Kronos as a forecaster: its continuations of the last candles."""

from __future__ import annotations

from typing import Self

import numpy as np

from forwardtrader.models.forecasters.pretrained.candle_features import CHOSEN, NAMES, Candles
from forwardtrader.models.forecasters.pretrained.foundation import PretrainedForecaster, quantiles_of
from forwardtrader.models.forecasters.pretrained.kronos import Kronos, kronos
from forwardtrader.models.port.base_forecaster import Answer
from forwardtrader.models.port.sample_panel import SamplePanel


class KronosForecaster(PretrainedForecaster):
    """Forecasts by a Kronos checkpoint: quantiles of the closes of its sampled continuations against the last close.

    It reads whole candles with volume and time of day, and brings the features for them itself. Nothing is learned from the run but how far
    its quantiles must be stretched.

    Args:
        trained_until: the first day that its training data does not reach, as `2025-07-01`. Ask those who trained it; earlier bars are
            neither forecast nor scored.
        model: folder or hub name of the decoder's checkpoint.
        tokenizer: that of its tokenizer.
        code: folder of a clone of its repository; empty where its package `model` is installed.
        context: bars that it sees, at most 512 for `Kronos-small` and `Kronos-base`.
        samples: continuations per forecast.
        draw: of the numbers that continuations are drawn by.
    """

    features = CHOSEN

    def __init__(
        self, *, trained_until: str = "", model: str = "NeoQuasar/Kronos-small", tokenizer: str = "NeoQuasar/Kronos-Tokenizer-base",
        code: str = "", context: int = 256, samples: int = 20, draw: int = 0,
    ) -> None:  # fmt: skip
        self.trained_until = trained_until
        self.model = model
        self.tokenizer = tokenizer
        self.code = code
        self.context = context
        self.samples = samples
        self.draw = draw

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        """Rows of features that a forecast looks back over: those of `context`."""
        return self.context

    def fit(self, panel: SamplePanel) -> Self:
        """Load the checkpoints.

        Raises:
            InvalidSetting: `trained_until` is not stated.
            ForecasterFailed: there are no such checkpoints, or Kronos' code is not installed.
        """
        return self.loaded(panel, NAMES)

    def predict(self, panel: SamplePanel) -> Answer:
        """Quantiles of each sample at all horizons: [N, H, 5]."""
        candles, steps, model = Candles(panel, self.context), max(panel.horizons), self._model()
        draws = np.random.default_rng(self.draw).random((self.samples, steps, 2))
        length = panel.timeframe_s // 60
        ahead = candles.minutes[:, -1:] + length * np.arange(1, steps + 1)
        stamps = np.concatenate([candles.minutes, ahead], axis=1)
        closes = np.stack([model.closes(candles.values[n], stamps[n], draws) for n in range(len(candles))])
        moves = np.log(np.maximum(closes, 1e-6)) / candles.unit[:, None, None]  # prices are in units of the last close
        return quantiles_of(np.stack([moves[:, :, h - 1] / np.sqrt(h) for h in panel.horizons], axis=1))

    def digest(self) -> str:
        """Of the weights of both checkpoints, and of the code."""
        return self._model().digest

    def _model(self) -> Kronos:
        return kronos(self.model, self.tokenizer, self.code)
