"""The session store: bars, forecasts, commands, alerts and tables of a session in one SQLite file, readable while it runs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import StoreDamaged
from forwardtrader.core.types import OHLCV, Forecast
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.output.perpetual_facts import SCHEMA as FACTS
from forwardtrader.live.output.perpetual_facts import FactTable
from forwardtrader.live.output.tables import (
    SCHEMA,
    FillFacts,
    Marks,
    Rows,
    SessionTables,
    kept_executions,
    kept_fills,
    kept_tables,
    marks_of,
    newest_row,
    newest_stops,
    replace_fill,
    write_rows,
)
from forwardtrader.live.sqlite_file import Row, SqliteFile

_SCHEMA: Final = """
create table if not exists bars (
    symbol text not null, at integer not null, open real, high real, low real, close real, volume real,
    primary key (symbol, at)) without rowid;
create table if not exists forecasts (
    symbol text not null, at integer not null, horizon integer not null, location real, scale real, q05 real, q25 real, q50 real, q75 real,
    q95 real, p_up real, model_id text not null, primary key (symbol, at)) without rowid;
create table if not exists commands (id integer primary key, bar integer not null, name text not null, at text not null);
create table if not exists notes (id integer primary key, at text not null, level text not null, kind text not null, facts text not null);
create table if not exists usage (at integer primary key, memory_mb real, cpu_percent real, iteration_ms real);
create table if not exists doubts (at integer not null, symbol text not null, reason text not null, primary key (at, symbol)) without rowid;
create table if not exists late (
    symbol text not null, at integer not null, turn integer not null, primary key (symbol, at)) without rowid;
create table if not exists signals (
    symbol text not null, at integer not null, open real, high real, low real, close real, volume real,
    primary key (symbol, at)) without rowid;
create table if not exists venues (symbol text primary key, state text not null) without rowid;
create table if not exists snapshot (id integer primary key check (id = 1), at integer not null, body text not null);
"""
_FORECAST: Final = ("location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up")


class SessionStore:
    """One file per session. A bar and all that follows from it are one transaction, so a crash leaves whole bars only.

    Bars need no forced write to disk: the venue still has what a power cut takes.

    Args:
        reads: whether to open a file that another process writes, for reading only.

    Attributes:
        facts: what is known of perpetuals beside their bars.
    """

    def __init__(self, path: Path, *, reads: bool = False) -> None:
        self.path = path
        self._db = SqliteFile(path, _SCHEMA + SCHEMA + FACTS, reads=reads)
        self.facts = FactTable(self._db)
        self._newest: int | None = None  # bar, as far as it was asked for

    def close(self) -> None:
        self._db.close()

    def record(
        self, bars: Iterable[tuple[str, Bar]], forecasts: Iterable[tuple[str, Forecast]], usage: tuple[float, ...] = (), *,
        rows: Rows | None = None, snapshot: tuple[int, object] | None = None, executions: Sequence[tuple[str, str]] = (),
    ) -> list[str]:  # fmt: skip
        """Write the bars of one time with the forecasts made at their close; what is recorded already is left as it is.

        Returns:
            The symbols whose bars came late: when bars of that time, or later ones, had been recorded before (`late`).

        Args:
            rows: what the recorders collected since the previous bar.
            snapshot: open time (ms UTC) of the bar, and the JSON value that `snapshot()` returns from then on.
            executions: with real orders those of the fills among `rows`, by symbol and trade id.
        """
        made = [
            (symbol, int(f.at.timestamp() * 1000), f.horizon, f.location, f.scale, *f.quantiles, f.p_up, f.model_id)
            for symbol, f in forecasts
        ]
        closed = [(symbol, *bar) for symbol, bar in bars]
        late = self._late(closed)
        with self._db.transaction():
            self._db.run_many("insert or ignore into bars values (?, ?, ?, ?, ?, ?, ?)", closed)
            self._db.run_many("insert or ignore into late values (?, ?, ?)", late)
            self._db.run_many("insert or ignore into forecasts values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", made)
            if usage:
                self._db.run("insert or replace into usage values (?, ?, ?, ?)", *usage)
            if rows is not None:
                write_rows(self._db, rows)
            self._db.run_many("insert or ignore into told values (?, ?)", list(executions))
            if snapshot is not None:
                self._db.run("insert or replace into snapshot values (1, ?, ?)", snapshot[0], json.dumps(snapshot[1], default=_plain))
        self._newest = max([self._newest or 0, *(at for _, at, *_ in closed)])
        return [symbol for symbol, *_ in late]

    def _late(self, bars: list[tuple[Any, ...]]) -> list[tuple[str, int, int]]:
        """Symbol, time and turn of those among bars of one time that come after others of that time, or of later ones, were recorded."""
        if self._newest is None:
            self._newest = self.last_bar()
        if not bars or self._newest is None or bars[0][1] > self._newest:
            return []
        at = bars[0][1]
        new = [s for s, *_ in bars if self._db.one("select 1 from bars where symbol = ? and at = ?", s, at) is None]
        turn = self._db.one("select max(turn) from late where at = ?", at) if new else None
        return [(symbol, at, 1 + int((turn[0] if turn else 0) or 0)) for symbol in new]

    def late(self, symbol: str) -> pd.Series[int]:
        """By UTC open time, in which turn after those of the other symbols each late bar of a symbol came: 1 and more."""
        found = self._db.all("select at, turn from late where symbol = ? order by at", symbol)
        index = pd.to_datetime([at for at, _ in found], unit="ms", utc=True).as_unit("ns")
        return pd.Series([int(turn) for _, turn in found], index=index, dtype=np.int64)

    def snapshot(self) -> tuple[int, Any] | None:
        """The newest snapshot with its bar's open time (ms UTC)."""
        row = self._db.one("select at, body from snapshot")
        try:
            return None if row is None else (int(row[0]), json.loads(row[1]))
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged_snapshot(self.path) from error

    def marks(self) -> Marks:
        """Up to where fills, orders and equity are recorded now."""
        return marks_of(self._db)

    def tables(self, symbols: Sequence[str], upto: Marks | None = None) -> SessionTables:
        """All fills, orders and the equity at every bar, up to the marks; up to now by default."""
        return kept_tables(self._db, symbols, upto or self.marks())

    def fills(self, after: int, upto: int, most: int) -> list[Row]:
        """At most `most` fills after one mark, up to another, as rows of the recorder; fills are numbered from 1 without a gap."""
        return kept_fills(self._db, after, upto, most)

    def kept_executions(self) -> set[tuple[str, str]] | None:
        """Executions whose fills are recorded, by symbol and trade id; None in a file of an earlier version, which does not list them."""
        return kept_executions(self._db)

    def replace_fill(self, symbol: str, order_ref: str, before: FillFacts, after: Sequence[FillFacts]) -> None:
        """Record executions in place of one that stood for them, where that one is recorded."""
        with self._db.transaction():
            replace_fill(self._db, symbol, order_ref, before, after)

    def newest_row(self) -> float | None:
        """Backtrader's time of the newest bar with which fills, orders and equity were recorded."""
        return newest_row(self._db)

    def block_entry(self, at: int, symbol: str, reason: str) -> None:
        """No position in `symbol` may be entered at the bar that opened at `at` (ms UTC); an empty reason takes that back."""
        self._db.run("insert or replace into doubts values (?, ?, ?)", at, symbol, reason)

    def blocked_entries(self, after: int | None = None) -> dict[tuple[int, str], str]:
        """Reasons of blocked entries by bar and symbol; of bars that opened after `after` (ms UTC) only, where that is given."""
        rows = self._db.all("select at, symbol, reason from doubts where at > ?", -1 if after is None else after)
        return {(int(at), str(symbol)): str(reason) for at, symbol, reason in rows}

    def entry_block(self, at: int, symbol: str) -> str:
        """Why no position in `symbol` could be entered at one bar; "" where it could."""
        row = self._db.one("select reason from doubts where at = ? and symbol = ?", at, symbol)
        return "" if row is None else str(row[0])

    def signal(self, symbol: str, bar: Bar) -> None:
        """Record the bar that features see in place of the one of its time; the first one stays."""
        self._db.run("insert or ignore into signals values (?, ?, ?, ?, ?, ?, ?)", symbol, *bar)

    def signals(self, symbol: str) -> pd.DataFrame:
        """A candle frame of the bars that features saw in place of those recorded."""
        sql = f"select at, {', '.join(OHLCV)} from signals where symbol = ? order by at"
        return candles.from_arrays(*self._db.columns(sql, "ifffff", symbol))

    def keep_venue_state(self, symbol: str, state: Mapping[str, Any]) -> None:
        """Record the state of the judgement of a symbol's venues in place of the last one."""
        self._db.run("insert or replace into venues values (?, ?)", symbol, json.dumps(state))

    def venue_state(self, symbol: str) -> dict[str, Any] | None:
        """The state that was kept last; None where there is none, or none that can be read: it is learned anew then."""
        row = self._db.one("select state from venues where symbol = ?", symbol)
        found = {} if row is None else _facts(row[0])
        return found if "version" in found else None

    def command(self, bar: int, name: str, at: str) -> None:
        """Record a control command that took effect after the bar that opened at `bar` (ms UTC)."""
        self._db.run("insert into commands (bar, name, at) values (?, ?, ?)", bar, name, at)

    def note(self, at: str, level: str, kind: str, **facts: object) -> None:
        """Record an alert: a deviation, a failure, a trouble."""
        self._db.run("insert into notes (at, level, kind, facts) values (?, ?, ?, ?)", at, level, kind, json.dumps(facts, default=str))

    def commands(self) -> list[tuple[int, str]]:
        """Bar (open time, ms UTC) and name of each control command, oldest first."""
        return [(int(row[0]), str(row[1])) for row in self._db.all("select bar, name from commands order by id")]

    def notes(self, newest: int = 1_000_000) -> list[dict[str, Any]]:
        """The newest alerts, oldest first: at, level, kind, facts."""
        rows = self._db.all("select at, level, kind, facts from (select * from notes order by id desc limit ?) order by id", newest)
        return [{"at": r[0], "level": r[1], "kind": r[2], "facts": _facts(r[3])} for r in rows]

    def newest_note(self, kind: str) -> str | None:
        """When the newest alert of a kind was recorded (ISO time)."""
        row = self._db.one("select max(at) from notes where kind = ?", kind)
        return None if row is None or row[0] is None else str(row[0])

    def note_levels(self, since: str) -> list[str]:
        """The levels of the alerts that were recorded since a time (ISO, UTC)."""
        return [str(row[0]) for row in self._db.all("select level from notes where at >= ?", since)]

    def newest_equity(self, days: float) -> list[tuple[float, float]]:
        """Backtrader's time (days) and the account's value at each bar of the last days, oldest first."""
        sql = "select number, equity from equity where number >= (select max(number) from equity) - ? order by number"
        return [(float(number), float(equity)) for number, equity in self._db.all(sql, days)]

    def last_bar(self, symbol: str = "") -> int | None:
        """Open time (ms) of the newest bar; of one symbol, where it is named."""
        of_symbol = ("select max(at) from bars where symbol = ?", symbol) if symbol else ("select max(at) from bars",)
        [(newest,)] = self._db.all(*of_symbol)
        return None if newest is None else int(newest)

    def bar_count(self) -> int:
        """How many bar times are recorded."""
        [(count,)] = self._db.all("select count(distinct at) from bars")
        return int(count)

    def last_equity(self) -> float | None:
        """The account's value at the newest recorded bar."""
        row = self._db.one("select equity from equity order by number desc limit 1")
        return None if row is None else float(row[0])

    def positions(self) -> dict[str, float]:
        """Base units of each symbol that the recorded fills have left; fees in coins taken off."""
        rows = self._db.all(
            "select symbol, sum(case side when 'buy' then abs(size) else -abs(size) end), "
            "sum(case when symbol like fee_currency || '/%' then fee else 0 end) from fills group by symbol"
        )
        return {str(symbol): round(size - fee, 10) for symbol, size, fee in rows if abs(size - fee) > 1e-9}

    def resting_stops(self) -> dict[str, list[tuple[str, str, float]]]:
        """Side, kind and price of the stops that rest of each symbol at the newest recorded bar."""
        return newest_stops(self._db)

    def bars(self, symbol: str) -> pd.DataFrame:
        """A candle frame of all recorded bars of one symbol."""
        sql = f"select at, {', '.join(OHLCV)} from bars where symbol = ? order by at"
        return candles.from_arrays(*self._db.columns(sql, "ifffff", symbol))

    def close_of(self, symbol: str, at: int) -> float:
        """The close of the bar that opened at `at` (ms UTC); NaN where it was not recorded."""
        row = self._db.one("select close from bars where symbol = ? and at = ?", symbol, at)
        return math.nan if row is None else float(row[0])

    def forecasts(self) -> pd.DataFrame:
        """All forecasts: timestamp, symbol, horizon, the numbers, model_id."""
        sql = f"select at, symbol, horizon, {', '.join(_FORECAST)}, model_id from forecasts order by at, symbol"
        found = self._db.columns(sql, "isi" + "f" * len(_FORECAST) + "s")
        table = pd.DataFrame(dict(zip(["timestamp", "symbol", "horizon", *_FORECAST, "model_id"], found, strict=True)))
        table["timestamp"] = pd.to_datetime(table["timestamp"], unit="ms", utc=True).astype("datetime64[ns, UTC]")
        return table

    def forecast(self, symbol: str, at: datetime) -> Forecast | None:
        """The forecast that was made at the close of one bar, by its open time."""
        sql = f"select horizon, {', '.join(_FORECAST)}, model_id from forecasts where symbol = ? and at = ?"
        row = self._db.one(sql, symbol, int(at.timestamp() * 1000))
        if row is None:
            return None
        horizon, *numbers, model_id = row
        location, scale, q05, q25, q50, q75, q95, p_up = (math.nan if number is None else float(number) for number in numbers)
        return Forecast(
            at=at, horizon=int(horizon), location=location, scale=scale, quantiles=(q05, q25, q50, q75, q95), p_up=p_up,
            model_id=str(model_id),
        )  # fmt: skip

    def usage(self) -> pd.DataFrame:
        """Memory, CPU share and the time one bar took, by bar."""
        return pd.DataFrame(self._db.all("select * from usage order by at"), columns=["at", "memory_mb", "cpu_percent", "iteration_ms"])


def _facts(text: str) -> dict[str, Any]:
    """Facts of an alert; what is not readable is shown as it stands, since an alert of the past decides nothing."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"unreadable": str(text)[:200]}


def require_record(folder: Path) -> None:
    """Check that the record of a session that has begun is there: another one would begin without its cash, positions and bars.

    Raises:
        StoreDamaged: it is gone.
    """
    path = folder / "session.db"
    if not path.is_file():
        raise StoreDamaged(f"{path} is gone; put a copy of it back, or start a session of another name with --session")


def damaged_snapshot(path: Path) -> StoreDamaged:
    """The error of a snapshot that nothing can be restored from."""
    return StoreDamaged(f"the snapshot in {path} is damaged; put a copy of it back, or start a session of another name with --session")


def _plain(value: object) -> object:
    """A numpy number as a Python number, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a snapshot has a {type(value).__name__}")
