"""All runs, sweeps and audits of the output folder as rows of one table; what cannot be read is a row that says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import manifest, sweep_manifest
from forwardtrader.reports.artefacts import EQUITY
from forwardtrader.reports.manifest import RunManifest
from forwardtrader.reports.pages.audit_page import JSON_NAME as AUDIT
from forwardtrader.reports.pages.audit_page import read_audit
from forwardtrader.reports.runs.own_settings import own_settings, short, strategy_of, written

PAGE: Final = "index.html"
_NAMED_BY: Final = 3  # settings


class RunKind(StrEnum):
    """What a folder holds."""

    BACKTEST = "backtest"
    SWEEP = "sweep"
    AUDIT = "audit"


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One line of the table.

    Attributes:
        folder: its name below the output folder.
        name: the one it was given (then `is_named`), or else what is its own about it.
        first, last: the first and last bar traded, UTC.
        strategy: of the user's, as the command named it; "" for ours.
        settings: what differs from the defaults, as `units 32`.
        verdict: of an audit its result.
        page: the file to look at; "" where there is none yet.
        trouble: why the folder cannot be read; then nothing else is known of it.
    """

    folder: str
    kind: RunKind
    name: str = ""
    symbols: tuple[str, ...] = ()
    timeframe: str = ""
    is_sample: bool = False
    created: datetime | None = None
    first: datetime | None = None
    last: datetime | None = None
    strategy: str = ""
    forecaster: str = ""
    settings: tuple[str, ...] = ()
    is_named: bool = False
    verdict: str = ""
    sharpe: float | None = None
    total_return: float | None = None
    max_drawdown: float | None = None
    trades: int | None = None
    alarms: tuple[str, ...] = ()
    page: str = ""
    trouble: str = ""

    @property
    def untold(self) -> tuple[str, ...]:
        """The settings that the name does not tell."""
        return self.settings if self.is_named else self.settings[_NAMED_BY:]


class RunListing:
    """The rows of an output folder; a folder is read again only when its files have changed."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._known: dict[str, tuple[tuple[object, ...], RunRow]] = {}

    def rows(self) -> list[RunRow]:
        """Newest first, those that cannot be read last."""
        found = {folder.name: (marks, kind) for folder, kind in self._folders() if (marks := _marks(folder, kind)) is not None}
        self._known = {name: self._row(name, marks, kind) for name, (marks, kind) in found.items()}
        rows = [row for _, row in self._known.values()]
        return sorted(rows, key=lambda row: (not row.trouble, row.created or datetime.min.replace(tzinfo=UTC), row.folder), reverse=True)

    def find(self, folder: str) -> RunRow | None:
        """The row of one folder; None where nothing of that name is listed."""
        return next((row for row in self.rows() if row.folder == folder), None)

    def _folders(self) -> Iterator[tuple[Path, RunKind]]:
        """Folders that hold something of ours; a link that leads elsewhere is none."""
        root = self.output.resolve()
        for path in sorted(self.output.iterdir() if self.output.is_dir() else ()):
            kind = next((kind for kind, (marker, _) in _READERS.items() if (path / marker).is_file()), None)
            if kind is not None and path.resolve().parent == root:
                yield path, kind

    def _row(self, name: str, marks: tuple[object, ...], kind: RunKind) -> tuple[tuple[object, ...], RunRow]:
        known = self._known.get(name)
        if known is not None and known[0] == marks:
            return known
        folder = self.output / name
        try:
            row = _READERS[kind][1](folder)
        except RunUnreadable as trouble:
            return marks, RunRow(folder=name, kind=kind, trouble=str(trouble))
        return marks, replace(row, page=PAGE if (folder / PAGE).is_file() else row.page)


def _marks(folder: Path, kind: RunKind) -> tuple[object, ...] | None:
    """What changes with the files of a folder; None where it was removed meanwhile."""
    try:
        found = (folder / _READERS[kind][0]).stat()
    except OSError:
        return None
    return kind, found.st_mtime_ns, found.st_size, (folder / PAGE).is_file()


def _backtest(folder: Path) -> RunRow:
    run = manifest.read(folder)
    first, last = traded_span(folder)
    differs = tuple(written(key, value) for key, value in own_settings(run.config).items())
    strategy, own = strategy_of(run.command), run.strategy
    return RunRow(
        folder=folder.name, kind=RunKind.BACKTEST, name=run.name or automatic_name(run), symbols=tuple(run.data.symbols),
        timeframe=run.data.timeframe, is_sample=run.is_sample, created=run.created, first=first, last=last, strategy=strategy,
        forecaster=forecaster_of(run), settings=differs, is_named=bool(run.name), verdict=str(run.verdict or ""),
        sharpe=own.sharpe if own else None, total_return=own.total_return if own else None, max_drawdown=own.max_drawdown if own else None,
        trades=own.trades if own else None, alarms=tuple(run.alarms),
    )  # fmt: skip


def forecaster_of(run: RunManifest) -> str:
    """The forecaster that a run traded, by its name in the settings."""
    models = run.config.get("models")
    return short(str(models.get("forecaster", "lstm"))) if isinstance(models, dict) else "lstm"


def automatic_name(run: RunManifest) -> str:
    """What is a run's own: its strategy, its forecaster, the settings that differ from the defaults; `defaults` where none does."""
    parts = [part for part in (strategy_of(run.command), forecaster_of(run)) if part and part != "lstm"]
    differs = [written(key, value) for key, value in own_settings(run.config).items()]
    more = [f"{len(differs) - _NAMED_BY} more"] if len(differs) > _NAMED_BY else []
    return " · ".join([*parts, *differs[:_NAMED_BY], *more]) or "defaults"


def _sweep(folder: Path) -> RunRow:
    sweep = sweep_manifest.read(folder)
    return RunRow(
        folder=folder.name, kind=RunKind.SWEEP, name=sweep.name or f"{sweep.points} points of {', '.join(sweep.keys)}",
        symbols=_symbols_of(sweep.title), timeframe=sweep.title.rpartition(" ")[2], is_sample=sweep.kind == "sample",
        created=sweep.created, first=sweep.first, last=sweep.last, strategy=strategy_of(sweep.command),
        settings=(f"chosen: {sweep.chosen.flags}",), is_named=True, verdict=str(sweep.verdict or ""), sharpe=sweep.chosen.sharpe,
        total_return=sweep.chosen.total_return, max_drawdown=sweep.chosen.max_drawdown,
    )  # fmt: skip


def _symbols_of(title: str) -> tuple[str, ...]:
    what = title.removeprefix("SAMPLE · ").rpartition(": ")[2].rpartition(" ")[0]
    return tuple(part for part in what.split(", ") if part)


def _audit(folder: Path) -> RunRow:
    audit = read_audit(folder)
    failed = [proof for proof in audit.proofs if proof.result == "failed"]
    return RunRow(
        folder=folder.name, kind=RunKind.AUDIT, name=f"{len(audit.proofs)} proofs against look-ahead", created=_named_moment(folder),
        is_sample="-SAMPLE-" in folder.name, strategy=strategy_of(audit.command), verdict=audit.result, page=AUDIT,
        alarms=tuple(f"{proof.name}: {proof.detail}" for proof in failed),
    )  # fmt: skip


def _named_moment(folder: Path) -> datetime | None:
    """When a folder was made, by its name."""
    try:
        return datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def traded_span(folder: Path) -> tuple[datetime | None, datetime | None]:
    """The first and last bar of the equity table, from the notes at the end of the file."""
    try:
        parts = pq.read_metadata(folder / EQUITY)
        column = parts.schema.names.index("timestamp")
        spans = [parts.row_group(number).column(column).statistics for number in range(parts.num_row_groups)]
        return min(span.min for span in spans), max(span.max for span in spans)
    except (OSError, ValueError, AttributeError, TypeError):
        return None, None


_READERS: Final[dict[RunKind, tuple[str, Callable[[Path], RunRow]]]] = {
    RunKind.SWEEP: (sweep_manifest.FILE_NAME, _sweep),
    RunKind.AUDIT: (AUDIT, _audit),
    RunKind.BACKTEST: (manifest.FILE_NAME, _backtest),
}
