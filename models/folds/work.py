"""Training of folds as tasks for any kind of worker."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.folds.fitting import fit_fold
from forwardtrader.models.folds.training import Base, FoldResult
from forwardtrader.models.forecasters.compiled_code import folder_here, keep_in, machine
from forwardtrader.models.forecasters.lstm import block_forecast
from forwardtrader.models.forecasters.trainer import Trainer
from forwardtrader.models.port.prototype import prototype
from forwardtrader.models.walk_forward import Fold


@dataclass(frozen=True)
class FoldTask:
    """One fold per symbol, the fingerprint of its model, the updates of one trained from scratch, and the base of its warm start."""

    fold: Mapping[str, Fold]
    identity: str
    updates: int
    base: Base | None = None


class FoldWork:
    """What all folds of a run share. It travels without its trainer, which each process builds at its first fold."""

    def __init__(self, panel: Panel, settings: ModelSettings, timeframe: str, cache: Path | None) -> None:
        self.panel = panel
        self.settings = settings
        self.timeframe = timeframe
        self.cache = cache
        self._trainer: Trainer | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        cache = None if self.cache is None else self.cache.resolve()
        return {"panel": self.panel, "settings": self.settings, "timeframe": self.timeframe, "cache": cache, "machine": machine()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        cache = folder_here(state["cache"], state["machine"])
        self.__init__(state["panel"], state["settings"], state["timeframe"], cache)  # type: ignore[misc]

    def trainer(self, updates: int) -> Trainer:
        """The trainer of this process, compiled for so many updates; built once, whoever asks first."""
        with self._lock:
            if self._trainer is None:
                spec = fold_training.lstm_spec(self.settings, len(self.panel.names))
                training = fold_training.training_spec(self.settings)
                self._trainer = Trainer(spec, training, self.panel.features, self.panel.targets, cache=self.cache)
                # While one core compiles the training, the other does what the first fold will ask for at its end.
                threading.Thread(target=block_forecast, args=(spec, self.settings.seeds), name="prepare").start()
            self._trainer.compile(updates)
            return self._trainer


def train_one(work: FoldWork, task: FoldTask) -> FoldResult:
    """Train, calibrate and forecast one fold."""
    own = prototype(work.settings)
    if own is not None:
        keep_in(work.cache)
        return fit_fold(own, work.panel, task.fold, work.settings, identity=task.identity, timeframe=work.timeframe, base=task.base)
    return fold_training.train_fold(
        work.trainer(task.updates),
        work.panel,
        task.fold,
        work.settings,
        number_of_updates=task.updates,
        identity=task.identity,
        timeframe=work.timeframe,
        base=task.base,
    )
