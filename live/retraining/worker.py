"""Retraining beside a running session: child processes that train the model of a boundary."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, Protocol

import pandas as pd

from forwardtrader.core import atomic, log
from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.core.errors import NotTrained
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.priority import give_way
from forwardtrader.models.folds.retrain import assignment, train
from forwardtrader.models.registry.store import Damage, log_damage

_LOG: Final = log.logger("live")


class Training(Protocol):
    """A training of the model of one boundary."""

    @property
    def boundary(self) -> datetime: ...

    @property
    def is_done(self) -> bool: ...

    def finish(self) -> str:
        """Wait for the end; returns the id of the model, which is in the registry then.

        Raises:
            ModelError: the training failed.
        """
        ...

    def stop(self) -> None:
        """Stop it where it still runs."""
        ...


class Trainings(Protocol):
    """Starts trainings: `ChildTrainings` in child processes, `TrainingsHere` in this process."""

    def begin(self, boundary: datetime, changed: datetime | None = None, *, awaited: bool = False) -> Training:
        """Start a training, on what came after the market `changed`.

        Args:
            awaited: the session waits for it, so that it keeps its priority.
        """
        ...


class ChildTrainings:
    """Trains in child processes, so that no bar waits for a training.

    Args:
        folder: of the session; requests and their candles are written there.
        candles: returns all closed candles of each symbol.
        damaged: called with id and reason for each model that a child could not read and retrained.
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

    def begin(self, boundary: datetime, changed: datetime | None = None, *, awaited: bool = False) -> Training:
        command = child_command("models.folds.retrain", "--request", str(self._request(boundary, changed)))
        # Files, not pipes: nobody reads before the child has ended, and one whose pipe is full waits for ever.
        output, errors = _file(), _file()
        process = subprocess.Popen(command, stdout=output, stderr=errors, text=True, env=child_environment(), start_new_session=True)
        if not awaited:
            give_way(process.pid)
        log.event(_LOG, "training_began", boundary=boundary.isoformat(), pid=process.pid)
        return _Child(boundary, process, output, errors, self._damaged)

    def _request(self, boundary: datetime, changed: datetime | None) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        for symbol, frame in self._candles().items():
            path = (self._folder / f"{symbol.replace('/', '-')}.parquet").resolve()
            atomic.write_atomically(path, frame.to_parquet)
            files[symbol] = str(path)
        settings = self._settings.model_copy(update={"save_path": str(Path(self._settings.save_path).resolve())})
        request: dict[str, Any] = {
            "candles": files, "boundary": boundary.isoformat(), "timeframe": str(self._timeframe),
            "settings": settings.model_dump(mode="json"), "changed": changed.isoformat() if changed else "",
        }  # fmt: skip
        path = (self._folder / "request.json").resolve()  # the child has another working folder
        atomic.write_text(path, json.dumps(request))
        return path


@dataclass(frozen=True)
class _Child:
    boundary: datetime
    process: subprocess.Popen[str]
    output: IO[str]
    errors: IO[str]
    damaged: Damage

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None

    def finish(self) -> str:
        self.process.wait()
        output, errors = _read(self.output), _read(self.errors)
        if self.process.returncode != 0:
            lines = errors.strip().splitlines()
            raise NotTrained(f"the model of {self.boundary:%Y-%m-%d} was not trained: {lines[-1] if lines else 'no reason given'}")
        answer = _answer(output)
        if answer is None:
            raise NotTrained(f"the model of {self.boundary:%Y-%m-%d} was not trained: its process ended without an answer")
        for model_id, reason in answer.pop("damaged").items():
            self.damaged(model_id, reason)
        log.event(_LOG, "training_done", boundary=self.boundary.isoformat(), **answer)
        return str(answer["model_id"])

    def stop(self) -> None:
        if not self.is_done:
            self.process.terminate()
            self.process.wait(10)
        self.output.close()
        self.errors.close()


def _answer(output: str) -> dict[str, Any] | None:
    """The newest line that is one: what a forecaster prints may come before it, and after it."""
    for line in reversed(output.splitlines()):
        with contextlib.suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict) and {"model_id", "damaged"} <= found.keys():
                return found
    return None


def _file() -> IO[str]:
    return TemporaryFile("w+", encoding="utf-8", errors="replace")


def _read(file: IO[str]) -> str:
    """All of it; it is closed and gone then."""
    with file:
        file.seek(0)
        return file.read()


class TrainingsHere:
    """Trains at once in this process, for tests and replays."""

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, candles: Callable[[], Mapping[str, pd.DataFrame]],
        damaged: Damage = log_damage,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._timeframe = timeframe
        self._candles = candles
        self._damaged = damaged

    def begin(self, boundary: datetime, changed: datetime | None = None, *, awaited: bool = False) -> Training:
        work = assignment(self._candles(), boundary, self._settings, self._timeframe, changed)
        return _Done(boundary, train(work, self._damaged).model_id)


@dataclass(frozen=True)
class _Done:
    boundary: datetime
    model_id: str
    is_done: bool = True

    def finish(self) -> str:
        return self.model_id

    def stop(self) -> None:
        """It has ended already."""
