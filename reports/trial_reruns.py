"""Reruns of a trial: a command without a named end covers more bars each time, and is still the same trial.

Such a run is known by what was chosen, the end left out, and by its past: cut where the earlier run ended, its candles and its account must
be those of the earlier run to the last bit. A changed setting, other code, another start, other or fewer data make another trial, and so
does an end that was named: whoever chooses ends may choose the best one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core import fingerprint

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS ends (
    trial TEXT NOT NULL, choice TEXT NOT NULL, at TEXT NOT NULL, run_id TEXT NOT NULL, last TEXT NOT NULL, data TEXT NOT NULL,
    result TEXT NOT NULL, landmarks BLOB NOT NULL, PRIMARY KEY (trial, last, data, result)
);
CREATE TRIGGER IF NOT EXISTS ends_stay BEFORE DELETE ON ends BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
CREATE TRIGGER IF NOT EXISTS ends_fixed BEFORE UPDATE ON ends BEGIN SELECT RAISE(ABORT, 'the ledger only grows'); END;
"""


@dataclass(frozen=True, kw_only=True)
class OpenEnd:
    """A run without a named end.

    `choice` is a fingerprint of everything that was chosen, `candles` all it saw of each symbol, `daily` its net returns by UTC day.
    """

    choice: str
    candles: Mapping[str, pd.DataFrame] = field(repr=False)
    daily: pd.Series = field(repr=False)

    @property
    def last(self) -> dict[str, pd.Timestamp]:
        """Open time of the newest candle of each symbol."""
        return {symbol: frame.index[-1] for symbol, frame in self.candles.items()}

    def upto(self, last: Mapping[str, pd.Timestamp]) -> tuple[str, str]:
        """Fingerprints of the candles up to and with `last`, and of the returns of the days before, which are complete."""
        data = fingerprint.of_value({symbol: fingerprint.of_frame(frame.loc[: last[symbol]]) for symbol, frame in self.candles.items()})
        days = self.daily.loc[self.daily.index < min(last.values()).floor("D")]
        return data, fingerprint.of_arrays(np.nan_to_num(days.to_numpy(dtype=np.float64)))

    def continues(self, row: sqlite3.Row) -> bool:
        """Whether an earlier end lies in the past of this run."""
        last = _read(row["last"])
        if last.keys() != self.candles.keys() or any(last[symbol] > own for symbol, own in self.last.items()):
            return False
        return self.upto(last) == (row["data"], row["result"])


def known_trial(connection: sqlite3.Connection, run: OpenEnd) -> str | None:
    """The trial that `run` is a rerun of: it reaches as far as every earlier run of it, or is equal to one."""
    rows = connection.execute("SELECT * FROM ends WHERE choice = ? ORDER BY rowid", (run.choice,)).fetchall()
    furthest = {row["trial"]: row for row in rows}  # a rerun is entered only where it reaches further than those before
    own = run.last
    equal = [row for row in rows if _read(row["last"]) == own]
    return next((row["trial"] for row in [*furthest.values(), *equal] if run.continues(row)), None)


def remember(connection: sqlite3.Connection, trial: str, run: OpenEnd, at: str, run_id: str, landmarks: bytes) -> None:
    """Enter where a run of `trial` ended."""
    last = {symbol: moment.isoformat() for symbol, moment in run.last.items()}
    row = (trial, run.choice, at, run_id, json.dumps(last, sort_keys=True), *run.upto(run.last), landmarks)
    connection.execute(f"INSERT OR IGNORE INTO ends VALUES ({','.join('?' * len(row))})", row)


def furthest_landmarks(connection: sqlite3.Connection) -> dict[str, bytes]:
    """The market of each trial that was run again, as far as it was ever seen."""
    return {row["trial"]: row["landmarks"] for row in connection.execute("SELECT trial, landmarks FROM ends ORDER BY rowid")}


def _read(text: str) -> dict[str, pd.Timestamp]:
    return {symbol: pd.Timestamp(moment) for symbol, moment in json.loads(text).items()}
