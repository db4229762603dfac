"""Ensembles: several forecasters as one, with equal weights or with weights that are learned inside the fold."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, NotTrained, TooLittleHistory
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster, WarmStarting
from forwardtrader.models.port.fitted import answered
from forwardtrader.models.port.names import shipped
from forwardtrader.models.port.sample_panel import SamplePanel

LEAST_SAMPLES: Final = 32
_WEIGHTS: Final = "weights.json"
_TOGETHER: Final = 1e3  # how much harder the sum of the weights pulls than the targets do


class MeanForecaster(WarmStarting):
    """The mean of several forecasters: of their quantiles where all answer quantiles, else of their locations.

    Those of them that warm start go on between two anchors; the others, and the weights, are learned anew at each boundary.

    Args:
        forecasters: each a forecaster, or the name of one that comes with the project.
        seed: for those that have one.
    """

    def __init__(self, forecasters: Sequence[BaseForecaster | str] = ("ridge", "huber_linear", "lightgbm"), seed: int = 0) -> None:
        self.forecasters = forecasters
        self.seed = seed

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        return max(each.warm_up for each in self._unfitted())

    @property
    def is_seeded(self) -> bool:
        return any(each.is_seeded for each in self._unfitted())

    def clone(self) -> Self:
        chosen = [each if isinstance(each, str) else each.clone() for each in self.forecasters]
        return type(self)(**{**self.get_params(), "forecasters": chosen})

    @property
    def goes_on(self) -> bool:  # type: ignore[override]
        return any(isinstance(each, WarmStarting) and each.goes_on for each in self._unfitted())

    def fit(self, panel: SamplePanel) -> Self:
        self.weights_ = self._learned(panel)
        self.members_ = self._members(panel)
        return self

    def update(self, panel: SamplePanel) -> Self:
        before, self.weights_ = self.members_, self._learned(panel)
        self.members_ = [
            _whole(one.update(panel), one, "update") if isinstance(one, WarmStarting) and one.goes_on else _whole(each.fit(panel), each)
            for one, each in zip(copy.deepcopy(before), self._unfitted(), strict=True)
        ]
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        if not hasattr(self, "members_"):
            raise NotTrained(f"{type(self).__name__} predicts only after fit")
        raw = np.stack([answered(member, panel)[:, 0] for member in self.members_])
        mean = np.einsum("m,mnk->nk", self.weights_, raw.astype(np.float64))
        return mean[:, 0] if np.isnan(raw).any() else np.sort(mean[:, 1:], axis=1)

    def save(self, folder: Path) -> None:
        """Each in a folder of its own, beside their weights."""
        write_text(folder / _WEIGHTS, json.dumps(self.weights_.tolist()))
        for number, member in enumerate(self.members_):
            (folder / str(number)).mkdir()
            member.save(folder / str(number))

    def load(self, folder: Path) -> Self:
        try:
            weights = np.asarray(json.loads((folder / _WEIGHTS).read_text(encoding="utf-8")), np.float64)
        except (OSError, ValueError, TypeError) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        unfitted = self._unfitted()
        if weights.shape != (len(unfitted),) or not np.isfinite(weights).all():
            raise FingerprintMismatch(f"{folder} is not of {len(unfitted)} forecasters; remove the model's folder and train again")
        self.weights_ = weights
        self.members_ = [each.load(folder / str(number)) for number, each in enumerate(unfitted)]
        return self

    def _learned(self, panel: SamplePanel) -> NDArray[np.float64]:
        """The weight of each: float64 [M]."""
        count = len(self._unfitted())
        return np.full(count, 1.0 / count)

    def _members(self, panel: SamplePanel) -> list[BaseForecaster]:
        return [_whole(each.fit(panel), each) for each in self._unfitted()]

    def _unfitted(self) -> list[BaseForecaster]:
        """Clones, with the seed where they have one."""
        if isinstance(self.forecasters, str) or not self.forecasters:
            raise InvalidSetting(f"{type(self).__name__}: give it a list of forecasters, for example ['ridge', 'lightgbm']")
        made = [shipped(each) if isinstance(each, str) else each.clone() for each in self.forecasters]
        return [each.set_params(seed=self.seed) if "seed" in each.parameter_names() else each for each in made]


class StackingForecaster(MeanForecaster):
    """As `MeanForecaster`, with weights by which the forecasters, fitted to the older part of the window, best explain its newer part.

    The two parts are as far apart as the longest horizon reaches, no weight is below zero, and they sum to one (Breiman 1996).

    Args:
        newer: the share of the training window that the weights are learned from.
    """

    def __init__(
        self, forecasters: Sequence[BaseForecaster | str] = ("ridge", "huber_linear", "lightgbm"), newer: float = 0.25, seed: int = 0
    ) -> None:
        super().__init__(forecasters, seed)
        self.newer = newer

    def _learned(self, panel: SamplePanel) -> NDArray[np.float64]:
        if not 0.0 < self.newer < 1.0:
            raise InvalidSetting(f"{type(self).__name__}: newer is {self.newer:g}; a share between 0 and 1 is needed, such as 0.25")
        before, after = purged_split(panel, self.newer)
        asked = replace(after, targets=np.full_like(after.targets, np.nan))
        told = np.column_stack([answered(member, asked)[:, 0, 0] for member in self._members(before)])
        return simplex_weights(told.astype(np.float64), after.y.astype(np.float64))


def _whole(found: object, of: BaseForecaster, step: str = "fit") -> BaseForecaster:
    if not isinstance(found, BaseForecaster):
        raise TypeError(f"{type(of).__name__}.{step} answered {type(found).__name__}; end it with `return self`")
    return found


def purged_split(panel: SamplePanel, newer: float) -> tuple[SamplePanel, SamplePanel]:
    """The older part of a window and its newer one; targets of the older end where the newer one's samples begin.

    Symbols are cut at equal distances from the end of the window.

    Raises:
        TooLittleHistory: a part would have fewer than 32 samples.
    """
    age = np.empty(len(panel.symbol_of), np.int64)
    for symbol in np.unique(panel.symbol_of):
        own = np.flatnonzero(panel.symbol_of == symbol)
        age[own] = np.arange(len(own))[::-1]
    cut = round(newer * (int(age.max()) + 1))
    older, newest = panel.part(age >= cut + max(panel.horizons) + 1), replace(panel, rows=panel.rows[age[panel.rows] < cut])
    if min(len(older), len(newest)) < LEAST_SAMPLES:
        raise TooLittleHistory(f"{len(panel)} samples are too few to learn weights from; set a longer models.train_window")
    return older, newest


def simplex_weights(told: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [M], none below zero, with sum 1, by which forecasts [N, M] have the least squared distance from [N]."""
    from scipy.optimize import nnls

    gram, right = told.T @ told, told.T @ truth
    root = np.linalg.cholesky(gram + np.eye(len(gram)) * (1e-9 * max(float(np.trace(gram)), 1e-12)))
    pull = _TOGETHER * max(float(np.abs(root).max()), 1e-6)
    found, _ = nnls(np.vstack([root.T, np.full((1, len(gram)), pull)]), np.append(np.linalg.solve(root, right), pull))
    total = float(found.sum())
    return found / total if total > 0 else np.full(len(gram), 1.0 / len(gram))
