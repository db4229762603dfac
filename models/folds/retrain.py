"""Retraining: train the model of one boundary in a process beside a live session.

The request is one JSON object: `candles` (symbol to Parquet file), `boundary` (ISO 8601), `timeframe`, `settings` (of the models room). The
answer is one JSON line: `model_id`, `seconds`, `trained` (false where the registry held the model), `damaged` (models that could not be
read and were trained again, with the reason; each is a line on stderr too).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forwardtrader.core.command.cli import end_well
from forwardtrader.core.errors import ConfigError, TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel, beside_peers, in_order, selected
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.fitting import LEAST_SAMPLES
from forwardtrader.models.folds.training import Base
from forwardtrader.models.folds.walk import COMPILED
from forwardtrader.models.folds.warm_start import PlannedModel, planned_model
from forwardtrader.models.folds.work import FoldTask, FoldWork, train_one
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import prototype
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage
from forwardtrader.models.walk_forward import Fold, fold_at


@dataclass(frozen=True)
class Assignment:
    """One boundary's training, worked out but not done. `model_id` is what a backtest over the same candles would call the model."""

    panel: Panel
    planned_model: PlannedModel
    settings: ModelSettings
    timeframe: Timeframe

    @property
    def model_id(self) -> str:
        return self.planned_model.identity

    @property
    def fold(self) -> Mapping[str, Fold]:
        return self.planned_model.fold


def assignment(candles: Mapping[str, pd.DataFrame], boundary: datetime, settings: ModelSettings, timeframe: Timeframe) -> Assignment:
    """Cut the training rows of `boundary` from candles that reach at least up to it.

    Raises:
        TooLittleHistory: no symbol has a row to learn from.
        FeatureFailed: a user's own feature is no number on some bar.
    """
    panel = Panel.of(candles, settings.horizons, selected(candles, settings, timeframe), timeframe)
    panel.require_numbers()
    return assignment_in(panel, boundary, settings, timeframe)


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


def assignment_in(panel: Panel, boundary: datetime, settings: ModelSettings, timeframe: Timeframe) -> Assignment:
    """The same from a panel, which may reach past the boundary: only what closed before it is used.

    Raises:
        TooLittleHistory: no symbol has the bars of one training sequence.
    """
    reach = warm_up(panel.names)
    cut = {s: fold_at(panel.index[s], boundary, boundary, settings, timeframe, reach) for s in panel.symbols}
    fold = {symbol: each for symbol, each in cut.items() if each.train_bars > 0}
    if not fold:
        raise TooLittleHistory(f"there are no candles to learn from before {boundary:%Y-%m-%d}; get more history, or set --train-window")
    longest, needed = max(each.train_bars for each in fold.values()), _least_bars(settings)
    if longest < needed:
        raise TooLittleHistory(
            f"the window before {boundary:%Y-%m-%d} holds {longest} bars, fewer than the {needed} that a model learns from; "
            "set a longer models.train_window, or take shorter bars"
        )
    return Assignment(panel, planned_model(panel, fold, settings, timeframe), settings, timeframe)


def _least_bars(settings: ModelSettings) -> int:
    """The bars of one training sequence, or those of the fewest samples that another forecaster learns from."""
    own = prototype(settings)
    return fold_training.training_spec(settings).length if own is None else own.warm_up - 1 + LEAST_SAMPLES


def train(work: Assignment, damaged: Damage = log_damage) -> ModelCard:
    """Train and save the model, and before it the base of its warm start, each unless the registry has it.

    Args:
        damaged: called for a model of the registry that cannot be read; it is trained again, from the same bars to the same bits.
    """
    settings, registry = work.settings, ModelRegistry.of(work.settings, damaged)
    if settings.cache and registry.sound_network(work.model_id) is not None:
        return registry.card(work.model_id)
    shared = FoldWork(work.panel, settings, str(work.timeframe), Path(settings.save_path) / COMPILED)
    window = int(settings.train_window / work.timeframe.delta) - fold_training.trimmed(settings)

    def made(wanted: PlannedModel, base: Base | None) -> FittedModel:
        if settings.cache and (network := registry.sound_network(wanted.identity)) is not None:
            return network
        count = fold_training.updates(settings, wanted.fold, window)
        result = train_one(shared, FoldTask(wanted.fold, wanted.identity, count, base))
        registry.save(result.card, result.model)
        return result.model

    before = work.planned_model.base
    made(work.planned_model, Base(before.identity, made(before, None)) if before else None)
    return registry.card(work.model_id)


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
    work = assignment(candles, datetime.fromisoformat(request["boundary"]), settings, Timeframe.parse(request["timeframe"]))
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
