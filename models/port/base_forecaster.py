"""The port of forecasters: what has `fit` and `predict` in the manner of scikit-learn goes through every proof that ours goes through.

    class Ridge(BaseForecaster):
        def __init__(self, penalty: float = 1.0) -> None:
            self.penalty = penalty

        def fit(self, panel: SamplePanel) -> Ridge:
            gram = panel.X.T @ panel.X + self.penalty * np.eye(panel.X.shape[1])
            self.weights_ = np.linalg.solve(gram, panel.X.T @ panel.y)
            return self

        def predict(self, panel: SamplePanel) -> Answer:
            return panel.X @ self.weights_

A forecaster sees the past alone: `fit` gets the training window of one fold, `predict` gets for each row the features up to that row.
"""

from __future__ import annotations

import copy
import inspect
import io
import json
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_bytes, write_text
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.models.port.sample_panel import SamplePanel

Numbers: TypeAlias = NDArray[Any]
# What `predict` may answer, for N samples: the location [N]; location and scale, each [N]; quantiles [N, 5] at 5, 25, 50, 75 and 95 %; or
# the location before those quantiles [N, 6]. Where a forecaster answers all H horizons at once: [N, H], [N, H, 5] or [N, H, 6]. All in the
# unit of the targets.
Answer: TypeAlias = Numbers | tuple[Numbers, Numbers]
_ARRAYS: Final = "learned.npz"
_PLAIN: Final = "learned.json"


class BaseForecaster(ABC):
    """A forecaster of the run's targets from its features.

    Parameters are explicit keywords of `__init__`, kept under their own names; nothing else is done there. What `fit` learns ends with an
    underscore. Randomness comes from a parameter `seed`: where there is one, a member is fitted for each of the run's seeds and averaged.

    Attributes:
        warm_up: rows of features that a forecast looks back over, its own included.
        features: names of the features it wants; empty for those of the run.
        all_horizons: whether one fit answers all horizons at once. Where it does not, a clone is fitted for each (the direct strategy).
        rows_per_call: how many rows `predict` is asked about at a time, always so many.
        runs_in_threads: whether folds may be fitted side by side in threads of one process.
        shrink: the share of the location that is believed.
        trained_until: the first day, as an ISO date (UTC), that whatever it was trained on before the run does not reach; None where it
            learns in `fit` alone. It is not asked about earlier bars: what it says of them is no forecast.
    """

    warm_up: int = 1
    features: tuple[str, ...] = ()
    all_horizons: bool = False
    rows_per_call: int = 64
    runs_in_threads: bool = False
    shrink: float = 1.0
    trained_until: str | None = None

    @property
    def is_seeded(self) -> bool:
        """Whether it draws, so that one is fitted for each of the run's seeds."""
        return "seed" in self.parameter_names()

    def believed(self, horizons: tuple[int, ...]) -> tuple[float, ...]:
        """The share of the location at each horizon that is believed: `shrink` at all of them."""
        return (self.shrink,) * len(horizons)

    @abstractmethod
    def fit(self, panel: SamplePanel) -> Self:
        """Learn from the samples of a training window; returns itself."""

    @abstractmethod
    def predict(self, panel: SamplePanel) -> Answer:
        """Forecast each sample of `panel`, whose targets are not known."""

    def get_params(self) -> dict[str, Any]:
        """The parameters by name.

        Raises:
            InvalidSetting: one is not kept under its own name.
        """
        names = self.parameter_names()
        lacking = next((name for name in names if not hasattr(self, name)), None)
        if lacking is not None:
            raise InvalidSetting(f"{type(self).__name__} has no attribute {lacking}; in __init__ write self.{lacking} = {lacking}")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; returns itself.

        Raises:
            InvalidSetting: there is no such parameter.
        """
        known = self.parameter_names()
        for name, value in params.items():
            if name not in known:
                there = f"it has {', '.join(known)}" if known else "it has none"
                raise InvalidSetting(f"{type(self).__name__} has no parameter {name}; {there}")
            setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """An unfitted one with the same parameters."""
        made = type(self)(**copy.deepcopy(self.get_params()))
        for name in ("warm_up", "features", "rows_per_call", "shrink"):  # set on the instance, not by a parameter
            if name in vars(self) and name not in self.parameter_names():
                setattr(made, name, getattr(self, name))
        return made

    def save(self, folder: Path) -> None:
        """Write what was learned to files in an empty folder: numbers, text and arrays, never code.

        By default every attribute that ends with an underscore.

        Raises:
            ForecasterFailed: one is neither a number, a text, an array, nor a list or mapping of those.
        """
        learned = {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}
        arrays = {name: value for name, value in learned.items() if isinstance(value, np.ndarray) and value.dtype != object}
        try:
            plain = json.dumps({name: _plain(value) for name, value in learned.items() if name not in arrays}, sort_keys=True)
        except TypeError as error:
            raise ForecasterFailed(f"{type(self).__name__}: {error}; define save(folder) and load(folder)") from error
        write_text(folder / _PLAIN, plain)
        store = io.BytesIO()
        np.savez(store, **arrays)  # type: ignore[arg-type]
        write_bytes(folder / _ARRAYS, store.getvalue())

    def load(self, folder: Path) -> Self:
        """Read what `save` wrote, into an unfitted clone; returns itself.

        Raises:
            FingerprintMismatch: a file is absent or damaged.
        """
        try:
            plain = json.loads((folder / _PLAIN).read_text(encoding="utf-8"))
            with zipfile.ZipFile(folder / _ARRAYS) as archive:
                if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                    raise ValueError("it is compressed")  # as they are written no array is larger than the file
            with np.load(folder / _ARRAYS, allow_pickle=False) as stored:
                learned = plain | {name: stored[name] for name in stored.files}
            if any(not name.endswith("_") or name.startswith("_") for name in learned):
                raise ValueError("it sets what is not learned")
        except (OSError, ValueError, TypeError, EOFError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        for name, value in learned.items():
            setattr(self, name, value)
        return self

    @classmethod
    def parameter_names(cls) -> list[str]:
        """The names of the parameters of `__init__`."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return [name for name, each in inspect.signature(cls).parameters.items() if each.kind in kinds]

    @classmethod
    def required_names(cls) -> list[str]:
        """Those of them that have no default value."""
        given = inspect.signature(cls).parameters
        return [name for name in cls.parameter_names() if given[name].default is inspect.Parameter.empty]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"


class WarmStarting(BaseForecaster):
    """A forecaster whose models between two anchors go on from the anchor's (`models.walk_forward`).

    Attributes:
        goes_on: whether it does so with its parameters.
    """

    goes_on: bool = True

    @abstractmethod
    def update(self, panel: SamplePanel) -> Self:
        """Go on learning from another training window; returns itself."""


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"what it learned holds a {type(value).__name__}, which is not saved by itself")
