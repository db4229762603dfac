"""Every backtest leaves a line here, so that luck can be counted: SQLite, added to and never changed.

A trial is a configuration whose result on some market was seen. The market is known by its prices, not by its name or file: a landmark, the
close of the first bar of a UTC day, is kept for each day, and two trials saw the same market where most of their common days agree within
two per cent. So the same coin from another venue counts as the same market, and a simulated market under a real name does not.
Running the same thing again (equal data, settings and results, or the same up to where an earlier run ended; `reports.trial_reruns`) is no
new trial, nor is it with the same symbols in another order. Another set of symbols is one.

`forwardtrader trials` lists the trials.
"""

from __future__ import annotations

import argparse
import json
import math
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from forwardtrader.core import fingerprint, log
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.command.terminal import print_table
from forwardtrader.core.errors import StorageFull, StoreDamaged
from forwardtrader.reports import trial_reruns
from forwardtrader.reports.flags import trials_parser
from forwardtrader.reports.statistics.sharpe_tests import SharpeMoments
from forwardtrader.reports.trial_reruns import OpenEnd

if TYPE_CHECKING:
    from rich.table import Table

Numbers = NDArray[Any]
SAME_PRICE: Final = 0.02
_ROUNDING: Final = 1e-9
_BUSY_SECONDS: Final = 30.0
# Days are counted from here in the stored landmarks.
_EPOCH: Final = pd.Timestamp("1970-01-01", tz="UTC")
_SCHEMA: Final = (
    """
CREATE TABLE IF NOT EXISTS trials (
    id TEXT PRIMARY KEY, at TEXT NOT NULL, run_id TEXT NOT NULL, symbols TEXT NOT NULL, kind TEXT NOT NULL,
    first TEXT NOT NULL, last TEXT NOT NULL, data TEXT NOT NULL, settings TEXT NOT NULL, what TEXT NOT NULL,
    sharpe REAL, skew REAL, kurtosis REAL, periods INTEGER NOT NULL, periods_per_year REAL NOT NULL, landmarks BLOB NOT NULL
);
CREATE TRIGGER IF NOT EXISTS trials_stay BEFORE DELETE ON trials BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS trials_fixed BEFORE UPDATE ON trials BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""
    + trial_reruns.SCHEMA
)
# How often a trial was looked at, if not once, and how many independent ones those of a run are worth: the newest entry holds.
_WORTH: Final = """
CREATE TABLE IF NOT EXISTS looks (trial TEXT NOT NULL, looks INTEGER NOT NULL, PRIMARY KEY (trial, looks));
CREATE TABLE IF NOT EXISTS likeness (run_id TEXT NOT NULL, effective REAL NOT NULL, at TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS likeness_stays BEFORE DELETE ON likeness BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS likeness_fixed BEFORE UPDATE ON likeness BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS looks_stay BEFORE DELETE ON looks BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS looks_fixed BEFORE UPDATE ON looks BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One configuration and what it scored.

    `landmarks` holds, per symbol, the first close of each traded UTC day; `data` and `settings` are fingerprints, `result` one of what came
    out (the forecasts' or the returns'). `moments` are those of net returns per period; `what` says in words what was tried. `open_end` is
    there where no end was named. `looks` is how often it was looked at in order to choose: each look is a try.
    """

    run_id: str
    symbols: tuple[str, ...]
    kind: str
    data: str
    settings: str
    result: str
    what: str
    moments: SharpeMoments
    periods_per_year: float
    landmarks: Mapping[str, pd.Series] = field(repr=False)
    open_end: OpenEnd | None = None
    looks: int = 1

    @property
    def id(self) -> str:
        """Equal for equal reruns."""
        return fingerprint.of_value([self.data, self.settings, self.result])[:32]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """First and last day with a landmark, UTC."""
        days = [pd.DatetimeIndex(marks.index) for marks in self.landmarks.values() if len(marks)]
        if not days:
            return datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)
        return min(d[0] for d in days).to_pydatetime(), max(d[-1] for d in days).to_pydatetime()


@dataclass(frozen=True)
class Tries:
    """How often a market was tried: `trials` and the variance of their Sharpe ratios per period.

    `effective` is how many independent trials they are worth, those of a sweep by their correlations; None where no sweep is among them.
    """

    trials: int
    variance: float
    effective: float | None = None


def landmarks_of(candles: pd.DataFrame) -> pd.Series:
    """First close of each UTC day of a candle frame, by which a market is recognised."""
    index = pd.DatetimeIndex(candles.index)
    return candles["close"].groupby(index.floor("D")).first()


class TrialLedger:
    """The ledger file. Several processes may write at once; each writes one row in one transaction."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or SystemClock()

    def record(self, trial: Trial) -> bool:
        """Add a trial; false if the very same one is there already, be it with an earlier end that nobody named.

        Raises:
            StoreDamaged: the file is no ledger or cannot be written.
            StorageFull: the disk has no room.
        """
        at, landmarks = self.clock.now().isoformat(timespec="seconds"), _packed(trial.landmarks)
        run = trial.open_end
        with self._open() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # what is looked up must still hold when it is written
            known = trial_reruns.known_trial(connection, run) if run is not None else None
            known = known or _in_other_order(connection, trial)
            is_new = known is None and _insert(connection, trial, at, landmarks)
            if trial.looks > 1:
                connection.execute("INSERT OR IGNORE INTO looks VALUES (?, ?)", (known or trial.id, trial.looks))
            if run is not None:
                trial_reruns.remember(connection, known or trial.id, run, at, trial.run_id, landmarks)
            return is_new

    def note_likeness(self, run_id: str, effective: float) -> None:
        """Remember how many independent trials those of a sweep are worth; trials of other runs count in full.

        Raises:
            StoreDamaged, StorageFull: as `record`.
        """
        with self._open() as connection, connection:
            connection.execute("INSERT INTO likeness VALUES (?, ?, ?)", (run_id, effective, self.clock.now().isoformat(timespec="seconds")))

    def tries_on(self, markets: Mapping[str, pd.Series], periods_per_year: float) -> Tries:
        """Count the trials that saw any of these markets on days they have in common.

        Args:
            markets: landmarks per symbol (`landmarks_of`), restricted to the days traded.
            periods_per_year: the unit in which the variance is wanted; Sharpe ratios of other periods are converted.

        Raises:
            StoreDamaged: the file is no ledger or cannot be read.
        """
        rows, further, looks, likeness = self._rows()
        seen = [row for row in rows if _same_market(markets, _unpacked(further.get(row["id"], row["landmarks"])))]
        ratios = [row["sharpe"] * math.sqrt(row["periods_per_year"] / periods_per_year) for row in seen if row["sharpe"] is not None]
        counts: dict[str, int] = {}
        for row in seen:
            counts[row["run_id"]] = counts.get(row["run_id"], 0) + looks.get(row["id"], 1)
        worth = sum(min(count, likeness.get(run_id, count)) for run_id, count in counts.items())
        variance = float(np.var(ratios, ddof=1)) if len(ratios) > 1 else 0.0
        return Tries(sum(counts.values()), variance, worth if counts.keys() & likeness.keys() else None)

    def table(self) -> pd.DataFrame:
        """All trials in order of time, without landmarks; `sharpe` is annual."""
        known, _, looks, _ = self._rows()
        rows = [{key: row[key] for key in row.keys() if key != "landmarks"} for row in known]  # noqa: SIM118 - sqlite rows
        table = pd.DataFrame(rows).assign(looks=[looks.get(row["id"], 1) for row in rows])
        if len(table):
            table["sharpe"] = table["sharpe"].astype(float) * np.sqrt(table["periods_per_year"])
        return table

    def _rows(self) -> tuple[list[sqlite3.Row], dict[str, bytes], dict[str, int], dict[str, float]]:
        """All trials; the landmarks of those that were run again, up to the furthest end; how often one was looked at, if not once; and how
        many independent trials those of a run are worth."""
        if not self.path.exists():
            return [], {}, {}, {}
        with self._open() as connection:
            rows = connection.execute("SELECT * FROM trials ORDER BY at, id").fetchall()
            looks = dict(connection.execute("SELECT trial, max(looks) FROM looks GROUP BY trial").fetchall())
            likeness = dict(connection.execute("SELECT run_id, effective FROM likeness ORDER BY rowid").fetchall())
            return rows, trial_reruns.furthest_landmarks(connection), looks, likeness

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=_BUSY_SECONDS)) as connection:
                connection.row_factory = sqlite3.Row
                self._begin_log(connection)
                connection.executescript(_SCHEMA + _WORTH)
                yield connection
        except (sqlite3.Error, OSError, Timeout) as error:
            if "full" in str(error) or "No space" in str(error):
                raise StorageFull(f"no space left to write {self.path}; free some and run the command again") from error
            raise StoreDamaged(f"trial ledger {self.path} cannot be used ({error}); move it away to begin a new count") from error

    def _begin_log(self, connection: sqlite3.Connection) -> None:
        """Have a new file keep a write-ahead log. SQLite does not wait for others who do the same, so one at a time does it."""
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        with FileLock(self.path.with_suffix(".lock"), timeout=_BUSY_SECONDS):
            connection.execute("PRAGMA journal_mode=WAL")


def _in_other_order(connection: sqlite3.Connection, trial: Trial) -> str | None:
    """The same trial with its symbols named in another order: sums over them differ in their last digits, and nothing else does."""
    if len(trial.symbols) < 2:
        return None
    chosen, sharpe = (trial.data, trial.settings, trial.moments.periods), trial.moments.sharpe
    rows = connection.execute("SELECT id, sharpe FROM trials WHERE data = ? AND settings = ? AND periods = ?", chosen).fetchall()
    return next((row["id"] for row in rows if row["sharpe"] is not None and abs(row["sharpe"] - sharpe) <= _ROUNDING * abs(sharpe)), None)


def _insert(connection: sqlite3.Connection, trial: Trial, at: str, landmarks: bytes) -> bool:
    first, last = (moment.isoformat() for moment in trial.span)
    row = (
        trial.id, at, trial.run_id, json.dumps(trial.symbols), trial.kind, first, last, trial.data, trial.settings,
        log.redact(trial.what), *_numbers(trial.moments), trial.moments.periods, trial.periods_per_year, landmarks,
    )  # fmt: skip
    return connection.execute(f"INSERT OR IGNORE INTO trials VALUES ({','.join('?' * len(row))})", row).rowcount == 1


def _same_market(ours: Mapping[str, pd.Series], theirs: Sequence[tuple[Numbers, Numbers]]) -> bool:
    return any(_agree(_days(marks), marks.to_numpy(dtype=np.float64), *other) for marks in ours.values() for other in theirs)


def _agree(days: Numbers, prices: Numbers, other_days: Numbers, other_prices: Numbers) -> bool:
    """Most of the common days agree in price."""
    _, own, other = np.intersect1d(days, other_days, assume_unique=True, return_indices=True)
    if not len(own):
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.abs(np.log(prices[own] / other_prices[other])) < SAME_PRICE
    return bool(near.mean() > 0.5)


def _days(marks: pd.Series) -> Numbers:
    return np.asarray((pd.DatetimeIndex(marks.index).tz_convert("UTC") - _EPOCH).days, dtype=np.int32)


def _packed(landmarks: Mapping[str, pd.Series]) -> bytes:
    """Per symbol: count, days, prices; little-endian int32 and float32."""
    parts = []
    for symbol in sorted(landmarks):
        marks = landmarks[symbol]
        parts += [np.int32(len(marks)).astype("<i4").tobytes(), _days(marks).astype("<i4").tobytes()]
        parts.append(marks.to_numpy(dtype="<f4").tobytes())
    return b"".join(parts)


def _unpacked(data: bytes) -> list[tuple[Numbers, Numbers]]:
    markets, at = [], 0
    while at < len(data):
        n = int(np.frombuffer(data, "<i4", 1, at)[0])
        days = np.frombuffer(data, "<i4", n, at + 4)
        prices = np.frombuffer(data, "<f4", n, at + 4 + 4 * n).astype(np.float64)
        markets.append((days, prices))
        at += 4 + 8 * n
    return markets


def _numbers(moments: SharpeMoments) -> list[float | None]:
    values = (moments.sharpe, moments.skew, moments.kurtosis)
    return [value if math.isfinite(value) else None for value in values]


def list_trials(given: argparse.Namespace) -> int:
    """`forwardtrader trials`, once the flags are read."""
    from rich.console import Console

    from forwardtrader.core.config import load_settings

    ledger = TrialLedger(typed_path(given.ledger) if given.ledger else Path(load_settings().reports.ledger_path))
    table = ledger.table()
    if len(table):
        table["what"] = table["what"].map(log.redact)  # earlier versions wrote it as it was
    if given.json:
        sys.stdout.write(table.to_json(orient="records", lines=True) if len(table) else "")
        return 0
    if len(table):
        print_table(Console(), _rendered(table, ledger.path))
    else:
        sys.stdout.write(f"no trials yet in {ledger.path}\n")
    return 0


def _rendered(table: pd.DataFrame, path: Path) -> Table:
    from rich.table import Table

    listing = Table(title=f"{table['looks'].sum()} trials in {path}", title_justify="left", box=None, pad_edge=False)
    for name in ("at", "run", "market", "from", "to", "Sharpe", "what"):
        listing.add_column(name, justify="right" if name == "Sharpe" else "left")
    for row in table.to_dict("records"):
        sharpe = "-" if pd.isna(row["sharpe"]) else f"{row['sharpe']:.2f}"
        market = ", ".join(json.loads(row["symbols"])) + ("" if row["kind"] == "real" else f" ({row['kind']})")
        listing.add_row(
            row["at"][:16], row["run_id"], market, row["first"][:10], row["last"][:10], sharpe, row["what"] + _times(row["looks"])
        )
    return listing


def _times(looks: int) -> str:
    return f", looked at {looks} times" if looks > 1 else ""


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader trials`; returns the exit code."""
    return run(trials_parser(), argv, list_trials)
