"""Models on time: the one in force at the start, and each later one trained in a child process when its boundary has passed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core import atomic, log
from core.errors import ModelError, NotTrained
from core.settings import ModelSettings
from core.types import Timeframe
from models.features import FEATURES
from models.fold_training import lstm_spec
from models.lstm import Ensemble
from models.model_card import ModelCard
from models.models_in_force import Facts, InForce, ModelsInForce
from models.registry import ModelRegistry
from models.retrain import assignment
from models.walk_forward import ANCHOR

_LOG: Final = log.logger("live")
_ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass
class Training:
    """A child process at work on the model of one boundary, due at the bar that opens at `due`."""

    boundary: datetime
    due: datetime
    process: subprocess.Popen[str]


class ModelSupply:
    """The sources of all symbols, and what keeps them up to date.

    Args:
        candles: gives all closed candles of each symbol, factors beside them, when a training begins.
        folder: where training requests and their candles are put.
        tell: hears of deviations from the calendar: kind and facts.
        facts: the columns of the factors, where there are any.
    """

    def __init__(
        self, symbols: tuple[str, ...], settings: ModelSettings, horizon: int, timeframe: Timeframe, *, folder: Path,
        candles: Callable[[], Mapping[str, pd.DataFrame]], tell: Callable[..., None], facts: Facts | None = None,
    ) -> None:  # fmt: skip
        self._facts = facts
        self.settings = settings
        self.timeframe = timeframe
        self.training: Training | None = None
        self.card: ModelCard | None = None
        self.card_since: datetime | None = None
        self.sources: dict[str, ModelsInForce] = {}
        self._symbols = symbols
        self._horizon = horizon
        self._folder = folder
        self._candles = candles
        self._tell = tell
        self._networks: dict[str, Ensemble] = {}

    def open(self, at: datetime) -> None:
        """Have the model that is in force at the bar opening at `at`, training it if the registry lacks it.

        Raises:
            ModelError: it could not be trained; the message is the child's own.
        """
        boundary = self.boundary_in_force(at)
        held = assignment(self._candles(), boundary, self.settings, self.timeframe).model_id
        if not self._registry.holds(held):
            training = self._begin(boundary)
            self._warm_up()
            held = self._finish(training)
        card = self._registry.card(held)
        self.sources = {
            symbol: ModelsInForce(
                symbol, self._horizon, self.timeframe, [self._term(card, boundary)], self._network, context=self.settings.context,
                facts=self._facts,
            )  # fmt: skip
            for symbol in self._symbols
        }
        self._appointed(card, self.due(boundary))

    def _warm_up(self) -> None:
        """Load Keras while the child trains: the first model is needed the moment it is there."""
        from models.lstm import network

        network(lstm_spec(self.settings, len(FEATURES)), self.settings.seeds)

    def boundary_in_force(self, at: datetime) -> datetime:
        """The boundary whose model is in force at the bar opening at `at`."""
        lag = self.settings.deployment_lag * self.timeframe.delta
        return ANCHOR + (at - lag - ANCHOR) // self.settings.retrain_every * self.settings.retrain_every

    def due(self, boundary: datetime) -> datetime:
        """Open time of the first bar that the model of `boundary` speaks at."""
        aligned = ANCHOR + -((ANCHOR - boundary) // self.timeframe.delta) * self.timeframe.delta
        return aligned + self.settings.deployment_lag * self.timeframe.delta

    @property
    def next_boundary(self) -> datetime:
        newest = self.training.boundary if self.training else self._newest
        return newest + self.settings.retrain_every

    def bar_closed(self, at: datetime) -> None:
        """The bar that opened at `at` is closed: begin a training whose boundary has passed, take in one that is done."""
        self.collect(at + self.timeframe.delta)
        if self.training is None and self.next_boundary <= at + self.timeframe.delta:
            boundary = self.next_boundary
            self.training = self._begin(boundary)

    def collect(self, coming: datetime, *, wait: bool = False) -> None:
        """Take in a finished training; `coming` is the open time of the next bar, `wait` whether one due by then is waited for."""
        training = self.training
        if training is None or (training.process.poll() is None and not (wait and training.due <= coming)):
            return
        self.training = None
        try:
            card = self._registry.card(self._finish(training))
        except ModelError as failure:
            self._newest = training.boundary
            self._tell("training_failed", boundary=training.boundary.isoformat(), reason=str(failure))
            return
        since = max(training.due, coming)
        if since > training.due:
            self._tell("model_late", model_id=card.model_id, due=training.due.isoformat(), in_force=since.isoformat())
        for source in self.sources.values():
            source.appoint(InForce(since, card))
            source.preload(card)
        self._newest = training.boundary
        self._appointed(card, since)

    def stop(self) -> None:
        """End a training that still runs."""
        if self.training is not None and self.training.process.poll() is None:
            self.training.process.terminate()
            self.training.process.wait(10)

    @property
    def _registry(self) -> ModelRegistry:
        return ModelRegistry(Path(self.settings.save_path))

    def _network(self, model_id: str) -> Ensemble:
        if model_id not in self._networks:
            self._networks = {model_id: self._registry.network(model_id)}  # one at a time is in force
        return self._networks[model_id]

    def _term(self, card: ModelCard, boundary: datetime) -> InForce:
        self._newest = boundary
        return InForce(self.due(boundary), card)

    def _appointed(self, card: ModelCard, since: datetime) -> None:
        self.card, self.card_since = card, since
        for source in self.sources.values():
            source.preload(card)
        log.event(_LOG, "model_in_force", model_id=card.model_id, since=since.isoformat())

    def _begin(self, boundary: datetime) -> Training:
        request = self._request(boundary)
        command = [sys.executable, "-m", "models.retrain", "--request", str(request)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True)
        log.event(_LOG, "training_began", boundary=boundary.isoformat(), pid=process.pid)
        return Training(boundary, self.due(boundary), process)

    def _request(self, boundary: datetime) -> Path:
        folder = self._folder / "training"
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        for symbol, frame in self._candles().items():
            path = (folder / f"{symbol.replace('/', '-')}.parquet").resolve()
            atomic.write_atomically(path, frame.to_parquet)
            files[symbol] = str(path)
        settings = self.settings.model_copy(update={"save_path": str(Path(self.settings.save_path).resolve())})
        request: dict[str, Any] = {
            "candles": files, "boundary": boundary.isoformat(), "timeframe": str(self.timeframe),
            "settings": settings.model_dump(mode="json"),
        }  # fmt: skip
        path = folder / "request.json"
        atomic.write_text(path, json.dumps(request))
        return path

    def _finish(self, training: Training) -> str:
        said, trouble = training.process.communicate()
        if training.process.returncode != 0:
            lines = trouble.strip().splitlines()
            raise NotTrained(f"the model of {training.boundary:%Y-%m-%d} was not trained: {lines[-1] if lines else 'no reason given'}")
        answer = json.loads(said.strip().splitlines()[-1])
        log.event(_LOG, "training_done", boundary=training.boundary.isoformat(), **answer)
        return str(answer["model_id"])
