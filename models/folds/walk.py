"""The walk-forward: train every model of a calendar or load it from the registry, and collect its forecasts while in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.errors import TooLittleHistory, TradingError
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel, selected
from forwardtrader.models.features.sequences import realised, unit
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.training import Base, FoldResult
from forwardtrader.models.folds.warm_start import PlannedModel, planned_model
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.forecaster import FORECAST_COLUMNS
from forwardtrader.models.forecasters.calibration import distribution
from forwardtrader.models.parallel.scale_out import fold_workers
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import asked_from, context_of, prototype
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage
from forwardtrader.models.walk_forward import Fold, folds, folds_once_filled, served_from

Progress: TypeAlias = Callable[[int, int], None]
Relabel: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
COMPILED: Final = "compiled"


@dataclass(frozen=True)
class ServedFold:
    """One fold with its card and the raw forecasts it made, per symbol float32 [rows in force, members, H, 6].

    `key` is the fingerprint of the candles that those forecasts were made from.
    """

    fold: Mapping[str, Fold]
    card: ModelCard
    raw: Mapping[str, NDArray[np.float32]]
    key: str
    cached: bool


@dataclass(frozen=True)
class WalkForward:
    """All folds of a run, in order; none where no model was trained, and `untrained` then says why to whoever asks for a forecast."""

    panel: Panel
    settings: ModelSettings
    served: tuple[ServedFold, ...]
    untrained: TradingError | None = field(default=None, kw_only=True)

    def frame(self, symbol: str, horizon: int) -> pd.DataFrame:
        """Forecasts of one horizon on all bars of `symbol`: the columns of `models.forecaster` and `realised`; NaN without a model."""
        bars, index = self.panel.bars[symbol], self.panel.index[symbol]
        h = self.settings.horizons.index(horizon)
        values = np.full((len(bars), len(FORECAST_COLUMNS) - 1), np.nan)
        ids = np.full(len(bars), "", dtype=object)
        usual = unit(bars, horizon)
        for served in self._of(symbol):
            fold = served.fold[symbol]
            rows = slice(fold.effective_first, fold.effective_last)
            raw, calibrations = served.raw[symbol].mean(axis=1), served.card.calibrations[symbol]
            found = distribution(raw[:, h], usual[rows], calibrations[h])
            values[rows] = np.column_stack([found.location, found.scale, found.quantiles, found.p_up])
            ids[rows] = np.where(np.isfinite(found.location), served.card.model_id, "")
        frame = pd.DataFrame(values, index=index, columns=list(FORECAST_COLUMNS[:-1]))
        frame["model_id"] = pd.array(ids, dtype="str")
        frame["realised"] = realised(bars, horizon)
        return frame

    def waiting(self) -> dict[str, datetime | None]:
        """The symbols without enough history for the first model, and the open time of their first forecast; None where there is none."""
        if self.untrained is not None:
            return {}
        begins = {symbol: self._of(symbol)[:1] for symbol in self.panel.symbols}
        first = min((fold.fold[symbol].boundary for symbol, folds in begins.items() for fold in folds), default=None)
        late = {s: f for s, f in begins.items() if not f or f[0].fold[s].boundary != first}
        return {s: self.panel.index[s][f[0].fold[s].effective_first].to_pydatetime() if f else None for s, f in late.items()}

    def network(self, model_id: str) -> FittedModel:
        """The network of one of the folds, from the registry."""
        return ModelRegistry.of(self.settings).network(model_id)

    def member_locations(self, symbol: str, horizon: int) -> NDArray[np.float64]:
        """Locations of each seed alone: [T, members], NaN where no model served."""
        h = self.settings.horizons.index(horizon)
        out = np.full((len(self.panel.bars[symbol]), self.settings.seeds), np.nan)
        usual = unit(self.panel.bars[symbol], horizon)
        for served in self._of(symbol):
            fold = served.fold[symbol]
            rows, locations = slice(fold.effective_first, fold.effective_last), served.raw[symbol][:, :, h, 0]
            out[rows, : locations.shape[1]] = served.card.calibrations[symbol][h].shrink * locations.astype(np.float64)
        return out * usual[:, None]

    def _of(self, symbol: str) -> list[ServedFold]:
        return [served for served in self.served if symbol in served.fold]


def walk_forward(
    candles: Mapping[str, pd.DataFrame], first: datetime, last: datetime, *, settings: ModelSettings, timeframe: Timeframe,
    features: tuple[str, ...] = (), progress: Progress | None = None, relabel: Relabel | None = None, damaged: Damage = log_damage,
) -> WalkForward:  # fmt: skip
    """Forecasts for every bar from `first` up to (not with) `last`, each by the model in force at that bar.

    Folds come from the registry where candles, settings and code are those they were trained with. Others are trained: in threads here, or
    on the cluster that the settings name.
    `relabel` puts other targets [N, H] in place of the true ones, to prove what a model makes of nonsense; use it without the registry.
    `damaged` is called for models of the registry that cannot be read; they are trained again.

    Raises:
        TooLittleHistory: the candles before `first` do not fill one training window.
        FeatureFailed: a user's own feature is no number on some bar.
    """
    panel = Panel.of(candles, settings.horizons, features or selected(candles, settings, timeframe), timeframe)
    panel.require_numbers()
    if relabel is not None:
        panel = replace(panel, targets=relabel(panel.targets))
    return walk_forward_over(panel, first, last, settings=settings, timeframe=timeframe, progress=progress, damaged=damaged)


def walk_forward_over(
    panel: Panel, first: datetime, last: datetime, *, settings: ModelSettings, timeframe: Timeframe, progress: Progress | None = None,
    damaged: Damage = log_damage,
) -> WalkForward:  # fmt: skip
    """The same over features and targets at hand. Raises as `walk_forward`."""
    reach = warm_up(panel.names)
    calendar = _calendar(panel, first, last, settings, timeframe, reach)
    registry = ModelRegistry.of(settings, damaged)
    planned = [planned_model(panel, fold, settings, timeframe) for fold in calendar]
    keys = [_forecast_key(panel, fold, reach + context_of(settings)) for fold in calendar]
    served: list[ServedFold | None] = [
        _from_registry(registry, one.fold, one.identity, key, settings, panel) for one, key in zip(planned, keys, strict=True)
    ]
    missing = [n for n, s in enumerate(served) if s is None]
    if progress:
        progress(len(calendar) - len(missing), len(calendar))
    if missing:
        training = _Training(panel, settings, timeframe, registry)
        by_identity = {planned[n].identity: n for n in missing}
        for wanted, result in training.run([planned[n] for n in missing]):
            if wanted.identity in by_identity:
                n = by_identity[wanted.identity]
                registry.save_forecasts(wanted.identity, keys[n], result.raw)
                served[n] = ServedFold(wanted.fold, result.card, result.raw, keys[n], cached=False)
            if progress:
                progress(sum(s is not None for s in served), len(calendar))
    return WalkForward(panel, settings, tuple(s for s in served if s is not None))


def _calendar(
    panel: Panel, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, reach: int
) -> list[dict[str, Fold]]:
    """The folds of each symbol side by side; a symbol that has too little history for one yet is left out of it."""
    per_symbol = _cut(panel, first, last, settings, timeframe, reach)
    if (moment := asked_from(prototype(settings))) is not None:
        per_symbol = {symbol: served_from(cut, panel.index[symbol], moment) for symbol, cut in per_symbol.items()}
    moments = sorted({f.boundary for cut in per_symbol.values() for f in cut})
    return [{s: f for s, cut in per_symbol.items() for f in cut if f.boundary == moment} for moment in moments]


def _cut(panel: Panel, first: datetime, last: datetime, settings: ModelSettings, timeframe: Timeframe, reach: int) -> dict[str, list[Fold]]:
    """The folds of each symbol. Where one has the history for the first day, the others wait until they have it too.

    Raises:
        TooLittleHistory: none has; the message is that of the one with most bars before the first day.
    """
    found, short = {}, {}
    for symbol, index in panel.index.items():
        try:
            found[symbol] = folds(index, first, last, settings=settings, timeframe=timeframe, warm_up=reach)
        except TooLittleHistory as error:
            short[symbol] = error
            found[symbol] = folds_once_filled(index, first, last, settings=settings, timeframe=timeframe, warm_up=reach)
    if len(short) == len(found):
        longest = max(short, key=lambda symbol: int(panel.index[symbol].searchsorted(pd.Timestamp(first))))
        raise TooLittleHistory(f"{longest}: {short[longest]}") from short[longest]
    return found


def _forecast_key(panel: Panel, fold: Mapping[str, Fold], reach: int) -> str:
    parts = [
        (s, f.effective_last - f.effective_first, panel.fingerprint(s, f.effective_first - reach, f.effective_last))
        for s, f in fold.items()
    ]
    return fingerprint.of_value(parts)[:16]


def _from_registry(
    registry: ModelRegistry, fold: Mapping[str, Fold], identity: str, key: str, settings: ModelSettings, panel: Panel
) -> ServedFold | None:
    """A fold whose model is there: with the forecasts kept for these candles, or with forecasts made now by its network."""
    card = registry.sound_card(identity) if settings.cache else None
    if card is None:
        return None
    raw: Mapping[str, NDArray[np.float32]] | None = registry.forecasts(identity, key)
    if raw is None:
        model = registry.sound_network(identity)
        if model is None:
            return None
        rows = {s: np.arange(f.effective_first, f.effective_last) for s, f in fold.items()}
        raw = {s: fold_training.forecast_rows(model, panel, s, rows[s]) for s in fold}
        registry.save_forecasts(identity, key, raw)
    return ServedFold(fold, card, raw, key, cached=True)


def side_by_side(settings: ModelSettings) -> int:
    """Folds at a time, 0 for one per core; one where the forecaster does not say that it may run in several threads."""
    own = prototype(settings)
    return settings.jobs if own is None or own.runs_in_threads else 1


class _Training:
    """Trains models side by side, saving each as it is done; the registry is written by this process alone."""

    def __init__(self, panel: Panel, settings: ModelSettings, timeframe: Timeframe, registry: ModelRegistry) -> None:
        self.settings = settings
        self.registry = registry
        self.work = FoldWork(panel, settings, str(timeframe), Path(settings.save_path).absolute() / COMPILED)
        self._window = int(settings.train_window / timeframe.delta) - fold_training.trimmed(settings)
        self._bases: dict[str, Base] = {}

    def run(self, wanted: Sequence[PlannedModel]) -> Iterator[tuple[PlannedModel, FoldResult]]:
        """Each model as it is done, in any order; bases of warm starts come first, whether they are wanted themselves or not."""
        ours = {one.identity for one in wanted}
        bases = {one.base.identity: one.base for one in wanted if one.base}
        for identity in bases:
            if identity not in ours and self.settings.cache and (network := self.registry.sound_network(identity)) is not None:
                self._bases[identity] = Base(identity, network)
        # One that is wanted itself is made from its own fold, which also gives its serving rows.
        alone = {i: b for i, b in bases.items() if i not in self._bases} | {one.identity: one for one in wanted if not one.base}
        yield from self._side_by_side(list(alone.values()), keep=set(bases))
        yield from self._side_by_side([one for one in wanted if one.base], keep=set())

    def _side_by_side(self, wanted: Sequence[PlannedModel], keep: set[str]) -> Iterator[tuple[PlannedModel, FoldResult]]:
        tasks = [self._task(one) for one in wanted]
        for k, result in fold_workers(side_by_side(self.settings), self.settings.cluster).run(train_one, self.work, tasks):
            identity = wanted[k].identity
            self.registry.save(result.card, result.model)
            if identity in keep:
                self._bases[identity] = Base(identity, result.model)
            yield wanted[k], result

    def _task(self, one: PlannedModel) -> FoldTask:
        count = fold_training.updates(self.settings, one.fold, self._window)
        return FoldTask(one.fold, one.identity, count, self._bases[one.base.identity] if one.base else None)
