"""Foundation models of time series, which were trained before the run on data of others.

Bars that their training data reaches are not out of sample, and nothing of what they forecast there counts. Read are weights in safetensors
alone, which hold numbers and no code.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.core.threads import once
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.pretrained.chronos import chronos
from forwardtrader.models.forecasters.pretrained.timesfm import KINDS, timesfm
from forwardtrader.models.forecasters.pretrained.weights import LACKING
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.prototype import asked_from
from forwardtrader.models.port.sample_panel import SamplePanel

SERIES: Final = "return_1_ago"
_LEARNED: Final = "checkpoint.json"
Floats32 = NDArray[np.float32]


@runtime_checkable
class PathForecaster(Protocol):
    """What continues a series in several ways."""

    @property
    def digest(self) -> str:
        """Of its weights: the same for the same numbers."""
        ...

    def paths(self, series: Floats32, steps: int, draws: NDArray[np.float64]) -> Floats32:
        """How each series [N, L] may go on: [N, S, steps]; the numbers `draws` in 0..1, [S, steps], are all that is random in it."""
        ...


@runtime_checkable
class QuantileForecaster(Protocol):
    """What says at once where a series may stand."""

    @property
    def digest(self) -> str:
        """Of its weights: the same for the same numbers."""
        ...

    def quantiles(self, series: Floats32, steps: tuple[int, ...]) -> Floats32:
        """Where each series [N, L] stands after each number of steps, at 5, 25, 50, 75 and 95 %: [N, H, 5]."""
        ...


SeriesForecaster: TypeAlias = PathForecaster | QuantileForecaster
# The name or folder of a Chronos or TimesFM checkpoint, or a function that gives another model.
Loader: TypeAlias = str | Callable[[], SeriesForecaster]


class PretrainedForecaster(BaseForecaster):
    """A forecaster that learns nothing from the run: its weights stay where they are, and models name them by their digest.

    Attributes:
        trained_until: the first day that its training data does not reach, which has to be stated.
    """

    all_horizons = True
    rows_per_call = 1  # a row is many continuations already; a live session asks about one
    checkpoint_: str

    @abstractmethod
    def digest(self) -> str:
        """Of all that it forecasts with."""

    def save(self, folder: Path) -> None:
        """Write which weights it forecasts with; they themselves stay where they are."""
        write_text(folder / _LEARNED, json.dumps({"checkpoint": self.checkpoint_}))

    def load(self, folder: Path) -> Self:
        """See that the checkpoint still is the one that was saved. Raises FingerprintMismatch where it is not."""
        try:
            saved = str(json.loads((folder / _LEARNED).read_text(encoding="utf-8"))["checkpoint"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        if self.digest() != saved:
            raise FingerprintMismatch(f"the checkpoint of {self} has other weights than those that {folder} was made with")
        self.checkpoint_ = saved
        return self

    def loaded(self, panel: SamplePanel, needs: tuple[str, ...]) -> Self:
        """Itself with its checkpoint loaded.

        Raises:
            InvalidSetting: `trained_until` is not stated, or the run lacks a feature that it `needs`.
        """
        asked_from(self)
        lacking = [name for name in needs if name not in panel.names]
        if lacking:
            raise InvalidSetting(
                f"{type(self).__name__} continues the feature {lacking[0]}, which this run does not have; add it to the features"
            )
        self.checkpoint_ = self.digest()
        return self


class FoundationForecaster(PretrainedForecaster):
    """Forecasts by a model that was trained before the run, from the series of returns alone.

    Chronos continues the returns, and quantiles are those of its continuations summed over each horizon. TimesFM is given their sum, and
    says where it stands at each horizon. Nothing is learned from the run but how far its quantiles must be stretched.

    Args:
        loader: folder or hub name of a checkpoint of Chronos T5 (`amazon/chronos-t5-small`) or TimesFM
            (`google/timesfm-2.5-200m-transformers`), or a function that gives a `PathForecaster` or a `QuantileForecaster`.
        context: bars of returns that it sees; of TimesFM a multiple of its patches, which are 32 bars long.
        trained_until: the first day that its training data does not reach, as `2024-06-01`. Ask those who trained it; earlier bars are
            neither forecast nor scored.
        samples: continuations per forecast.
        draw: of the numbers that continuations are drawn by.
    """

    def __init__(self, loader: Loader, *, context: int = 512, trained_until: str = "", samples: int = 100, draw: int = 0) -> None:
        self.loader = loader
        self.context = context
        self.trained_until = trained_until
        self.samples = samples
        self.draw = draw

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        """Rows of features that a forecast looks back over: those of `context`."""
        return self.context

    def fit(self, panel: SamplePanel) -> Self:
        """Load the checkpoint.

        Raises:
            InvalidSetting: `trained_until` is not stated, or the run has no returns among its features.
            ForecasterFailed: there is no such checkpoint, or none that can be read.
        """
        return self.loaded(panel, (SERIES,))

    def predict(self, panel: SamplePanel) -> Answer:
        """Quantiles of each sample at all horizons: [N, H, 5]."""
        returns, model = panel.windows(self.context)[:, :, panel.names.index(SERIES)], self._model()
        if isinstance(model, QuantileForecaster):
            levels = returns.cumsum(axis=1, dtype=np.float64)
            moves = model.quantiles((levels - levels[:, -1:]).astype(np.float32), panel.horizons)
            return (moves / np.sqrt(np.asarray(panel.horizons))[:, None]).astype(np.float32)
        draws = np.random.default_rng(self.draw).random((self.samples, max(panel.horizons)))
        ahead = model.paths(returns, max(panel.horizons), draws).cumsum(axis=2, dtype=np.float64)
        return quantiles_of(np.stack([ahead[:, :, h - 1] / np.sqrt(h) for h in panel.horizons], axis=1))

    def digest(self) -> str:
        """Of the weights of its checkpoint."""
        return self._model().digest

    def _model(self) -> SeriesForecaster:
        return checkpoint(self.loader) if isinstance(self.loader, str) else _loaded(self.loader)


def quantiles_of(moves: NDArray[np.float64]) -> Floats32:
    """The quantiles of sampled moves [N, H, S] over each horizon: [N, H, 5]."""
    return np.moveaxis(np.quantile(moves, QUANTILES, axis=2), 0, -1).astype(np.float32)


@once
def _loaded(loader: Callable[[], SeriesForecaster]) -> SeriesForecaster:
    return loader()


@once
def checkpoint(name: str) -> SeriesForecaster:
    """The checkpoint in a folder, or of that name on the Hugging Face hub; loaded once in a process.

    Raises:
        ForecasterFailed: torch and transformers are not installed, or there is no checkpoint of a kind that is known.
    """
    try:
        from transformers import AutoConfig
    except ImportError as error:
        raise ForecasterFailed(LACKING) from error
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ForecasterFailed(f"{name} is no checkpoint of Chronos T5 or TimesFM that could be read: {reason}") from error
    return timesfm(name, config) if getattr(config, "model_type", "") in KINDS else chronos(name, config)
