"""The model of one boundary, trained in a child process so that no bar waits for it."""

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
from core.errors import NotTrained
from core.settings import ModelSettings
from core.types import Timeframe

_LOG: Final = log.logger("live")
_ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass
class Training:
    """A child process at work on the model of one boundary."""

    boundary: datetime
    process: subprocess.Popen[str]

    @property
    def is_done(self) -> bool:
        return self.process.poll() is not None


class ModelTraining:
    """Begins trainings and reads what they say.

    Args:
        folder: where requests and their candles are put.
        candles: gives all closed candles of each symbol.
    """

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, folder: Path, candles: Callable[[], Mapping[str, pd.DataFrame]]
    ) -> None:
        self._settings = settings
        self._timeframe = timeframe
        self._folder = folder / "training"
        self._candles = candles

    def begin(self, boundary: datetime) -> Training:
        """Start the child."""
        command = [sys.executable, "-m", "models.retrain", "--request", str(self._request(boundary))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=_ROOT, start_new_session=True)
        log.event(_LOG, "training_began", boundary=boundary.isoformat(), pid=process.pid)
        return Training(boundary, process)

    def finish(self, training: Training) -> str:
        """Wait for the child; the id of the model that the registry now holds.

        Raises:
            NotTrained: it could not be trained; the message is the child's own.
        """
        said, trouble = training.process.communicate()
        if training.process.returncode != 0:
            lines = trouble.strip().splitlines()
            raise NotTrained(f"the model of {training.boundary:%Y-%m-%d} was not trained: {lines[-1] if lines else 'no reason given'}")
        answer = json.loads(said.strip().splitlines()[-1])
        log.event(_LOG, "training_done", boundary=training.boundary.isoformat(), **answer)
        return str(answer["model_id"])

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
        path = self._folder / "request.json"
        atomic.write_text(path, json.dumps(request))
        return path
