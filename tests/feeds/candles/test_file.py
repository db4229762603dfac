"""One candle file: written and read back bit for bit, and never read when damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.feeds.candles.file import FileDamaged, Stored, StoredInfo, read_file, write_file
from tests.feeds.made_candles import made

INFO = StoredInfo(
    source="binance", covered_from=datetime(2024, 1, 1, tzinfo=UTC), covered_to=datetime(2024, 1, 3, tzinfo=UTC),
    fetched_at=datetime(2024, 1, 3, 0, 0, 1, 5, tzinfo=UTC),
)  # fmt: skip


def test_candles_and_metadata_are_read_back_exactly(tmp_path: Path) -> None:
    path, frame = tmp_path / "a" / "BTC.parquet", made(48)
    path.parent.mkdir()
    write_file(path, Stored(frame, INFO))
    stored = read_file(path)
    assert stored is not None
    pd.testing.assert_frame_equal(stored.candles, frame, check_exact=True, check_freq=False)
    assert stored.info == INFO


def test_a_file_that_does_not_exist_is_none(tmp_path: Path) -> None:
    assert read_file(tmp_path / "none.parquet") is None


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_truncated_file_is_damaged(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "BTC.parquet"
    write_file(path, Stored(made(48), INFO))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileDamaged, match="cut short"):
        read_file(path)


def test_a_changed_value_fails_the_checksum(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    path, other = tmp_path / "BTC.parquet", tmp_path / "other.parquet"
    write_file(path, Stored(made(48), INFO))
    write_file(other, Stored(made(48, seed=1), INFO))
    swapped = pq.read_table(other).replace_schema_metadata(pq.read_table(path).schema.metadata)
    pq.write_table(swapped, path)
    with pytest.raises(FileDamaged, match="checksum"):
        read_file(path)
