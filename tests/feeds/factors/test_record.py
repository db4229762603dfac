"""A record says what was known when, whatever is revised, repeated, killed half-way or joined meanwhile."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import StorageFull
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors import record as records
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.factors.record import FactorRecord, Fetched, read_record

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BARS = Timeframe.parse("1h")


def at(hours: float) -> datetime:
    return START + hours * HOUR


def rows(*pairs: tuple[float, float]) -> Fetched:
    return Fetched.of([(pd.Timestamp(at(hours)).as_unit("ns").value, value, 0) for hours, value in pairs])


def told(record: FactorRecord) -> list[tuple[float, float, float]]:
    table = read_record(record.path)
    hours = [(table[name] - pd.Timestamp(START)) / pd.Timedelta(HOUR) for name in ("timestamp", "known_at")]
    return [(d, k, v) for d, k, v in zip(*hours, table["value"], strict=True)]


def test_history_is_known_when_it_was_published_and_news_when_they_arrive(tmp_path: Path) -> None:
    record = FactorRecord(tmp_path / "a.csv")
    assert record.append(rows((0, 1.0), (1, 2.0)), HOUR, at(10), live=False) == 2
    assert record.append(rows((1, 2.0), (9, 3.0)), HOUR, at(10.5), live=True) == 1
    assert told(record) == [(0, 1, 1.0), (1, 2, 2.0), (9, 10.5, 3.0)]


def test_a_revision_counts_from_its_arrival_and_a_repetition_is_nothing_new(tmp_path: Path) -> None:
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows((0, 1.0), (0, 1.0), (0, 1.5)), HOUR, at(5), live=False)
    record.append(rows((0, 9.0)), HOUR, at(7), live=False)
    assert record.append(rows((0, 9.0)), HOUR, at(8), live=True) == 0
    assert told(record) == [(0, 1, 1.5), (0, 7, 9.0)]


def test_what_was_joined_stays_as_it_was_whatever_comes_later(tmp_path: Path) -> None:
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows((0, 1.0)), HOUR, at(3), live=False)
    record.seal(at(4))
    record.seal(at(8))
    another = FactorRecord(tmp_path / "a.csv")  # another process
    another.append(rows((-5, 0.5), (3, 2.0), (6, 3.0)), HOUR, at(8), live=False)
    # Before the first joined bar as it was published; within, after the last one.
    assert [(d, v) for d, k, v in told(record)] == [(0, 1.0), (-5, 0.5), (3, 2.0), (6, 3.0)]
    known = {d: k for d, k, _ in told(record)}
    assert known[-5] == -4
    assert 8 < known[3] < 8.001
    assert 8 < known[6] < 8.001


def test_a_row_that_a_kill_cut_off_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows((0, 1.0), (1, 2.0)), HOUR, at(5), live=False)
    text = record.path.read_bytes()
    record.path.write_bytes(text[:-7])
    assert [v for _, _, v in told(record)] == [1.0]
    again = FactorRecord(record.path)
    again.append(rows((1, 2.0), (2, 3.0)), HOUR, at(5), live=False)
    assert record.path.read_bytes().count(b"\n") == 4
    assert told(again) == [(0, 1, 1.0), (1, 2, 2.0), (2, 3, 3.0)]


@pytest.mark.parametrize("damage", ["\x00\x00\x00", "2024-01-01T02:00:00Z,2023-01-01T00:00:00Z,5", "x,y,z", "1,2,3,4", ",,", "nan,nan,nan"])
def test_rows_that_cannot_be_are_no_rows(tmp_path: Path, damage: str) -> None:
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows((0, 1.0)), HOUR, at(5), live=False)
    with record.path.open("a") as file:
        file.write(f"{damage}\n")
    again = FactorRecord(record.path)
    again.append(rows((1, 2.0)), HOUR, at(5), live=False)
    assert [v for _, _, v in told(again)] == [1.0, 2.0]


def test_a_record_does_not_outgrow_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MOST_BYTES", 120)
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows((0, 1.0)), HOUR, at(5), live=False)
    with pytest.raises(StorageFull, match="would hold more than"):
        record.append(rows((1, 1.0)), HOUR, at(5), live=False)
    assert told(record) == [(0, 1, 1.0)]


def test_a_value_comes_back_to_the_last_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=300) * 10.0 ** np.arange(-150, 150)
    record = FactorRecord(tmp_path / "a.csv")
    record.append(rows(*enumerate(values.tolist())), HOUR, at(9000), live=False)
    assert read_record(record.path)["value"].tolist() == values.tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.booleans()), min_size=1, max_size=25))
def test_every_join_of_a_session_is_that_of_a_later_backtest(steps: list[tuple[int, int, bool]]) -> None:
    """Rows come in any order, late, revised and repeated, between the bars of a session."""
    with tempfile.TemporaryDirectory() as folder:
        entry = FactorSettings(kind="json", name="x", url="http://a/b", column="v", known_after=HOUR, file=f"{folder}/x.csv")
        book, record = FactorBook([entry], BARS), FactorRecord(Path(entry.file))
        seen = {}
        for hour, (describes, value, live) in enumerate(steps, start=1):
            record.append(rows((min(describes, hour), float(value))), HOUR, at(hour - 0.5), live=live)
            bars = pd.date_range(end=at(hour - 1), periods=1, freq="h", unit="ns")
            book.seal(bars)
            seen[hour] = book.columns(bars).to_numpy().tobytes()
        later = FactorBook([entry], BARS)
        for hour, joined in seen.items():
            bars = pd.date_range(end=at(hour - 1), periods=1, freq="h", unit="ns")
            assert later.columns(bars).to_numpy().tobytes() == joined
