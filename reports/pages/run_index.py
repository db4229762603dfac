"""The index of runs, `reports/output/index.html`: newest first with verdict and key numbers; sweeps, audits and parity."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import manifest as manifests
from forwardtrader.reports import sweep_manifest
from forwardtrader.reports.manifest import RunManifest
from forwardtrader.reports.pages import audit_page, parity_page
from forwardtrader.reports.pages.audit_page import AuditSection
from forwardtrader.reports.pages.parity_page import Parity
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.pages.run_page import FILE_NAME as PAGE
from forwardtrader.reports.pages.run_page import TONES
from forwardtrader.reports.sections.forecasts import ForecastScores
from forwardtrader.reports.sweep_manifest import SweepManifest

FILE_NAME: Final = "index.html"
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One line of the index; `run` is None where the folder's manifest cannot be read, and `trouble` is the reason.

    A run that was ended before its page was written, or is still being evaluated, has none.
    """

    folder: str
    run: RunManifest | None
    trouble: str = ""
    has_page: bool = True

    @property
    def tone(self) -> str:
        return TONES[self.run.verdict] if self.run else "plain"

    @property
    def scores(self) -> ForecastScores | None:
        """The LSTM's scores on the first symbol that has some."""
        return next((each.lstm for each in self.run.forecast.values() if each.lstm), None) if self.run else None

    @property
    def seconds(self) -> float | None:
        """How long the run took, all stages together."""
        timing = self.run.timing_s if self.run else {}
        return timing.get("total") or (sum(seconds or 0.0 for seconds in timing.values()) if timing else None)


@dataclass(frozen=True)
class ParityEntry:
    """The parity of one session, and where its page is, seen from the index."""

    parity: Parity
    page: str


def render_run_index(output: Path, sessions: Path | None) -> Path:
    """Write `output/index.html` from the `run.json` of every folder in `output`; a damaged one is listed as such.

    Args:
        sessions: the folder of the sessions, whose parity pages are listed; None for none.
    """
    found = sweeps(output)
    drawn = {sweep.sweep_id for sweep in found if (output / sweep.sweep_id / PAGE).is_file()}
    context = {"entries": entries(output), "sweeps": found, "drawn": drawn, "audits": audits(output)}
    context["parities"] = [] if sessions is None else parities(output, sessions)
    return write_page(output / FILE_NAME, "run_index.html.j2", context)


def audits(output: Path) -> list[tuple[str, AuditSection, bool]]:
    """The folder of each audit in `output`, newest first, what it found, and whether it has a page; one that cannot be read is left out."""
    found = []
    for path in sorted(output.glob(f"*/{audit_page.JSON_NAME}"), reverse=True):
        with suppress(RunUnreadable):
            found.append((path.parent.name, audit_page.read_audit(path.parent), (path.parent / PAGE).is_file()))
    return found


def parities(output: Path, sessions: Path) -> list[ParityEntry]:
    """The parity of each session that was compared with its backtest, the newest first; one that cannot be read is left out."""
    found = []
    for path in sorted(sessions.glob(f"*/{parity_page.JSON_NAME}")):
        with suppress(RunUnreadable):
            page = Path(os.path.relpath(path.parent / parity_page.FILE_NAME, output)).as_posix()
            found.append(ParityEntry(parity_page.read_parity(path.parent), page))
    return sorted(found, key=lambda entry: (entry.parity.made or _NEVER, entry.parity.name), reverse=True)


def sweeps(output: Path) -> list[SweepManifest]:
    """All finished sweeps in `output`, newest first; one that cannot be read is left out, its runs are listed anyway."""
    found = []
    for path in output.glob(f"*/{sweep_manifest.FILE_NAME}"):
        with suppress(RunUnreadable):
            found.append(sweep_manifest.read(path.parent))
    return sorted(found, key=lambda sweep: (sweep.created, sweep.sweep_id), reverse=True)


def entries(output: Path) -> list[Entry]:
    """All runs in `output`, newest first; unreadable ones last."""
    found = [_entry(path.parent) for path in sorted(output.glob(f"*/{manifests.FILE_NAME}"))]
    read = [entry for entry in found if entry.run]
    read.sort(key=lambda entry: (entry.run.created if entry.run else None, entry.folder), reverse=True)
    return [*read, *(entry for entry in found if not entry.run)]


def _entry(folder: Path) -> Entry:
    try:
        return Entry(folder.name, manifests.read(folder), has_page=(folder / PAGE).is_file())
    except RunUnreadable as error:
        return Entry(folder.name, None, str(error))
