from __future__ import annotations

import os
from pathlib import Path

import pytest

from forwardtrader.core import atomic


def test_a_file_has_the_rights_that_the_users_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "page.html", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "page.html").stat().st_mode & 0o777 == 0o640


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def fail(target: Path) -> None:
        target.write_text("half")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        atomic.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_writer_left_beside_a_file_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / name for name in ("table.parquet", ".other.parquet.0123456789ab", ".table.parquet", "x.table.parquet.1")]
    for path in (*kept, tmp_path / ".table.parquet.0123456789ab"):
        path.touch()
    atomic.sweep(tmp_path / "table.parquet")
    assert sorted(tmp_path.iterdir()) == sorted(kept)
