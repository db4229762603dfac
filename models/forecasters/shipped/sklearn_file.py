"""Fitted estimators of scikit-learn as files of skops, never of pickle: what may be in them, and what is looked at before they are used."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import ConfigError, ForecasterFailed
from forwardtrader.models.forecasters.model_file import require_stored

MOST_BYTES: Final = 1024 * 2**20
# Beside what skops trusts by itself: a mapping, and trees, whose arrays are checked below.
TRUSTED: Final = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
_MEND: Final = "take another regressor, or subclass SklearnForecaster with a save(folder) and load(folder) of your own"


def packed(estimator: Any) -> bytes:
    """The file of a fitted estimator.

    Raises:
        ForecasterFailed: it holds something that is not known to be safe to load.
    """
    skops, name = _skops(), type(estimator).__name__
    try:
        data: bytes = skops.dumps(estimator)
        unknown = sorted(set(skops.get_untrusted_types(data=data)) - set(TRUSTED))
        _require_sound(estimator)
    except Exception as error:  # skops raises whatever it comes across
        raise ForecasterFailed(f"{name} cannot be saved without pickle ({one_line(error)}); {_MEND}") from error
    if unknown:
        own = "take LightGBMForecaster" if any(each.startswith("lightgbm.") for each in unknown) else _MEND
        raise ForecasterFailed(f"{name} holds what skops does not know to be safe: {', '.join(unknown)}; {own}")
    return data


def unpacked(path: Path) -> Any:
    """The estimator in a file. Raises ValueError, or whatever skops and zipfile raise, where it is damaged or holds other types."""
    skops = _skops()
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES:,} bytes")
    with zipfile.ZipFile(path) as archive:
        require_stored(archive)
    return _require_sound(skops.load(path, trusted=list(TRUSTED)))


def one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ConfigError("SklearnForecaster needs skops to save its models: pip install 'forwardtrader[sklearn]'") from error
    return skops.io


def _require_sound(estimator: Any) -> Any:
    """The estimator. Raises ValueError where a tree in it leads, or reads, where there is nothing: compiled code would follow it."""
    waiting, seen = [(estimator, np.inf)], set()
    while waiting:
        thing, features = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        kind = type(thing).__name__
        if kind == "Tree":
            _require_ways(thing.children_left, thing.children_right, thing.feature, thing.children_left == -1, features)
        elif kind == "TreePredictor":
            nodes = thing.nodes
            if nodes["is_categorical"].any():
                raise ValueError("a tree asks for a category")
            left, right, feature = (nodes[way].astype(np.int64) for way in ("left", "right", "feature_idx"))
            _require_ways(left, right, feature, nodes["is_leaf"] != 0, features)
        else:
            # Of several estimators in one another any may be the one that looks at the number of columns.
            within = min(features, getattr(thing, "__dict__", {}).get("n_features_in_", np.inf))
            waiting += [(part, within) for part in _parts(thing)]
    return estimator


def _require_ways(left: NDArray[Any], right: NDArray[Any], feature: NDArray[Any], leaf: NDArray[np.bool_], features: float) -> None:
    number = np.arange(len(leaf))[~leaf]
    if not len(leaf) or any(((way[~leaf] <= number) | (way[~leaf] >= len(leaf))).any() for way in (left, right)):
        raise ValueError("a tree leads to a place that there is not")
    if (feature[~leaf] < 0).any() or (feature[~leaf] >= features).any():
        raise ValueError(f"a tree reads a column that is not one of {features:g}")


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, list | tuple | set):
        return list(thing)
    if isinstance(thing, np.ndarray):
        return list(thing.flat) if thing.dtype == object else []
    return list(getattr(thing, "__dict__", {}).values())
