"""Ensembles: several forecasters as one, with equal weights or with weights that are learned inside the fold."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting, NotTrained, TooLittleHistory
from forwardtrader.core.types import QUANTILES, Timeframe
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.port.base_forecaster import Answer, BaseForecaster, WarmStarting
from forwardtrader.models.port.fitted import answered
from forwardtrader.models.port.names import shipped
from forwardtrader.models.port.sample_panel import SamplePanel

LEAST_SAMPLES: Final = 32
ALL_OF_THE_CATALOGUE: Final = ("*",)
_WEIGHTS: Final = "weights.json"
_RESIDUALS: Final = 4000
_TOGETHER: Final = 1e3  # how much harder the sum of the weights pulls than the targets do


class MeanForecaster(WarmStarting):
    """The mean of several forecasters, of their locations and of their quantiles.

    Each sees the features it asks for, and its location counts by the share of it that is believed. Where some answer quantiles, those that
    answer locations alone get theirs from what they missed in training; where none does, the mean is a location alone. Those of them that
    warm start go on between two anchors; the others, and the weights, are learned anew at each boundary.

    Args:
        forecasters: each a forecaster, or the name of one that comes with the project.
        seed: for those that have one.
    """

    all_horizons = True

    def __init__(self, forecasters: Sequence[BaseForecaster | str] = ("ridge", "huber_linear", "lightgbm"), seed: int = 0) -> None:
        self.forecasters = forecasters
        self.seed = seed

    @property
    def warm_up(self) -> int:  # type: ignore[override]
        return max(each.warm_up for each in self._unfitted())

    @property
    def features(self) -> tuple[str, ...]:  # type: ignore[override]
        """What any of them asks for; those of the run where none asks for any."""
        asked = [each.features for each in self._unfitted()]
        return tuple(dict.fromkeys(name for names in asked for name in names or ALL_OF_THE_CATALOGUE)) if any(asked) else ()

    @property
    def runs_in_threads(self) -> bool:  # type: ignore[override]
        return all(each.runs_in_threads for each in self._unfitted())

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
        self.spread_ = self._missed(panel)
        return self

    def update(self, panel: SamplePanel) -> Self:
        before, self.weights_ = self.members_, self._learned(panel)
        self.members_ = [
            [_gone_on(one, each, seen) for one, seen in zip(member, _asked(each, self._seen(each, panel)), strict=True)]
            for member, each in zip(copy.deepcopy(before), self._unfitted(), strict=True)
        ]
        self.spread_ = self._missed(panel)
        return self

    def predict(self, panel: SamplePanel) -> Answer:
        """The location of each sample at all horizons, float32 [N, H], or location and quantiles, [N, H, 6]."""
        if not hasattr(self, "members_"):
            raise NotTrained(f"{type(self).__name__} predicts only after fit")
        raw = self._told(self.members_, panel).astype(np.float64)
        raw[..., 1:] = np.where(np.isnan(raw[..., 1:]), raw[..., :1] + self.spread_[:, None], raw[..., 1:])
        if np.isnan(raw).any():
            return np.asarray(np.einsum("hm,mnh->nh", self.weights_, raw[..., 0]))
        mean = np.einsum("hm,mnhk->nhk", self.weights_, raw)
        return np.concatenate([mean[..., :1], np.sort(mean[..., 1:], axis=-1)], axis=-1)

    def save(self, folder: Path) -> None:
        """Each in a folder of its own, beside their weights."""
        spread = [[[None if np.isnan(q) else float(q) for q in of] for of in member] for member in self.spread_]
        write_text(folder / _WEIGHTS, json.dumps({"weights": self.weights_.tolist(), "spread": spread}))
        for number, member in enumerate(self.members_):
            for place, one in enumerate(member):
                (folder / f"{number}-{place}").mkdir()
                one.save(folder / f"{number}-{place}")

    def load(self, folder: Path) -> Self:
        try:
            told = json.loads((folder / _WEIGHTS).read_text(encoding="utf-8"))
            weights, spread = np.asarray(told["weights"], np.float64), np.asarray(told["spread"], np.float64)
        except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
            raise FingerprintMismatch(f"{folder} is absent or damaged; remove the model's folder and train again") from error
        unfitted = self._unfitted()
        shape = (len(unfitted), len(weights), len(QUANTILES))
        if weights.shape != (len(weights), len(unfitted)) or spread.shape != shape or not np.isfinite(weights).all():
            raise FingerprintMismatch(f"{folder} is not of {len(unfitted)} forecasters; remove the model's folder and train again")
        self.weights_, self.spread_ = weights, spread
        self.members_ = [
            [each.clone().load(folder / f"{number}-{place}") for place in range(1 if each.all_horizons else len(weights))]
            for number, each in enumerate(unfitted)
        ]
        return self

    def _learned(self, panel: SamplePanel) -> NDArray[np.float64]:
        """The weight of each at each horizon: float64 [H, M]."""
        count = len(self._unfitted())
        return np.full((len(panel.horizons), count), 1.0 / count)

    def _members(self, panel: SamplePanel) -> list[list[BaseForecaster]]:
        """Each fitted: one for all horizons, or one for each."""
        return [[_whole(each.clone().fit(seen), each) for seen in _asked(each, self._seen(each, panel))] for each in self._unfitted()]

    def _told(self, members: list[list[BaseForecaster]], panel: SamplePanel) -> NDArray[np.float32]:
        """What each says, as far as it is believed: float32 [M, N, H, 6], quantiles NaN where it answers locations alone."""
        return np.stack([self._told_by(each, member, panel) for each, member in zip(self._unfitted(), members, strict=True)])

    def _told_by(self, each: BaseForecaster, member: list[BaseForecaster], panel: SamplePanel) -> NDArray[np.float32]:
        seen = _asked(each, self._seen(each, panel))
        raw = np.concatenate([answered(one, of) for one, of in zip(member, seen, strict=True)], axis=1)
        raw[..., 0] *= np.asarray(each.believed(panel.horizons), np.float32)
        return raw

    def _missed(self, panel: SamplePanel) -> NDArray[np.float64]:
        """Quantiles of what locations missed, float64 [M, H, 5]: of those that answer nothing else, where others do."""
        rows = panel.rows[:: max(1, len(panel) // _RESIDUALS)]
        newest = _unanswered(panel, panel.rows[-1:])
        bare: NDArray[np.bool_] = np.asarray(np.isnan(self._told(self.members_, newest)[..., 1:]).any(axis=(1, 2, 3)))
        out = np.full((len(bare), len(panel.horizons), len(QUANTILES)), np.nan)
        if bare.all():
            return out
        for m in np.flatnonzero(bare):
            told = self._told_by(self._unfitted()[m], self.members_[m], _unanswered(panel, rows))
            missed = panel.targets[rows].astype(np.float64) - told[..., 0]
            out[m] = [np.quantile(of[np.isfinite(of)], QUANTILES) for of in missed.T]
        return out

    def _seen(self, each: BaseForecaster, panel: SamplePanel) -> SamplePanel:
        """The panel with the features that one of them asks for."""
        if not self.features:
            return panel
        every = {entry for one in self._unfitted() for entry in one.features or ALL_OF_THE_CATALOGUE}
        return panel.with_features(_columns(tuple(each.features or ALL_OF_THE_CATALOGUE), frozenset(every), panel.names, panel.timeframe_s))

    def _unfitted(self) -> list[BaseForecaster]:
        """Clones, with the seed where they have one."""
        if isinstance(self.forecasters, str) or not self.forecasters:
            raise InvalidSetting(f"{type(self).__name__}: give it a list of forecasters, for example ['ridge', 'lightgbm']")
        made = [shipped(each) if isinstance(each, str) else each.clone() for each in self.forecasters]
        return [each.set_params(seed=self.seed) if "seed" in each.parameter_names() else each for each in made]


class StackingForecaster(MeanForecaster):
    """As `MeanForecaster`, with weights by which the forecasters, fitted to the older part of the window, best explain its newer part.

    The two parts are as far apart as the longest horizon reaches; at each horizon no weight is below zero, and they sum to one (Breiman
    1996).

    Args:
        newer: the share of the training window that the weights are learned from.
    """

    def __init__(
        self, forecasters: Sequence[BaseForecaster | str] = ("ridge", "huber_linear", "lightgbm"), newer: float = 0.25, seed: int = 0
    ) -> None:
        super().__init__(forecasters, seed)
        self.newer = newer

    def _learned(self, panel: SamplePanel) -> NDArray[np.float64]:
        after, told = self._told_of_newer(panel)
        return np.stack([_weights_at(told[..., h], after.Y[:, h].astype(np.float64)) for h in range(len(panel.horizons))])

    def _told_of_newer(self, panel: SamplePanel) -> tuple[SamplePanel, NDArray[np.float64]]:
        """The newer part of the window, and the locations [M, N, H] that each has there, fitted to the older one."""
        if not 0.0 < self.newer < 1.0:
            raise InvalidSetting(f"{type(self).__name__}: newer is {self.newer:g}; a share between 0 and 1 is needed, such as 0.25")
        before, after = purged_split(panel, self.newer)
        return after, self._told(self._members(before), _unanswered(after, after.rows))[..., 0].astype(np.float64)


class BlendForecaster(MeanForecaster):
    """The network and the trees of all symbols, `lstm` and `panel`, in equal parts: two kinds that err at different bars.

    Args:
        forecasters: as of `MeanForecaster`.
        seed: of both.
    """

    def __init__(self, forecasters: Sequence[BaseForecaster | str] = ("lstm", "panel"), seed: int = 0) -> None:
        super().__init__(forecasters, seed)


def _asked(each: BaseForecaster, panel: SamplePanel) -> list[SamplePanel]:
    return [panel] if each.all_horizons else [panel.at_horizon(h) for h in range(len(panel.horizons))]


def _gone_on(one: BaseForecaster, each: BaseForecaster, panel: SamplePanel) -> BaseForecaster:
    if isinstance(one, WarmStarting) and one.goes_on:
        return _whole(one.update(panel), one, "update")
    return _whole(each.clone().fit(panel), each)


def _unanswered(panel: SamplePanel, rows: NDArray[np.int64]) -> SamplePanel:
    """The samples of these rows without their targets, as a forecast is asked for."""
    return replace(panel, rows=rows, targets=np.full_like(panel.targets, np.nan))


def _weights_at(told: NDArray[np.float64], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(truth)
    return simplex_weights(told[:, known].T, truth[known])


@functools.lru_cache(maxsize=64)
def _columns(wanted: tuple[str, ...], every: frozenset[str], names: tuple[str, ...], timeframe_s: int) -> tuple[str, ...]:
    """Of the features of a panel those that one asked for, and those of factors, which nobody asks for by name."""
    step = Timeframe(timeframe_s, f"{timeframe_s}s")
    named = {short_name(name) for name in chosen(sorted(every), (), step)}
    own = {short_name(name) for name in chosen(wanted, (), step)}
    return tuple(name for name in names if name in own or name not in named)


def _whole(found: object, of: BaseForecaster, step: str = "fit") -> BaseForecaster:
    if not isinstance(found, BaseForecaster):
        raise TypeError(f"{type(of).__name__}.{step} answered {type(found).__name__}; end it with `return self`")
    return found


def ages(panel: SamplePanel) -> NDArray[np.int64]:
    """For each row [T], how many bars its symbol has after it."""
    age = np.empty(len(panel.symbol_of), np.int64)
    for symbol in np.unique(panel.symbol_of):
        own = np.flatnonzero(panel.symbol_of == symbol)
        age[own] = np.arange(len(own))[::-1]
    return age


def purged_split(panel: SamplePanel, newer: float) -> tuple[SamplePanel, SamplePanel]:
    """The older part of a window and its newer one; targets of the older end where the newer one's samples begin.

    Symbols are cut at equal distances from the end of the window.

    Raises:
        TooLittleHistory: a part would have fewer than 32 samples.
    """
    age = ages(panel)
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
