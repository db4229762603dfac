"""A network of the user's own as a forecaster.

def build(inputs):
    hidden = keras.layers.GRU(24, return_sequences=True)(inputs)
    return keras.Model(inputs, hidden)

forecaster = KerasForecaster(build)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from forwardtrader.core.atomic import write_bytes, write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.models.forecasters.compiled_code import kept_in
from forwardtrader.models.forecasters.keras_networks.builder import Build, keywords, require_builder
from forwardtrader.models.forecasters.keras_networks.head import NetworkForm
from forwardtrader.models.forecasters.keras_networks.lesson import SHARED, WINDOWS, Lesson
from forwardtrader.models.forecasters.keras_networks.network import BLOCK, Network, Values, network_of
from forwardtrader.models.forecasters.keras_networks.training_loop import loop_of
from forwardtrader.models.forecasters.linear_start import linear_start
from forwardtrader.models.forecasters.lstm import OUTPUTS, Weights
from forwardtrader.models.forecasters.trainer import USUAL, TrainingPace, TrainingSpec
from forwardtrader.models.forecasters.xla import placed
from forwardtrader.models.port.base_forecaster import Answer, WarmStarting
from forwardtrader.models.port.sample_panel import SamplePanel

_FILE: Final = "network.keras"
_LEARNED: Final = "learned.json"
# One that goes on moves by half the step, all its weights count, and it sees other sequences and leaves out other units than at first.
_GOES_ON: Final = TrainingPace(rate=0.5, averaged=1.0)
_OTHER_DRAWS: Final = 500
_COUNTS: Final = ("context", "supervised", "batch", "epochs")


class KerasForecaster(WarmStarting):
    """Trains a Keras network of the user's, and forecasts location and quantiles of all horizons with it.

    A network that returns one vector for a window is given a dense head, which makes location and quantiles of it, and learns from windows
    of `context` bars. One that returns a sequence, and no bar of it from later bars, learns at every bar of longer sequences after a
    burn-in, which is many times faster; where its weights depend on the number of bars, at every bar of `context`. One whose output is
    already [batch, H, 6] (or [batch, bars, H, 6]) is taken as it is: per horizon a location and the quantiles at 5, 25, 50, 75 and 95 %.
    What `compile` was given is not used: the loss is Huber's of the location plus the mean pinball loss of the quantiles, moved by Adam.

    Args:
        build: `build(inputs, **options)` gives a `keras.Model` for `inputs`, a `keras.Input((bars, features))`; features come scaled. It is
            given `inputs` by position, the options by name, and nothing else.
        options: further keywords of `build`.
        context: bars that a forecast looks back over.
        linear: whether the head adds a linear rule of the last bar's features, which starts as a Huber regression in closed form.
        burn_in: bars at the start of a training sequence that have no part in the loss.
        supervised: bars of a training sequence that have.
        batch: sequences per update; of windows 16 times as many.
        epochs: passes over the training window.
        learning_rate: step size of Adam, after a warm-up over the first updates.
        averaged: share of the updates whose weights are averaged.
        linear_ridge: penalty on the linear rule.
        skip_rate: step size of that rule, as a share of the network's.
        weight_decay: pull of the weights towards zero.
        huber_delta: where the loss turns from square to straight, in usual moves.
        horizon_weights: weight of each horizon in the loss; empty for equal ones.
        refresh: updates of a model that goes on from another, as a share of the usual ones.
        seed: of first weights, dropout and the order of sequences.
    """

    all_horizons = True
    runs_in_threads = True
    rows_per_call = BLOCK

    def __init__(
        self,
        build: Build,
        *,
        options: Mapping[str, Any] | None = None,
        context: int = 24,
        linear: bool = True,
        burn_in: int = 8,
        supervised: int = 64,
        batch: int = 16,
        epochs: int = 4,
        learning_rate: float = 1e-2,
        averaged: float = 0.25,
        linear_ridge: float = 0.1,
        skip_rate: float = 0.1,
        weight_decay: float = 0.0,
        huber_delta: float = 1.0,
        horizon_weights: tuple[float, ...] = (),
        refresh: float = 0.25,
        seed: int = 0,
    ) -> None:
        self.build = build
        self.options = options
        self.context = context
        self.linear = linear
        self.burn_in = burn_in
        self.supervised = supervised
        self.batch = batch
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.averaged = averaged
        self.linear_ridge = linear_ridge
        self.skip_rate = skip_rate
        self.weight_decay = weight_decay
        self.huber_delta = huber_delta
        self.horizon_weights = horizon_weights
        self.refresh = refresh
        self.seed = seed
        self._ready: Any = None

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        """Rows of features that a forecast looks back over: those of `context`."""
        return self.context

    def set_params(self, **params: Any) -> Self:
        """Change parameters; a keyword of `build` that is no parameter of this class is one of the options. Returns itself.

        Raises:
            InvalidSetting: there is no such parameter, or `build` cannot be called with the options.
        """
        build, known = params.get("build", self.build), self.parameter_names()
        of_build = keywords(build)
        unknown = next((name for name in params if name not in (*known, *of_build)), None)
        if unknown is not None:
            also = f"; its build has {', '.join(of_build)}" if of_build else ""
            raise InvalidSetting(f"{type(self).__name__} has no parameter {unknown}; it has {', '.join(known)}{also}")
        built = {name: value for name, value in params.items() if name not in known}
        options = params.get("options", self.options)
        require_builder(build, options if not built or not isinstance(options, dict | None) else {**(options or {}), **built})
        super().set_params(**{name: value for name, value in params.items() if name in known})
        if built:
            self.options = {**(self.options or {}), **built}
        return self

    def fit(self, panel: SamplePanel) -> Self:
        """Train from nothing.

        Raises:
            ForecasterFailed: `build` gives no network that can be trained and saved.
            TooLittleHistory: the panel holds no training sequence.
        """
        network = self._network(len(panel.names), len(panel.horizons))
        lesson = SHARED.of(panel, "lesson", lambda: Lesson.of(panel))
        first = network.placed(network.initial(self.seed), **self._rule(panel, lesson))
        return self._learned(panel, network, lesson, first, self.seed, USUAL)

    def update(self, panel: SamplePanel) -> Self:
        """Go on from what was learned: half the step, fewer updates, and the mean of all weights on the way."""
        network = self._network(*self.shape_)
        lesson = SHARED.of(panel, "lesson", lambda: Lesson.of(panel))
        drawn = network.initial(self.seed + _OTHER_DRAWS)
        first = tuple(value if n in network.file.places else drawn[n] for n, value in enumerate(self.values_))
        return self._learned(panel, network, lesson, first, self.seed + _OTHER_DRAWS, _GOES_ON)

    def predict(self, panel: SamplePanel) -> Answer:
        """Location and quantiles of each sample at all horizons: float32 [N, H, 6]."""
        run, values = self._answering()
        windows = panel.windows(self.context)
        blocks = []
        for begin in range(0, len(windows), BLOCK):
            block = windows[begin : begin + BLOCK]
            again = np.repeat(block[-1:], BLOCK - len(block), axis=0)
            blocks.append(np.asarray(run(*values, np.concatenate([block, again])))[: len(block)])
        raw = np.concatenate(blocks) if blocks else np.zeros((0, self.shape_[1], OUTPUTS), np.float32)
        return np.concatenate([raw[..., :1], np.sort(raw[..., 1:], axis=-1)], axis=-1)

    def save(self, folder: Path) -> None:
        """Write the network as a Keras file, which Keras opens in safe mode."""
        write_bytes(folder / _FILE, self._network(*self.shape_).file.filled(self.values_))
        write_text(folder / _LEARNED, json.dumps({"features": self.shape_[0], "horizons": self.shape_[1], "loss": self.loss_}))

    def load(self, folder: Path) -> Self:
        """Read the arrays of that file into the network that `build` gives; nothing in it is executed.

        Raises:
            FingerprintMismatch: a file is absent, damaged, or of another network.
        """
        try:
            learned = json.loads((folder / _LEARNED).read_text(encoding="utf-8"))
            self.shape_, self.loss_ = (int(learned["features"]), int(learned["horizons"])), float(learned["loss"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        network = self._network(*self.shape_)
        self.values_ = network.file.read(folder / _FILE, network.initial(0))
        return self

    def clone(self) -> Self:
        """An unfitted one with the same parameters; `build` is the very same, so that its network is built once for all folds."""
        made = type(self)(**self.get_params())
        for name in ("features", "rows_per_call", "shrink"):
            if name in vars(self):
                setattr(made, name, getattr(self, name))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = self.clone()
        vars(made).update({name: value for name, value in vars(self).items() if name.endswith("_")})
        return made

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_ready": None}

    def _learned(self, panel: SamplePanel, network: Network, lesson: Lesson, first: Values, seed: int, pace: TrainingPace) -> Self:
        first = network.placed(first, mean=lesson.mean, variance=lesson.std**2)
        training = self._training(network, len(panel.horizons))
        each = {"supervised": training.supervised, "batch": training.batch}
        usual = lesson.updates(**each, epochs=self.epochs)
        count = usual if pace is USUAL else max(round(self.refresh * usual), 1)
        starts = lesson.starts(length=network.supervision.length, **each, updates=count, seed=seed)
        found = loop_of(network, training, kept_in()).fit(first, panel.features, panel.targets, starts, pace)
        self.values_, self.loss_ = network.settled(found.values), found.loss
        self.shape_ = len(panel.names), len(panel.horizons)
        self._ready = None
        return self

    def _rule(self, panel: SamplePanel, lesson: Lesson) -> dict[str, Any]:
        """First values of the linear rule and of the biases, where the network has them."""
        if not self.linear:
            return {}

        def solved() -> Weights:
            rows = lesson.rows
            given = panel.features[rows], panel.targets[rows], lesson.mean, lesson.std
            return linear_start(*given, ridge=self.linear_ridge, delta=self.huber_delta)

        found = SHARED.of(panel, ("linear", self.linear_ridge, self.huber_delta), solved)
        if not found:
            return {}
        return {"linear": found["skip"], "first_bias": found["head_bias"][:OUTPUTS], "other_bias": found["head_bias"][OUTPUTS:]}

    def _network(self, features: int, horizons: int) -> Network:
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise InvalidSetting(f"KerasForecaster: {name} is {getattr(self, name)}; it is at least 1")
        if self.horizon_weights and len(self.horizon_weights) != horizons:
            raise InvalidSetting(f"KerasForecaster: {len(self.horizon_weights)} horizon_weights for {horizons} horizons; give one for each")
        require_builder(self.build, self.options)
        form = NetworkForm(
            features=features, horizons=horizons, context=self.context, burn_in=self.burn_in, supervised=self.supervised,
            linear=self.linear,
        )  # fmt: skip
        return network_of(self.build, self.options or {}, form)

    def _training(self, network: Network, horizons: int) -> TrainingSpec:
        how = network.supervision
        return TrainingSpec(
            burn_in=how.length - how.supervised,
            supervised=how.supervised,
            batch=self.batch if how.supervised > 1 else WINDOWS * self.batch,
            dropout=0.0,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            huber_delta=self.huber_delta,
            horizon_weights=tuple(self.horizon_weights) or (1.0,) * horizons,
            averaged=self.averaged,
            skip_rate=self.skip_rate,
        )

    def _answering(self) -> Any:
        """The compiled forecast and the values that it takes first."""
        if not hasattr(self, "values_"):
            raise ForecasterFailed("KerasForecaster.predict before fit; fit it, or load what was saved")
        if self._ready is None:
            network = self._network(*self.shape_)
            self._ready = network.answer(), placed(network.split(self.values_))
        return self._ready
