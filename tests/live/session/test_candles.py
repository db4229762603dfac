"""A session's candles are on the disk, and what is read from there is what was known."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.output.files import HISTORY, long_table
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.candles import SessionCandles, write_history
from tests.models.bars import simulated_bars

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def known(symbol: str) -> pd.DataFrame:
    n = SYMBOLS.index(symbol)
    return simulated_bars(300 + 7 * n, seed=n).set_axis(pd.date_range("2020-01-01", periods=300 + 7 * n, freq="1h", tz="UTC", unit="ns"))


@pytest.fixture
def histories() -> dict[str, pd.DataFrame]:
    return {symbol: known(symbol).rename_axis("timestamp").iloc[:-5] for symbol in SYMBOLS}


@pytest.fixture
def store(tmp_path: Path) -> SessionStore:
    """The last five bars of each symbol."""
    kept = SessionStore(tmp_path / "session.db")
    kept.record(
        [
            (symbol, Bar(int(at.timestamp() * 1000), *(float(value) for value in row)))
            for symbol in SYMBOLS
            for at, *row in known(symbol).iloc[-5:].itertuples()
        ],
        [],
    )
    return kept


def test_what_is_read_is_the_history_and_what_was_recorded(tmp_path: Path, histories: dict[str, pd.DataFrame], store: SessionStore) -> None:
    write_history(tmp_path, histories)
    found = SessionCandles(tmp_path, store, SYMBOLS)
    assert list(found) == list(SYMBOLS) and len(found) == 3
    for symbol, frame in found.items():
        pd.testing.assert_frame_equal(frame, known(symbol).rename_axis("timestamp"), check_freq=False)
    with pytest.raises(KeyError):
        found["XRP/USDT"]


def test_what_a_session_began_with_holds_for_good(tmp_path: Path, histories: dict[str, pd.DataFrame], store: SessionStore) -> None:
    write_history(tmp_path, histories)
    write_history(tmp_path, {symbol: frame * 2 for symbol, frame in histories.items()})
    pd.testing.assert_frame_equal(
        SessionCandles(tmp_path, store, SYMBOLS)["ETH/USDT"], known("ETH/USDT").rename_axis("timestamp"), check_freq=False
    )


def test_each_symbol_can_be_read_without_the_others(tmp_path: Path, histories: dict[str, pd.DataFrame]) -> None:
    write_history(tmp_path, histories)
    file = pq.ParquetFile(tmp_path / HISTORY)
    groups = [file.read_row_group(n, columns=["symbol"]).column("symbol").unique().to_pylist() for n in range(file.num_row_groups)]
    assert groups == [[symbol] for symbol in SYMBOLS]


def test_a_history_of_an_earlier_version_is_read_alike(tmp_path: Path, histories: dict[str, pd.DataFrame], store: SessionStore) -> None:
    long_table(histories).to_parquet(tmp_path / HISTORY)
    for symbol, frame in SessionCandles(tmp_path, store, SYMBOLS).items():
        pd.testing.assert_frame_equal(frame, known(symbol).rename_axis("timestamp"), check_freq=False)


def test_more_columns_stand_beside(tmp_path: Path, histories: dict[str, pd.DataFrame], store: SessionStore) -> None:
    write_history(tmp_path, histories)
    found = SessionCandles(tmp_path, store, SYMBOLS, lambda frame: frame.assign(factor_mood=1.0))
    assert list(found["SOL/USDT"].columns) == ["open", "high", "low", "close", "volume", "factor_mood"]
