"""The tables of a session: written bar by bar, read up to a mark, joined with what the recorders still hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.live.output.tables import (
    SCHEMA,
    Marks,
    Rows,
    joined,
    kept_executions,
    kept_fills,
    kept_tables,
    marks_of,
    newest_row,
    tables_of,
    write_rows,
)
from forwardtrader.live.sqlite_file import SqliteFile
from tests.live.recorded_session import SYMBOLS, fill, moment, rows


@pytest.fixture
def db(tmp_path: Path) -> Iterator[SqliteFile]:
    made = SqliteFile(tmp_path / "tables.db", SCHEMA)
    yield made
    made.close()


def test_an_empty_file_has_marks_and_tables_without_rows(db: SqliteFile) -> None:
    assert (marks_of(db), newest_row(db), kept_executions(db)) == (Marks(0, 0, 0), None, set())
    assert [len(table) for table in vars(kept_tables(db, SYMBOLS, marks_of(db))).values()] == [0, 0, 0, 0]


def test_rows_beyond_a_mark_are_not_read(db: SqliteFile) -> None:
    write_rows(db, rows(range(20), SYMBOLS))
    marks = marks_of(db)
    write_rows(db, rows(range(20, 40), SYMBOLS))
    tables = kept_tables(db, SYMBOLS, marks)
    assert (len(tables.fills), len(tables.orders), len(tables.equity)) == (2, 2, 20)
    assert tables.equity.index[-1] == moment(19)
    assert [row[7] for row in kept_fills(db, 1, marks_of(db).fills, 2)] == ["10", "20"]


def test_the_newer_equity_of_a_bar_replaces_the_older(db: SqliteFile) -> None:
    first = rows(range(2), SYMBOLS)
    write_rows(db, first)
    [_, last] = first.equity
    write_rows(db, Rows(SYMBOLS, [], [], [(last[0], 5.0, 4.0, 3.0, 2.0)]))
    equity = kept_tables(db, SYMBOLS, marks_of(db)).equity
    assert (len(equity), equity["equity"].iloc[-1], equity["cash"].iloc[-1]) == (2, 5.0, 4.0)


def test_tables_begin_at_the_first_live_bar_and_end_with_what_the_recorders_hold(db: SqliteFile) -> None:
    write_rows(db, rows(range(20), SYMBOLS))
    fresh = tables_of(Rows(SYMBOLS, [fill(30)], [], rows(range(19, 21), SYMBOLS).equity))
    whole = joined(kept_tables(db, SYMBOLS, marks_of(db)), fresh, pd.Timestamp(moment(5)))
    assert list(whole.fills["order_ref"]) == ["10", "30"]
    assert (whole.equity.index[0], whole.equity.index[-1], len(whole.equity)) == (moment(5), moment(20), 16)


def test_executions_of_an_earlier_version_are_unknown(db: SqliteFile) -> None:
    write_rows(db, rows(range(20), SYMBOLS))
    assert kept_executions(db) is None
    db.run("insert into told values ('BTC/USDT', '1')")
    assert kept_executions(db) == {("BTC/USDT", "1")}
