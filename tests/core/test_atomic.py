from __future__ import annotations

import os
from pathlib import Path

import pytest

from forwardtrader.core import atomic, log
from forwardtrader.core.errors import ConfigError


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_has_the_rights_that_the_users_umask_gives(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        (tmp_path / "output").mkdir()
        atomic.write_text(tmp_path / "output" / "page.html", "x")
    finally:
        os.umask(before)
    assert rights(tmp_path / "output" / "page.html") == 0o640


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


def test_a_file_in_a_private_folder_is_private(tmp_path: Path) -> None:
    atomic.private_folder(tmp_path / "session")
    atomic.write_text(tmp_path / "session" / "plan.json", "x")
    assert rights(tmp_path / "session" / "plan.json") == 0o600


def test_a_folder_that_others_could_read_is_made_private_with_all_that_lies_in_it(tmp_path: Path) -> None:
    inner = tmp_path / "session" / "market"
    inner.mkdir(parents=True)
    (inner / "prices.csv").write_text("1")
    (inner / "run.sh").touch(0o755)
    for path in (tmp_path / "session", inner):
        path.chmod(0o755)
    (inner / "prices.csv").chmod(0o664)
    atomic.private_folder(tmp_path / "session")
    found = {path.name: rights(path) for path in (tmp_path / "session", *(tmp_path / "session").rglob("*"))}
    assert found == {"session": 0o700, "market": 0o700, "prices.csv": 0o600, "run.sh": 0o700}


@pytest.mark.parametrize("name", ["plan.json", "market"])
def test_a_link_that_leads_out_of_a_private_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=f"{name} is a link that leads out of"):
        atomic.private_folder(folder)
    (folder / name).unlink()
    (folder / name).symlink_to(folder / "another", target_is_directory=True)
    atomic.private_folder(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may give a file to another user")
def test_what_belongs_to_another_user_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "session").mkdir()
    os.chown(tmp_path / "session", 4711, 4711)
    with pytest.raises(ConfigError, match="session belongs to another user \\(number 4711\\); work as that user, or choose another folder"):
        atomic.private_folder(tmp_path / "session")
    (tmp_path / "state.db").touch()
    os.chown(tmp_path / "state.db", 4711, 4711)
    with pytest.raises(ConfigError, match="another user"):
        atomic.private_file(tmp_path / "state.db")


def test_a_log_is_private_also_one_that_was_not(tmp_path: Path) -> None:
    for name in ("old", "new"):
        path = tmp_path / name
        if name == "old":
            path.touch(0o644)
        with log.log_to(path):
            log.event(log.logger("core"), "here")
        assert rights(path) == 0o600 and "here" in path.read_text()


def test_a_folder_that_nothing_can_be_written_into_is_refused_before_the_work(tmp_path: Path) -> None:
    atomic.refuse_unwritable(tmp_path / "new" / "deeper")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ConfigError, match="is a file, and no folder"):
            atomic.refuse_unwritable(folder)
    with pytest.raises(ConfigError, match="nothing can be written into"):
        atomic.refuse_unwritable(Path("/proc/runs"))
