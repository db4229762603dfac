"""The manifest `sweep.json`: what was tried, what was chosen by which rule, and overfitting statistics. Points are in `points.parquet`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import Field, ValidationError

from forwardtrader.core import atomic, log
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.core.types import DataKind, Verdict
from forwardtrader.reports.sections.gates import GateSection
from forwardtrader.reports.sections.optimisation import PathSharpes
from forwardtrader.reports.sections.section import Moment, Number, Section

SCHEMA: Final = 1
FILE_NAME: Final = "sweep.json"
POINTS: Final = "points.parquet"
RULE: Final = (
    "The score of a point is its own net Sharpe ratio, or the lower median of those in its neighbourhood where that is less. The "
    "neighbourhood holds the point itself and, on a grid, every point at "
    "most one step away along each numeric key, in a search the 2 d + 1 nearest points by d numeric keys. Values without an order are not "
    "neighbours of one another. The point with the best score is chosen."
)


class SweepPoint(Section):
    """One point: its settings, the same as command-line arguments, and its numbers; `score` is that of its neighbourhood."""

    settings: dict[str, Any]
    flags: str
    score: Number = None
    sharpe: Number = None
    total_return: Number = None
    max_drawdown: Number = None


class LeftOut(Section):
    """A point that could not be chosen: its settings as command-line arguments, and why."""

    flags: str
    reason: str


class SweepManifest(Section):
    """The whole of `sweep.json`. `number` is the chosen point's row in `points.parquet`, `run` the folder of its run beside this one.

    `verdict`, `verdict_gates` and `alarms` are those of the chosen point's run. `effective_trials` is how many independent trials the
    counted ones are worth, `paths` what choosing the best comes to out of sample.
    """

    schema_version: int = Field(default=SCHEMA, alias="schema")
    sweep_id: str
    created: Moment
    command: str = ""
    name: str = ""
    title: str
    kind: DataKind
    first: Moment
    last: Moment
    keys: list[str]
    search: bool = False
    points: int
    rule: str = RULE
    chosen: SweepPoint
    peak: SweepPoint
    number: int
    run: str
    pbo: Number = None
    dsr: Number = None
    trials: int | None = None
    effective_trials: Number = None
    paths: PathSharpes | None = None
    verdict: Verdict | None = None
    verdict_gates: list[GateSection] = Field(default_factory=list)
    alarms: list[str] = Field(default_factory=list)
    left_out: list[LeftOut] = Field(default_factory=list)


def to_json(manifest: SweepManifest) -> str:
    """The text of `sweep.json`: strict JSON, secrets struck out."""
    return (
        json.dumps(
            log.redacted(manifest.model_dump(mode="json", by_alias=True), numbers=False), indent=1, ensure_ascii=False, allow_nan=False
        )
        + "\n"
    )


def write(folder: Path, manifest: SweepManifest) -> Path:
    """Write `folder/sweep.json` atomically and return its path."""
    path = folder / FILE_NAME
    atomic.write_text(path, to_json(manifest))
    return path


def read(folder: Path) -> SweepManifest:
    """Read `folder/sweep.json`.

    Raises:
        RunUnreadable: the file is missing or is not of this schema.
    """
    path = folder / FILE_NAME
    try:
        return SweepManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunUnreadable(f"{path} does not exist; name the folder of a finished sweep") from error
    except (ValidationError, UnicodeDecodeError) as error:
        raise RunUnreadable(f"{path} cannot be read; run the sweep again") from error
