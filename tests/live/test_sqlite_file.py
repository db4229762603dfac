"""One SQLite file: what is committed stays, a transaction is all or nothing, errors are our own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.errors import StorageFull, StoreDamaged
from forwardtrader.live.sqlite_file import SqliteFile

_SCHEMA = "create table if not exists bars (symbol text, at integer, close real);"


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.db", _SCHEMA)
    with pytest.raises(ValueError, match="stop"), file.transaction():
        file.run("insert into bars values (?, ?, ?)", "BTC/USDT", 1, 2.0)
        raise ValueError("stop")
    assert file.all("select * from bars") == []
    with file.forced(), file.transaction():
        file.run("insert into bars values (?, ?, ?)", "BTC/USDT", 1, 2.0)
    assert len(file.all("select * from bars")) == 1
    file.close()


def test_columns_have_their_kinds_and_null_is_nan(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "a.db", _SCHEMA)
    file.run_many("insert into bars values (?, ?, ?)", [("BTC/USDT", 1, 2.0), ("ETH/USDT", 2, None)])
    symbol, at, close = file.columns("select * from bars order by at", "sif")
    assert (symbol.tolist(), at.dtype, at.tolist(), close[0]) == (["BTC/USDT", "ETH/USDT"], np.int64, [1, 2], 2.0)
    assert np.isnan(close[1])
    assert [len(column) for column in file.columns("select * from bars where at > 9", "sif")] == [0, 0, 0]
    file.close()


def test_a_reader_does_not_write_and_another_version_is_refused(tmp_path: Path) -> None:
    SqliteFile(tmp_path / "a.db", _SCHEMA, version=2).close()
    reader = SqliteFile(tmp_path / "a.db", _SCHEMA, version=2, reads=True)
    with pytest.raises(StorageFull):
        reader.run("insert into bars values ('a', 1, 1.0)")
    reader.close()
    with pytest.raises(StoreDamaged, match="another version"):
        SqliteFile(tmp_path / "a.db", _SCHEMA, version=3)
