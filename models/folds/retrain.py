"""Retraining: train the model of one boundary in a process beside a live session.

The request is one JSON object: `candles` (symbol to Parquet file), `boundary` (ISO 8601), `timeframe`, `settings` (of the models room), and
where the market changed lately `changed` (ISO 8601). The
answer is one JSON line: `model_id`, `seconds`, `trained` (false where the registry held the model), `damaged` (models that could not be
read and were trained again, with the reason; each is a line on stderr too).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.command.cli import end_well
from forwardtrader.core.errors import ConfigError, TooLittleHistory, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel, beside_peers, in_order, selected
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.champion import contest
from forwardtrader.models.folds.divergence import losses
from forwardtrader.models.folds.fitting import LEAST_SAMPLES
from forwardtrader.models.folds.training import Base
from forwardtrader.models.folds.walk import COMPILED
from forwardtrader.models.folds.warm_start import PlannedModel, planned_anew, planned_model
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.forecasters.calibration import distribution
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import prototype
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage
from forwardtrader.models.walk_forward import Fold, fold_at, purge

LEAST_HELD_OUT: Final = 48  # bars
LEAST_OUTCOMES: Final = 12  # that do not overlap
LEVEL: Final = 0.05


@dataclass(frozen=True)
class Assignment:
    """One boundary's training, worked out but not done. `model_id` is what a backtest over the same candles would call the model.

    `changed` is when the market was found to have changed; the model learns from the bars since then alone, if that is found to be better.
    """

    panel: Panel
    planned_model: PlannedModel
    settings: ModelSettings
    timeframe: Timeframe
    changed: datetime | None = None

    @property
    def model_id(self) -> str:
        return self.planned_model.identity

    @property
    def fold(self) -> Mapping[str, Fold]:
        return self.planned_model.fold


def assignment(
    candles: Mapping[str, pd.DataFrame], boundary: datetime, settings: ModelSettings, timeframe: Timeframe, changed: datetime | None = None
) -> Assignment:
    """Cut the training rows of `boundary` from candles that reach at least up to it.

    Args:
        changed: as of `models.walk_forward.fold_at`.

    Raises:
        TooLittleHistory: no symbol has a row to learn from.
        FeatureFailed: a user's own feature is no number on some bar.
    """
    panel = Panel.of(candles, settings.horizons, selected(candles, settings, timeframe), timeframe)
    panel.require_numbers()
    return assignment_in(panel, boundary, settings, timeframe, changed)


def identity(candles: Mapping[str, pd.DataFrame], boundary: datetime, settings: ModelSettings, timeframe: Timeframe) -> str:
    """The id of the model that `assignment` would train, from the candles alone: no feature is computed. Raises as `assignment`."""
    return assignment_in(_bare_panel(candles, selected(candles, settings, timeframe)), boundary, settings, timeframe).model_id


def _bare_panel(candles: Mapping[str, pd.DataFrame], names: tuple[str, ...]) -> Panel:
    """What decides a model's id, without what it learns from."""
    index, bars = {}, {}
    for symbol, frame in in_order(candles).items():
        index[symbol], bars[symbol] = pd.DatetimeIndex(frame.index), Bars.of(frame)
    nothing = np.empty((0, 0), np.float32)
    return Panel(index=index, bars=beside_peers(bars, names), offset={}, names=names, features=nothing, targets=nothing)


def assignment_in(
    panel: Panel, boundary: datetime, settings: ModelSettings, timeframe: Timeframe, changed: datetime | None = None
) -> Assignment:
    """The same from a panel, which may reach past the boundary: only what closed before it is used.

    A forecaster that the bars since a change are too few for learns from its whole window.

    Raises:
        TooLittleHistory: no symbol has the bars of one training sequence.
    """
    reach = warm_up(panel.names)
    cut = {s: fold_at(panel.index[s], boundary, boundary, settings, timeframe, reach, changed) for s in panel.symbols}
    fold = {symbol: each for symbol, each in cut.items() if each.train_bars > 0}
    if not fold:
        raise TooLittleHistory(f"there are no candles to learn from before {boundary:%Y-%m-%d}; get more history, or set --train-window")
    longest, needed = max(each.train_bars for each in fold.values()), _least_bars(settings)
    if longest < needed and changed is not None:
        return assignment_in(panel, boundary, settings, timeframe)
    if longest < needed:
        raise TooLittleHistory(
            f"the window before {boundary:%Y-%m-%d} holds {longest} bars, fewer than the {needed} that a model learns from; "
            "set a longer models.train_window, or take shorter bars"
        )
    planned = planned_model(panel, fold, settings, timeframe) if changed is None else planned_anew(panel, fold, settings)
    return Assignment(panel, planned, settings, timeframe, changed)


def _least_bars(settings: ModelSettings) -> int:
    """The bars of one training sequence, or those of the fewest samples that another forecaster learns from."""
    own = prototype(settings)
    return fold_training.training_spec(settings).length if own is None else own.warm_up - 1 + LEAST_SAMPLES


def train(work: Assignment, damaged: Damage = log_damage) -> ModelCard:
    """Train and save the model, and before it the base of its warm start, each unless the registry has it.

    Args:
        damaged: called for a model of the registry that cannot be read; it is trained again, from the same bars to the same bits.
    """
    work = work if work.changed is None else _by_evidence(work, work.changed)
    settings, registry = work.settings, ModelRegistry.of(work.settings, damaged)
    if settings.cache and registry.sound_network(work.model_id) is not None:
        return registry.card(work.model_id)
    shared = FoldWork(work.panel, settings, str(work.timeframe), Path(settings.save_path) / COMPILED)
    window = _window(work)

    def made(wanted: PlannedModel, base: Base | None) -> FittedModel:
        if settings.cache and (network := registry.sound_network(wanted.identity)) is not None:
            return network
        count = fold_training.updates(settings, wanted.fold, window)
        result = train_one(shared, FoldTask(wanted.fold, wanted.identity, count, base))
        registry.save(result.card.model_copy(update={"changed": work.changed.isoformat()} if work.changed else {}), result.model)
        return result.model

    before = work.planned_model.base
    made(work.planned_model, Base(before.identity, made(before, None)) if before else None)
    return registry.card(work.model_id)


def _by_evidence(work: Assignment, changed: datetime) -> Assignment:
    """A model of the bars since a change where it is significantly better than one of its whole window on the newest third, held out.

    An alarm may be a false one, and what a few weeks teach less than what they cost to learn from: on few bars a poor model wins by chance.
    """
    boundary, settings = next(iter(work.fold.values())).boundary, work.settings
    whole = assignment_in(work.panel, boundary, settings, work.timeframe)
    least = max(LEAST_HELD_OUT, LEAST_OUTCOMES * settings.horizons[0]) + purge(settings)
    held_out = boundary - max((boundary - changed) / 3, least * work.timeframe.delta)
    try:
        tried = [assignment_in(work.panel, held_out, settings, work.timeframe, since) for since in (None, changed)]
        old, new = (_losses(each, boundary) for each in tried)
    except (TooLittleHistory, TrainingDiverged):
        return whole
    both = (np.asarray(each.reindex(old.index), dtype=np.float64) for each in (old, new))
    return work if contest(*both, horizon=settings.horizons[0], promotion="if better", level=LEVEL).promoted else whole


def _losses(work: Assignment, until: datetime) -> pd.Series[float]:
    """Losses of a model, which is not kept, on the bars from its boundary on whose outcomes are known at `until`; means over symbols."""
    panel, settings = work.panel, work.settings
    ends = {symbol: int(panel.index[symbol].searchsorted(pd.Timestamp(until))) - purge(settings) for symbol in work.fold}
    fold = {s: replace(cut, effective_last=max(ends[s], cut.effective_first)) for s, cut in work.fold.items()}
    count = fold_training.updates(settings, fold, _window(work))
    result = train_one(FoldWork(panel, settings, str(work.timeframe), Path(settings.save_path) / COMPILED), FoldTask(fold, "", count))
    parts = {}
    for symbol, cut in fold.items():
        rows = np.arange(cut.effective_first, cut.effective_last)
        found = distribution(result.raw[symbol].mean(axis=1)[:, 0], np.ones(len(rows)), result.card.calibrations[symbol][0])
        truth = panel.targets[panel.offset[symbol] + rows, 0].astype(np.float64)
        parts[symbol] = pd.Series(losses(np.column_stack([found.location, found.quantiles]), truth), panel.index[symbol][rows])
    return pd.DataFrame(parts).mean(axis=1, skipna=True).dropna()


def _window(work: Assignment) -> int:
    return int(work.settings.train_window / work.timeframe.delta) - fold_training.trimmed(work.settings)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m forwardtrader.models.folds.retrain", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--request", required=True, type=Path, help="JSON file that says what to train")
    given = parser.parse_args(argv)
    return end_well(lambda: _answer(given.request))


def _answer(path: Path) -> int:
    began = time.perf_counter()
    request = _read(path)
    candles = {symbol: pd.read_parquet(file) for symbol, file in request["candles"].items()}
    settings = ModelSettings.model_validate(request["settings"])
    changed = datetime.fromisoformat(request["changed"]) if request.get("changed") else None
    work = assignment(candles, datetime.fromisoformat(request["boundary"]), settings, Timeframe.parse(request["timeframe"]), changed)
    found: dict[str, str] = {}

    def damaged(model_id: str, reason: str) -> None:
        found[model_id] = reason
        sys.stderr.write(f"model {model_id} is trained again: {reason}\n")

    held = settings.cache and ModelRegistry.of(settings, damaged).sound_network(work.model_id) is not None
    card = train(work, damaged)
    answer = {"model_id": card.model_id, "seconds": round(time.perf_counter() - began, 3), "trained": not held, "damaged": found}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        request: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not a readable training request: {error}") from error
    missing = {"candles", "boundary", "timeframe", "settings"} - request.keys()
    if missing:
        raise ConfigError(f"{path} lacks {', '.join(sorted(missing))}")
    return request


if __name__ == "__main__":
    raise SystemExit(main())
