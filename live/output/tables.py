"""The tables of a session: rows taken off Backtrader's recorders bar by bar and written to the session's file.

A restart need not collect them again, and a session that runs for months has none of them in memory.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import backtrader as bt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.live.sqlite_file import Row, SqliteFile
from forwardtrader.strategies.backtrader.recorders.equity_recorder import equity_frame
from forwardtrader.strategies.backtrader.recorders.fill_recorder import fills_frame
from forwardtrader.strategies.backtrader.recorders.order_recorder import orders_frame
from forwardtrader.strategies.feed_context import traded_feeds

SCHEMA: Final = """
create table if not exists fills (
    id integer primary key, number real, symbol text, side text, size real, price real, fee real, fee_currency text, order_ref text,
    reason text, slippage real);
create table if not exists orders (
    id integer primary key, number real, symbol text, side text, size real, kind text, price real, lim real, reason text, refusal text);
create table if not exists equity (number real primary key, equity real, cash real) without rowid;
create table if not exists stops (number real not null, symbol text not null, levels text, primary key (number, symbol)) without rowid;
create table if not exists told (symbol text not null, trade_id text not null, primary key (symbol, trade_id)) without rowid;
create table if not exists corrected (id integer primary key);
create table if not exists closes (number real not null, symbol text not null, close real, primary key (number, symbol)) without rowid;
"""
_ACCOUNT: Final = 3  # columns of an equity row before the closes
_FILL: Final = "number, symbol, side, size, price, fee, fee_currency, order_ref, reason, slippage"


@dataclass(frozen=True)
class Rows:
    """Rows of the recorders; times are Backtrader's numbers. `equity` rows end with the close of each of `symbols`; a row of `stops` is all
    that rests of a symbol from that bar on, as JSON."""

    symbols: tuple[str, ...]
    fills: list[Row]
    orders: list[Row]
    equity: list[tuple[float, ...]]
    stops: list[tuple[float, str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Marks:
    """Up to where tables are to be read; later rows belong to a later bar."""

    fills: int
    orders: int
    equity: float


@dataclass(frozen=True)
class SessionTables:
    """Fills, equity and orders since the first live bar, as frames of the recorders, and the rows of its stops."""

    fills: pd.DataFrame
    equity: pd.DataFrame
    orders: pd.DataFrame
    stops: list[tuple[float, str, str]] = field(default_factory=list)


def _names(strategy: bt.Strategy) -> tuple[str, ...]:
    return tuple(data._name for data in traded_feeds(strategy.datas))


def rows_of(strategy: bt.Strategy) -> Rows:
    """Take the rows off the recorders; only in Backtrader's thread."""
    recorders = strategy.analyzers
    return Rows(_names(strategy), recorders.fills.take(), recorders.orders.take(), recorders.equity.take(), recorders.stops.take())


def fresh_rows(strategy: bt.Strategy) -> Rows:
    """The rows that were not taken yet, which stay on the recorders; only in Backtrader's thread."""
    recorders = strategy.analyzers
    return Rows(_names(strategy), recorders.fills.rows(), recorders.orders.rows(), recorders.equity.rows(), recorders.stops.rows())


def tables_of(rows: Rows) -> SessionTables:
    """Rows as frames of the recorders."""
    equity = np.array(rows.equity, dtype=np.float64).reshape(len(rows.equity), _ACCOUNT + len(rows.symbols))
    return SessionTables(fills_frame(rows.fills), equity_frame(list(equity.T), rows.symbols), orders_frame(rows.orders), rows.stops)


def write_rows(db: SqliteFile, rows: Rows) -> None:
    """Add rows to the file; the newer row of a bar replaces the older."""
    db.run_many(f"insert into fills values (null{', ?' * 10})", rows.fills)
    db.run_many(f"insert into orders values (null{', ?' * 9})", rows.orders)
    db.run_many("insert or replace into equity values (?, ?, ?)", [row[:3] for row in rows.equity])
    closes = [(row[0], symbol, close) for row in rows.equity for symbol, close in zip(rows.symbols, row[3:], strict=True)]
    db.run_many("insert or replace into closes values (?, ?, ?)", closes)
    db.run_many("insert or replace into stops values (?, ?, ?)", rows.stops)


@dataclass(frozen=True)
class FillFacts:
    """What the venue says of one execution."""

    trade_id: str
    size: float
    price: float
    fee: float
    fee_currency: str


def replace_fill(db: SqliteFile, symbol: str, order_ref: str, before: FillFacts, after: Sequence[FillFacts]) -> None:
    """Record the executions of `after` in place of one that stood for them; nothing happens where that one is not recorded."""
    if not db.run("delete from told where symbol = ? and trade_id = ?", symbol, before.trade_id).rowcount:
        return
    db.run_many("insert or ignore into told values (?, ?)", [(symbol, each.trade_id) for each in after])
    rows = db.all("select id, size, price from fills where symbol = ? and order_ref = ? and fee = 0 order by id", symbol, order_ref)
    found = next((row[0] for row in rows if np.allclose(row[1:], (before.size, before.price), rtol=1e-9, atol=0.0)), None)
    if found is None:
        return
    columns = [(each.size, each.price, each.fee, each.fee_currency, found) for each in after]
    copied = "insert into fills select null, number, symbol, side, ?, ?, ?, ?, order_ref, reason, slippage from fills where id = ?"
    db.run("update fills set size = ?, price = ?, fee = ?, fee_currency = ? where id = ?", *columns[0])
    db.run_many(copied, columns[1:])
    db.run("insert or ignore into corrected values (?)", found)


def kept_executions(db: SqliteFile) -> set[tuple[str, str]] | None:
    """Executions whose fills are recorded, by symbol and trade id; None in a file of an earlier version, which does not list them."""
    kept = {(str(symbol), str(trade_id)) for symbol, trade_id in db.all("select symbol, trade_id from told")}
    return kept or (None if db.one("select 1 from fills limit 1") else kept)


def newest_row(db: SqliteFile) -> float | None:
    """Backtrader's time of the newest bar whose rows are recorded."""
    [(number,)] = db.all("select max(number) from equity")
    return number


def marks_of(db: SqliteFile) -> Marks:
    """Up to where rows are recorded now."""
    [row] = db.all("select (select max(id) from fills), (select max(id) from orders), (select max(number) from equity)")
    return Marks(*(value or 0 for value in row))


def kept_tables(db: SqliteFile, symbols: Sequence[str], upto: Marks) -> SessionTables:
    """All recorded rows, up to the marks."""
    fills = f"select {_FILL} from fills where id <= ? order by id"
    orders = "select number, symbol, side, size, kind, price, lim, reason, refusal from orders where id <= ? order by id"
    equity = db.columns("select number, equity, cash from equity where number <= ? order by number", "fff", upto.equity)
    closes = [_closes(db, symbol, upto.equity) for symbol in symbols]
    stops = db.all("select number, symbol, levels from stops where number <= ? order by number, symbol", upto.equity)
    return SessionTables(
        fills_frame(db.all(fills, upto.fills)), equity_frame([*equity, *closes], symbols), orders_frame(db.all(orders, upto.orders)), stops
    )


def newest_stops(db: SqliteFile) -> dict[str, list[tuple[str, str, float]]]:
    """Side, kind and price of what rests of each symbol at the newest recorded bar."""
    rows = db.all("select symbol, levels, max(number) from stops group by symbol order by symbol")
    return {str(symbol): [(str(side), str(kind), float(price)) for side, kind, price in json.loads(levels)] for symbol, levels, _ in rows}


def kept_fills(db: SqliteFile, after: int, upto: int, most: int) -> list[Row]:
    """At most `most` fills after one mark, up to another, as rows of the recorder."""
    return db.all(f"select {_FILL} from fills where id > ? and id <= ? order by id limit ?", after, upto, most)


def _closes(db: SqliteFile, symbol: str, upto: float) -> NDArray[np.float64]:
    sql = "select close from equity e left join closes c on c.number = e.number and c.symbol = ? where e.number <= ? order by e.number"
    return db.columns(sql, "f", symbol, upto)[0]


def joined(kept: SessionTables, fresh: SessionTables, since: pd.Timestamp) -> SessionTables:
    """Recorded rows and those that are still on the recorders, from the first live bar on."""
    fills, orders = (
        pd.concat([a, b], ignore_index=True) if len(b) else a for a, b in ((kept.fills, fresh.fills), (kept.orders, fresh.orders))
    )
    equity = pd.concat([kept.equity, fresh.equity]) if len(fresh.equity) else kept.equity
    equity = equity[~equity.index.duplicated(keep="last")]
    return SessionTables(
        fills.loc[fills["timestamp"] >= since].reset_index(drop=True),
        equity.loc[equity.index >= since],
        orders.loc[orders["timestamp"] >= since].reset_index(drop=True),
        [*kept.stops, *fresh.stops],
    )
