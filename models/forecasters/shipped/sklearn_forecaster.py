"""`SklearnForecaster`: any regressor or pipeline of scikit-learn as a forecaster, saved with skops."""

from __future__ import annotations

import copy
import functools
import inspect
import json
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_bytes, write_text
from forwardtrader.core.errors import ConfigError, FingerprintMismatch, InvalidSetting, NotTrained
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.forecasters.shipped.sklearn_file import one_line, packed, unpacked
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster
from forwardtrader.models.port.sample_panel import SamplePanel

_VERSIONS: Final = "versions.json"
_ALL_TARGETS: Final = ("MultiOutputRegressor", "RegressorChain")
_NEST: Final = "__"  # scikit-learn's mark between a step and its parameter


class SklearnForecaster(BaseForecaster):
    """A regressor of scikit-learn, or a pipeline that ends with one, fitted to the rows of features of each horizon.

    Features come as they are, so that a pipeline begins with a `StandardScaler` where its regressor wants one; a `ColumnTransformer` may
    choose them by name. One that answers quantiles (loss "quantile", `QuantileRegressor`) is fitted for each of the five; one that knows
    its standard deviation (`return_std`) answers it.

    Args:
        regressor: it is cloned for every fit; parameters of its own are set as `regressor__alpha`.
        window: how many rows of features it is given, side by side, the oldest first.
        seed: what `random_state` is set to wherever the regressor has one.
    """

    def __init__(self, regressor: Any, window: int = 1, seed: int = 0) -> None:
        self.regressor = regressor
        self.window = window
        self.seed = seed

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        return self.window

    @property
    def is_seeded(self) -> bool:
        """Whether a step has a `random_state` that it draws from: a `Ridge` or `Lasso` with the usual solver has one and does not."""
        params = self._params()
        ends = [name.removesuffix("random_state") for name in self._named("random_state")]
        return any(params.get(f"{end}solver") != "auto" and params.get(f"{end}selection") != "cyclic" for end in ends)

    def set_params(self, **params: Any) -> Self:
        """Raises InvalidSetting for a parameter that neither this nor the regressor has."""
        own = {name: value for name, value in params.items() if not name.startswith(f"regressor{_NEST}")}
        super().set_params(**own)
        if nested := {name.partition(_NEST)[2]: value for name, value in params.items() if name not in own}:
            try:
                self.regressor = _cloned(self.regressor).set_params(**nested)
            except ValueError as error:
                raise InvalidSetting(f"SklearnForecaster: {str(error).partition('. ')[0]}") from error
        return self

    def clone(self) -> Self:
        return type(self)(**{**self.get_params(), "regressor": _cloned(self.regressor)})

    def fit(self, panel: SamplePanel) -> Self:
        features, target = self._rows(panel), np.array(panel.y)
        with _one_thread():
            self.regressors_ = tuple(each.fit(features, target) for each in self._unfitted())
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        if not hasattr(self, "regressors_"):
            raise NotTrained("SklearnForecaster predicts only after fit")
        with _one_thread():
            return self._answer(self._rows(panel))

    def _answer(self, features: NDArray[np.float32] | pd.DataFrame) -> Answer:
        if len(self.regressors_) > 1:
            return np.sort(np.column_stack([each.predict(features) for each in self.regressors_]), axis=1)
        (regressor,) = self.regressors_
        accepted = _accepted(regressor)
        if "quantiles" in accepted:
            return np.sort(regressor.predict(features, quantiles=list(QUANTILES)), axis=1)
        if "return_std" in accepted:
            location, scale = regressor.predict(features, return_std=True)
            return location, scale
        return np.asarray(regressor.predict(features))

    def save(self, folder: Path) -> None:
        """Raises ForecasterFailed where what was fitted holds a type that is not known to be safe to load."""
        write_text(folder / _VERSIONS, json.dumps(_versions()))
        for number, regressor in enumerate(self.regressors_):
            write_bytes(folder / f"{number}.skops", packed(regressor))

    def load(self, folder: Path) -> Self:
        """Raises FingerprintMismatch where a file is damaged, holds other types than trusted ones, or comes from another scikit-learn."""
        try:
            if json.loads((folder / _VERSIONS).read_text(encoding="utf-8")) != _versions():
                raise ValueError("another version of scikit-learn wrote it")
            found = [unpacked(folder / f"{number}.skops") for number in range(len(self._unfitted()))]
            if any(type(each) is not type(self.regressor) for each in found):
                raise ValueError(f"it holds no {type(self.regressor).__name__}")
        except ConfigError:
            raise
        except Exception as error:  # a damaged archive makes skops raise anything
            trouble = f"{folder} is absent or damaged ({one_line(error)})"
            raise FingerprintMismatch(f"{trouble}; remove the model's folder and train again") from error
        self.regressors_ = tuple(found)
        return self

    def _unfitted(self) -> list[Any]:
        """The regressor, or one for each quantile where it answers one alone."""
        seeded = dict.fromkeys(self._named("random_state"), self.seed)
        levels = self._quantile_names()
        chosen = [seeded | dict.fromkeys(levels, level) for level in QUANTILES] if levels else [seeded]
        return [_cloned(self.regressor).set_params(**each) for each in chosen]

    def _quantile_names(self) -> list[str]:
        """The parameters that choose the quantile: `quantile`, or `alpha` of a gradient boosting, where the loss is that of quantiles."""
        params = self._params()
        found = []
        for name in self._named("quantile", "alpha"):
            before = name.rpartition(_NEST)[0]
            loss = params.get(f"{before}{_NEST}loss" if before else "loss")
            owner = params.get(before, self.regressor) if before else self.regressor
            alone = name.endswith("quantile") and loss is None and hasattr(owner, "predict")
            if loss == "quantile" or alone:
                found.append(name)
        return found

    def _named(self, *last: str) -> list[str]:
        return [name for name in self._params() if name.rpartition(_NEST)[2] in last]

    def _params(self) -> dict[str, Any]:
        if not hasattr(self.regressor, "get_params") or not hasattr(self.regressor, "fit") or isinstance(self.regressor, type):
            shown = self.regressor.__name__ if isinstance(self.regressor, type) else type(self.regressor).__name__
            raise InvalidSetting(f"SklearnForecaster: {shown} is no regressor; give it one, for example SklearnForecaster(Ridge())")
        if type(self.regressor).__name__ in _ALL_TARGETS:
            raise InvalidSetting(
                f"SklearnForecaster: {type(self.regressor).__name__} learns several targets at once; each horizon has a regressor of its "
                "own here, so give it the inner one"
            )
        found: dict[str, Any] = self.regressor.get_params(deep=True)
        return found

    def _rows(self, panel: SamplePanel) -> NDArray[np.float32] | pd.DataFrame:
        """A copy, which a regressor may do with what it likes; a table with the features' names where a step chooses columns by name."""
        rows = np.array(panel.windows(self.window).reshape(len(panel), -1) if self.window > 1 else panel.X)
        if not self._chooses_by_name():
            return rows
        ago = [f"_{bars}_before" if bars else "" for bars in range(self.window - 1, -1, -1)]
        return pd.DataFrame(rows, columns=[f"{name}{each}" for each in ago for name in panel.names])

    def _chooses_by_name(self) -> bool:
        """Whether there is a `ColumnTransformer` whose columns are names, or a function that looks at a table."""
        steps = [each for value in self._params().values() if isinstance(value, list) for each in value]
        columns = [each[2] for each in steps if isinstance(each, tuple) and len(each) == 3]
        return any(callable(each) or isinstance(each, str) or (isinstance(each, list) and str in map(type, each)) for each in columns)


def _one_thread() -> Any:
    """Compiled loops run in this thread: waiting for others costs more than they save, and folds have the other cores."""
    return _controller().limit(limits=1, user_api="openmp")


@functools.cache
def _controller() -> Any:
    """Of the libraries that are loaded by the time something is fitted."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _accepted(regressor: Any) -> set[str]:
    """The parameters of `predict` of the last step."""
    last = regressor.steps[-1][1] if hasattr(regressor, "steps") else regressor
    return set(inspect.signature(last.predict).parameters)


def _cloned(regressor: Any) -> Any:
    from sklearn.base import clone

    return clone(regressor) if hasattr(regressor, "get_params") and not isinstance(regressor, type) else copy.copy(regressor)


def _versions() -> dict[str, str]:
    import sklearn

    return {"scikit-learn": sklearn.__version__}
