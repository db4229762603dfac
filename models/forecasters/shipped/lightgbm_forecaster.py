"""`LightGBMForecaster`: gradient-boosted trees grown by LightGBM, kept as arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_bytes
from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.model_file import require_sound_trees, require_stored
from forwardtrader.models.forecasters.shipped.forest import Forest, as_forest, require_sound_forest
from forwardtrader.models.forecasters.shipped.scaled_rows import Floats32, ScaledRows
from forwardtrader.models.forecasters.trees import HUBER_DELTA, LEAVES, PARAMETERS, ROUNDS, Trees, as_trees, grown
from forwardtrader.models.port.sample_panel import SamplePanel

Grown: TypeAlias = Trees | Forest
QUANTILE: Final = "quantile"
# Those whose forecast is the sum of the leaves.
OBJECTIVES: Final = ("huber", "regression", "regression_l1", "fair", QUANTILE)
MOST_BYTES: Final = 256 * 2**20
_FILE: Final = "trees.npz"


class LightGBMForecaster(ScaledRows):
    """Gradient-boosted trees (Ke et al. 2017). The parameters are LightGBM's, with values that suit hourly bars; one thread, deterministic.

    With the objective "quantile" trees are grown for each of the five quantiles, which are the forecast; with any other it is a location.
    """

    trees_: tuple[Grown, ...]

    def __init__(
        self,
        objective: str = "huber",
        alpha: float = HUBER_DELTA,
        n_estimators: int = ROUNDS,
        learning_rate: float = PARAMETERS["learning_rate"],
        num_leaves: int = LEAVES,
        max_depth: int = -1,
        max_bin: int = PARAMETERS["max_bin"],
        min_data_in_leaf: int = PARAMETERS["min_data_in_leaf"],
        min_gain_to_split: float = 0.0,
        feature_fraction: float = PARAMETERS["feature_fraction"],
        bagging_fraction: float = PARAMETERS["bagging_fraction"],
        bagging_freq: int = PARAMETERS["bagging_freq"],
        lambda_l1: float = 0.0,
        lambda_l2: float = PARAMETERS["lambda_l2"],
        path_smooth: float = 0.0,
        extra_trees: bool = False,
        seed: int = 0,
    ) -> None:
        self.objective = objective
        self.alpha = alpha
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.max_bin = max_bin
        self.min_data_in_leaf = min_data_in_leaf
        self.min_gain_to_split = min_gain_to_split
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.bagging_freq = bagging_freq
        self.lambda_l1 = lambda_l1
        self.lambda_l2 = lambda_l2
        self.path_smooth = path_smooth
        self.extra_trees = extra_trees
        self.seed = seed

    @property
    def is_seeded(self) -> bool:
        return self.feature_fraction < 1.0 or (self.bagging_fraction < 1.0 and self.bagging_freq > 0) or self.extra_trees

    def take(self, panel: SamplePanel, trees: Trees) -> Self:
        """As `fit`, with trees that were grown from this panel before."""
        self.mean_, self.std_ = panel.scaling
        self.trees_ = (trees,)
        return self

    def save(self, folder: Path) -> None:
        if not hasattr(self, "trees_"):
            raise ForecasterFailed(f"{type(self).__name__} is saved only after fit")
        arrays = {"mean": self.mean_, "std": self.std_}
        for number, trees in enumerate(self.trees_):
            arrays |= {f"{number}.{name}": getattr(trees, name) for name in type(trees).__dataclass_fields__}
        store = io.BytesIO()
        np.savez(store, **arrays)  # type: ignore[arg-type]
        write_bytes(folder / _FILE, store.getvalue())

    def load(self, folder: Path) -> Self:
        """Raises FingerprintMismatch where the file is damaged, or its trees lead or read where there is nothing."""
        path = folder / _FILE
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES:,} bytes")
            with zipfile.ZipFile(path) as archive:
                require_stored(archive)
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            mean, std = arrays["mean"], arrays["std"]
            if mean.dtype != np.float32 or mean.ndim != 1 or std.shape != mean.shape or not np.isfinite([*mean, *std]).all():
                raise ValueError("its scaling is none")
            trees = tuple(self._sound(arrays, number, len(mean)) for number in range(len(self._levels())))
        except (OSError, ValueError, EOFError, KeyError, TypeError, MemoryError, AttributeError, zipfile.BadZipFile) as error:
            raise FingerprintMismatch(f"{path} is absent or damaged ({error}); remove the model's folder and train again") from error
        self.mean_, self.std_, self.trees_ = mean, std, trees
        return self

    def _sound(self, arrays: Mapping[str, NDArray[Any]], number: int, features: int) -> Grown:
        kind = self._kind()
        found: Any = kind(**{name: arrays[f"{number}.{name}"] for name in kind.__dataclass_fields__})
        return require_sound_trees(found, features) if isinstance(found, Trees) else require_sound_forest(found, features)

    def _learn(self, features: Floats32, target: Floats32, names: tuple[str, ...]) -> None:
        self.trees_ = tuple(self._grown(features, target, level) for level in self._levels())

    def _grown(self, features: Floats32, target: Floats32, alpha: float) -> Grown:
        chosen = {name: value for name, value in self.get_params().items() if name not in ("n_estimators", "seed")}
        described = grown(features, target, PARAMETERS | chosen | {"alpha": alpha}, rounds=self.n_estimators, seed=self.seed)
        return as_trees(described) if self._kind() is Trees else as_forest(described)

    def _levels(self) -> tuple[float, ...]:
        """The `alpha` of each set of trees."""
        if self.objective not in OBJECTIVES:
            raise InvalidSetting(f"LightGBMForecaster: objective {self.objective!r} is none of {', '.join(OBJECTIVES)}")
        return QUANTILES if self.objective == QUANTILE else (self.alpha,)

    def _kind(self) -> type[Grown]:
        return Trees if self.num_leaves <= LEAVES else Forest

    def _location(self, features: Floats32, names: tuple[str, ...]) -> Floats32:
        found = [trees.predict(features) for trees in self.trees_]
        return found[0] if len(found) == 1 else np.sort(np.column_stack(found), axis=1)
