"""Where the model of a boundary is trained while a session goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import pandas as pd

from forwardtrader.core import atomic, log
from forwardtrader.core.errors import NotTrained
from forwardtrader.core.installed import ROOT
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.priority import give_way
from forwardtrader.models.folds.retrain import assignment, train
from forwardtrader.models.registry.store import Damage, log_damage

_LOG: Final = log.logger("live")


class Training(Protocol):
    """Work on the model of one boundary."""

    @property
    def boundary(self) -> datetime: ...

    @property
    def is_done(self) -> bool: ...

    def finish(self) -> str:
        """Wait for the end; the id of the model that the registry now holds.

        Raises:
            ModelError: it could not be trained.
        """
        ...

    def stop(self) -> None:
        """End it, if it still runs."""
        ...


class Trainings(Protocol):
    """Where models are trained: `ChildTrainings` is a process beside the session, `TrainingsHere` the process itself."""

    def begin(self, boundary: datetime, *, awaited: bool = False) -> Training:
        """Start; `awaited` says that the session can do nothing until it is done."""
        ...


class ChildTrainings:
    """Trains in child processes, so that no bar waits.

    Args:
        folder: where requests and their candles are put.
        candles: gives all closed candles of each symbol.
        damaged: hears of models that a child could not read and trained again: their ids, and why.
    """

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, folder: Path, candles: Callable[[], Mapping[str, pd.DataFrame]],
        damaged: Damage = log_damage,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._timeframe = timeframe
        self._folder = folder / "training"
        self._candles = candles
        self._damaged = damaged

    def begin(self, boundary: datetime, *, awaited: bool = False) -> Training:
        command = [sys.executable, "-m", "forwardtrader.models.folds.retrain", "--request", str(self._request(boundary))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
        if not awaited:
            give_way(process.pid)
        log.event(_LOG, "training_began", boundary=boundary.isoformat(), pid=process.pid)
        return _Child(boundary, process, self._damaged)

    def _request(self, boundary: datetime) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        for symbol, frame in self._candles().items():
            path = (self._folder / f"{symbol.replace('/', '-')}.parquet").resolve()
            atomic.write_atomically(path, frame.to_parquet)
            files[symbol] = str(path)
        settings = self._settings.model_copy(update={"save_path": str(Path(self._settings.save_path).resolve())})
        request: dict[str, Any] = {
            "candles": files, "boundary": boundary.isoformat(), "timeframe": str(self._timeframe),
            "settings": settings.model_dump(mode="json"),
        }  # fmt: skip
        path = (self._folder / "request.json").resolve()  # the child works in another folder
        atomic.write_text(path, json.dumps(request))
        return path


@dataclass(frozen=True)
class _Child:
    boundary: datetime
    process: subprocess.Popen[str]
    damaged: Damage

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None

    def finish(self) -> str:
        said, trouble = self.process.communicate()
        if self.process.returncode != 0:
            lines = trouble.strip().splitlines()
            raise NotTrained(f"the model of {self.boundary:%Y-%m-%d} was not trained: {lines[-1] if lines else 'no reason given'}")
        answer = json.loads(said.strip().splitlines()[-1])
        for model_id, reason in answer.pop("damaged").items():
            self.damaged(model_id, reason)
        log.event(_LOG, "training_done", boundary=self.boundary.isoformat(), **answer)
        return str(answer["model_id"])

    def stop(self) -> None:
        if not self.is_done:
            self.process.terminate()
            self.process.wait(10)


class TrainingsHere:
    """Trains at once, in this process: for tests and replays."""

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, candles: Callable[[], Mapping[str, pd.DataFrame]],
        damaged: Damage = log_damage,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._timeframe = timeframe
        self._candles = candles
        self._damaged = damaged

    def begin(self, boundary: datetime, *, awaited: bool = False) -> Training:
        work = assignment(self._candles(), boundary, self._settings, self._timeframe)
        return _Done(boundary, train(work, self._damaged).model_id)


@dataclass(frozen=True)
class _Done:
    boundary: datetime
    model_id: str
    is_done: bool = True

    def finish(self) -> str:
        return self.model_id

    def stop(self) -> None:
        """It has ended."""
