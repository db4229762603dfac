"""Files of rows: whole after a kill, a day each, and within their bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forwardtrader.core.errors import StorageFull
from forwardtrader.feeds.recording.rows_file import DailyFiles, RowsFile, prune

DAY = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_row_that_a_kill_cut_off_is_gone_and_the_next_one_whole(tmp_path: Path, cut: int) -> None:
    RowsFile(tmp_path / "a.csv", "x,y").append(["1,2", "3,4"])
    text = (tmp_path / "a.csv").read_bytes()
    (tmp_path / "a.csv").write_bytes(text[:-cut])
    again = RowsFile(tmp_path / "a.csv", "x,y")
    kept = again.tail()
    again.append(["5,6"])
    assert again.tail() == [*kept, "5,6"]
    assert (tmp_path / "a.csv").read_text().startswith("x,y\n1,2\n")
    assert kept == ["1,2"]


def test_a_header_that_was_cut_off_is_written_again(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,")
    file = RowsFile(tmp_path / "a.csv", "x,y")
    file.append(["1,2"])
    assert (tmp_path / "a.csv").read_text() == "x,y\n1,2\n"


def test_every_day_has_its_file_and_the_oldest_go_first(tmp_path: Path) -> None:
    files = DailyFiles(tmp_path / "trades", "x")
    for n in range(5):
        files.append(["1" * 99], DAY + timedelta(days=n))
    assert prune(tmp_path, 10_000) == 0
    assert prune(tmp_path, 250) == 3
    assert [path.stem for path in sorted((tmp_path / "trades").iterdir())] == ["2024-01-04", "2024-01-05"]
    assert prune(tmp_path, 0) == 1  # the newest day stays, whatever it takes
    assert files.tail() == ["1" * 99]


def test_a_disk_that_takes_no_more_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(StorageFull, match=r"a\.csv cannot be written"):
        RowsFile(tmp_path / "a.csv", "x").append(["1"])
