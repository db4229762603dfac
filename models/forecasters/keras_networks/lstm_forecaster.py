"""The LSTM behind the port of forecasters.

A run trains it by `models.folds.training`, whose folds share one matrix and one compilation for all members. What stands here is the same
training for one member on a panel of samples, for ensembles, checks and notebooks: location for location, and quantile for quantile after
they were put in order, it has that member's bits.
"""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np

from forwardtrader.core.errors import ForecasterFailed
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.forecasters.calibration import believed_shares
from forwardtrader.models.forecasters.compiled_code import kept_in
from forwardtrader.models.forecasters.keras_networks.lesson import SHARED, Lesson
from forwardtrader.models.forecasters.linear_start import linear_start
from forwardtrader.models.forecasters.lstm import BLOCK, OUTPUTS, Ensemble, LstmSpec, Weights, predict
from forwardtrader.models.forecasters.trainer import USUAL, Trainer, TrainingPace, TrainingSpec
from forwardtrader.models.forecasters.trees import Trees, grow
from forwardtrader.models.port.base_forecaster import Answer, WarmStarting
from forwardtrader.models.port.sample_panel import SamplePanel

_GOES_ON: Final = TrainingPace(rate=0.5, averaged=1.0)
_OTHER_DRAWS: Final = 500
_SEEDS_OF_A_RUN: Final = 1000
_TREES: Final = ("feature", "threshold", "left", "value")


class LSTMForecaster(WarmStarting):
    """One LSTM with a linear rule, and boosted trees at the first horizon; the parameters are settings of `models`, which describe them.

    Args:
        seed: of first weights, dropout and the order of sequences. Seeds of the same thousand, as the members of a run have, share trees.
    """

    all_horizons = True
    runs_in_threads = True
    rows_per_call = BLOCK

    def __init__(
        self,
        *,
        units: int = 48,
        dropout: float = 0.2,
        burn_in: int = 8,
        supervised: int = 64,
        context: int = 24,
        epochs: int = 4,
        batch: int = 16,
        learning_rate: float = 2e-2,
        averaged: float = 0.25,
        linear_ridge: float = 0.1,
        skip_rate: float = 0.1,
        trees: float = 0.5,
        shrink: float = 0.6,
        weight_decay: float = 0.0,
        huber_delta: float = 1.0,
        horizon_weights: tuple[float, ...] = (),
        refresh: float = 0.25,
        seed: int = 0,
    ) -> None:
        self.units = units
        self.dropout = dropout
        self.burn_in = burn_in
        self.supervised = supervised
        self.context = context
        self.epochs = epochs
        self.batch = batch
        self.learning_rate = learning_rate
        self.averaged = averaged
        self.linear_ridge = linear_ridge
        self.skip_rate = skip_rate
        self.trees = trees
        self.shrink = shrink
        self.weight_decay = weight_decay
        self.huber_delta = huber_delta
        self.horizon_weights = horizon_weights
        self.refresh = refresh
        self.seed = seed

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        """Rows of features that a forecast looks back over: those of `context`."""
        return self.context

    def believed(self, horizons: tuple[int, ...]) -> tuple[float, ...]:
        return believed_shares(self.shrink, self.trees, horizons)

    def settings(self, run: ModelSettings) -> ModelSettings:
        """The settings of a run with this forecaster, which is then trained by the run's own path."""
        return ModelSettings.model_validate(run.model_dump() | self.chosen | {"forecaster": "lstm", "params": {}})

    @property
    def chosen(self) -> dict[str, Any]:
        """The parameters that are settings of `models`; the seeds of its members are the run's own."""
        return {name: value for name, value in self.get_params().items() if name != "seed"}

    def fit(self, panel: SamplePanel) -> Self:
        """Train from the best linear rule.

        Raises:
            TooLittleHistory: the panel holds no training sequence.
        """
        return self._learned(panel, self._rule(panel), self.seed, USUAL)

    def update(self, panel: SamplePanel) -> Self:
        """Go on from what was learned: half the step, fewer updates, and the mean of all weights on the way."""
        return self._learned(panel, self._weights(), self.seed + _OTHER_DRAWS, _GOES_ON)

    def predict(self, panel: SamplePanel) -> Answer:
        """Location and quantiles of each sample at all horizons: float32 [N, H, 6]."""
        if not hasattr(self, "kernel_"):
            raise ForecasterFailed("LSTMForecaster.predict before fit; fit it, or load what was saved")
        raw = predict(self._ensemble(), panel.features, panel.rows)[:, 0]
        return np.concatenate([raw[..., :1], np.sort(raw[..., 1:], axis=-1)], axis=-1)

    def _learned(self, panel: SamplePanel, first: Weights, seed: int, pace: TrainingPace) -> Self:
        lesson = _lesson(panel)
        training, spec = self._training(panel), self._spec(len(panel.names), len(panel.horizons))
        trainer = SHARED.of(panel, (spec, training), lambda: Trainer(spec, training, panel.features, panel.targets, cache=kept_in()))
        usual = lesson.updates(supervised=self.supervised, batch=self.batch, epochs=self.epochs)
        count = usual if pace is USUAL else max(round(self.refresh * usual), 1)
        starts = lesson.starts(length=training.length, supervised=self.supervised, batch=self.batch, updates=count, seed=seed)
        found = trainer.fit(starts, lesson.mean, lesson.std, seed=seed, first=first, pace=pace, room=usual)
        self.loss_, self.mean_, self.std_ = found.loss, lesson.mean, lesson.std
        learned: dict[str, Any] = dict(found.weights)
        if self.trees:
            grown = self._grown(panel, lesson)
            learned |= {f"tree_{name}": getattr(grown, name) for name in _TREES}
        for name, value in learned.items():
            setattr(self, f"{name}_", value)
        return self

    def _rule(self, panel: SamplePanel) -> Weights:
        def solved() -> Weights:
            lesson = _lesson(panel)
            given = panel.features[lesson.rows], panel.targets[lesson.rows], lesson.mean, lesson.std
            return linear_start(*given, ridge=self.linear_ridge, delta=self.huber_delta)

        return SHARED.of(panel, ("linear", self.linear_ridge, self.huber_delta), solved)

    def _grown(self, panel: SamplePanel, lesson: Lesson) -> Trees:
        seed = self.seed // _SEEDS_OF_A_RUN

        def grown() -> Trees:
            known = lesson.rows[np.isfinite(panel.targets[lesson.rows, 0])]
            return grow(lesson.scaled(panel.features[known]), panel.targets[known, 0], seed=seed)

        return SHARED.of(panel, ("trees", seed), grown)

    def _weights(self) -> Weights:
        return {name: getattr(self, f"{name}_") for name in self._spec(1, 1).shapes()}

    def _ensemble(self) -> Ensemble:
        weights = self._weights()
        spec = self._spec(len(self.mean_), len(weights["head_bias"]) // OUTPUTS)
        trees = Trees(*(getattr(self, f"tree_{name}_") for name in _TREES)) if self.trees else None
        return Ensemble(spec, self.mean_, self.std_, (weights,), trees, self.trees)

    def _spec(self, features: int, horizons: int) -> LstmSpec:
        return LstmSpec(features=features, units=self.units, horizons=horizons, context=self.context)

    def _training(self, panel: SamplePanel) -> TrainingSpec:
        return TrainingSpec(
            burn_in=self.burn_in,
            supervised=self.supervised,
            batch=self.batch,
            dropout=self.dropout,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            huber_delta=self.huber_delta,
            horizon_weights=tuple(self.horizon_weights) or (1.0,) * len(panel.horizons),
            averaged=self.averaged,
            skip_rate=self.skip_rate,
        )


def _lesson(panel: SamplePanel) -> Lesson:
    return SHARED.of(panel, "lesson", lambda: Lesson.of(panel))
