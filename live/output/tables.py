"""What Backtrader's recorders collected of a session, taken off them bar by bar and kept in the session's file.

So a restart need not collect it again, and a session that runs for months holds none of it in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.live.sqlite_file import SqliteFile
from forwardtrader.strategies.backtrader.equity_recorder import equity_frame
from forwardtrader.strategies.backtrader.fill_recorder import fills_frame
from forwardtrader.strategies.backtrader.order_recorder import orders_frame

SCHEMA: Final = """
create table if not exists fills (
    id integer primary key, number real, symbol text, side text, size real, price real, fee real, fee_currency text, order_ref text,
    reason text, slippage real);
create table if not exists orders (
    id integer primary key, number real, symbol text, side text, size real, kind text, price real, lim real, reason text, refusal text);
create table if not exists equity (number real primary key, equity real, cash real) without rowid;
create table if not exists told (symbol text not null, trade_id text not null, primary key (symbol, trade_id)) without rowid;
create table if not exists closes (number real not null, symbol text not null, close real, primary key (number, symbol)) without rowid;
"""
_ACCOUNT: Final = 3  # numbers of an equity row that come before the closes
_FILL: Final = "number, symbol, side, size, price, fee, fee_currency, order_ref, reason, slippage"


@dataclass(frozen=True)
class Rows:
    """What was collected; times are Backtrader's numbers. `equity` rows end with the close of each of `symbols`."""

    symbols: tuple[str, ...]
    fills: list[tuple[Any, ...]]
    orders: list[tuple[Any, ...]]
    equity: list[tuple[float, ...]]


@dataclass(frozen=True)
class Marks:
    """Up to where tables are to be read: what is kept later belongs to a later bar."""

    fills: int
    orders: int
    equity: float


@dataclass(frozen=True)
class SessionTables:
    """All that was collected since the first live bar, as the recorders' own frames."""

    fills: pd.DataFrame
    equity: pd.DataFrame
    orders: pd.DataFrame


def rows_of(strategy: Any) -> Rows:
    """Take the rows off the recorders; to be called in Backtrader's thread."""
    told = strategy.analyzers
    return Rows(tuple(data._name for data in strategy.datas), told.fills.take(), told.orders.take(), told.equity.take())


def fresh_rows(strategy: Any) -> Rows:
    """What is still on the recorders, which keep it; to be called in Backtrader's thread."""
    told = strategy.analyzers
    return Rows(tuple(data._name for data in strategy.datas), told.fills.rows(), told.orders.rows(), told.equity.rows())


def tables_of(rows: Rows) -> SessionTables:
    """Rows as the recorders' own frames."""
    equity = np.array(rows.equity, dtype=np.float64).reshape(len(rows.equity), _ACCOUNT + len(rows.symbols))
    return SessionTables(fills_frame(rows.fills), equity_frame(list(equity.T), rows.symbols), orders_frame(rows.orders))


def keep_rows(db: SqliteFile, rows: Rows) -> None:
    """Add rows to the file; of a bar that is there already the newer row holds."""
    db.run_many(f"insert into fills values (null{', ?' * 10})", rows.fills)
    db.run_many(f"insert into orders values (null{', ?' * 9})", rows.orders)
    db.run_many("insert or replace into equity values (?, ?, ?)", [row[:3] for row in rows.equity])
    closes = [(row[0], symbol, close) for row in rows.equity for symbol, close in zip(rows.symbols, row[3:], strict=True)]
    db.run_many("insert or replace into closes values (?, ?, ?)", closes)


def kept_executions(db: SqliteFile) -> set[tuple[str, str]] | None:
    """Executions whose fills are recorded, by symbol and trade id; None in a file of an earlier version, which does not list them."""
    told = {(str(symbol), str(trade_id)) for symbol, trade_id in db.all("select symbol, trade_id from told")}
    return told or (None if db.one("select 1 from fills limit 1") else told)


def newest_row(db: SqliteFile) -> float | None:
    """Backtrader's time of the newest bar whose rows are kept."""
    [(number,)] = db.all("select max(number) from equity")
    return number


def marks_of(db: SqliteFile) -> Marks:
    """Up to where rows are kept now."""
    [row] = db.all("select (select max(id) from fills), (select max(id) from orders), (select max(number) from equity)")
    return Marks(*(value or 0 for value in row))


def kept_tables(db: SqliteFile, symbols: Sequence[str], upto: Marks) -> SessionTables:
    """Everything kept, to the marks."""
    fills = f"select {_FILL} from fills where id <= ? order by id"
    orders = "select number, symbol, side, size, kind, price, lim, reason, refusal from orders where id <= ? order by id"
    equity = db.columns("select number, equity, cash from equity where number <= ? order by number", "fff", upto.equity)
    closes = [_closes(db, symbol, upto.equity) for symbol in symbols]
    return SessionTables(
        fills_frame(db.all(fills, upto.fills)), equity_frame([*equity, *closes], symbols), orders_frame(db.all(orders, upto.orders))
    )


def kept_fills(db: SqliteFile, after: int, upto: int, most: int) -> list[tuple[Any, ...]]:
    """The oldest fills beyond one mark, up to another; as the recorder had them."""
    return db.all(f"select {_FILL} from fills where id > ? and id <= ? order by id limit ?", after, upto, most)


def _closes(db: SqliteFile, symbol: str, upto: float) -> Any:
    sql = "select close from equity e left join closes c on c.number = e.number and c.symbol = ? where e.number <= ? order by e.number"
    return db.columns(sql, "f", symbol, upto)[0]


def joined(kept: SessionTables, fresh: SessionTables, since: pd.Timestamp) -> SessionTables:
    """What is kept with what is still on the recorders, from the first live bar on."""
    fills, orders = (
        pd.concat([a, b], ignore_index=True) if len(b) else a for a, b in ((kept.fills, fresh.fills), (kept.orders, fresh.orders))
    )
    equity = pd.concat([kept.equity, fresh.equity]) if len(fresh.equity) else kept.equity
    equity = equity[~equity.index.duplicated(keep="last")]
    return SessionTables(
        fills.loc[fills["timestamp"] >= since].reset_index(drop=True),
        equity.loc[equity.index >= since],
        orders.loc[orders["timestamp"] >= since].reset_index(drop=True),
    )
