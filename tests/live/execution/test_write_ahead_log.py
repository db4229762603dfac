"""The write-ahead log: what is written survives, whatever a crash took elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import StorageFull
from forwardtrader.live.execution import write_ahead_log
from forwardtrader.live.execution.write_ahead_log import SLOTS, WriteAheadLog


def test_a_new_log_is_empty_and_a_full_one_keeps_the_newest(tmp_path: Path) -> None:
    log = WriteAheadLog(tmp_path / "a.intents")
    assert log.records == []
    for number in range(SLOTS + 5):
        log.put({"n": number})
    log.close()
    again = WriteAheadLog(tmp_path / "a.intents")
    assert [record["n"] for record in again.records] == list(range(5, SLOTS + 5))
    assert again.next == SLOTS + 6
    again.close()
    again.close()


@settings(deadline=None, max_examples=30)
@given(cut=st.integers(0, 200), count=st.integers(1, 6))
def test_a_slot_torn_by_a_power_cut_is_no_record_and_spoils_no_other(
    tmp_path_factory: pytest.TempPathFactory, cut: int, count: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "a.intents"
    log = WriteAheadLog(path)
    for number in range(count):
        log.put({"n": number, "text": "x" * 100})
    log.close()
    data = bytearray(path.read_bytes())
    start = (1 + count) * 4096  # the newest record, of which only the first `cut` bytes reached the disk
    whole = bytes(data[start : start + 4096]).rstrip(b"\0")
    data[start + cut : start + 4096] = bytes(4096 - cut)
    path.write_bytes(bytes(data))
    expected = count if cut >= len(whole) else count - 1
    again = WriteAheadLog(path)
    assert [record["n"] for record in again.records] == list(range(expected))
    again.put({"n": "next"})
    again.close()


def test_a_log_cut_short_is_made_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.intents"
    WriteAheadLog(path).close()
    path.write_bytes(path.read_bytes()[:10_000])
    log = WriteAheadLog(path)
    log.put({"n": 1})
    log.close()
    assert path.stat().st_size == (1 + SLOTS) * 4096


def test_a_file_system_without_direct_writing_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = write_ahead_log.os.open

    def no_direct(path: object, flags: int, *more: int) -> int:
        if flags & getattr(write_ahead_log.os, "O_DIRECT", 0):
            raise OSError(22, "Invalid argument")
        return refuse(path, flags, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(write_ahead_log.os, "open", no_direct)
    log = WriteAheadLog(tmp_path / "a.intents")
    log.put({"n": 1})
    log.close()
    assert WriteAheadLog(tmp_path / "a.intents").records == [{"n": 1}]


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((StorageFull, NotADirectoryError, FileExistsError)):
        WriteAheadLog(tmp_path / "file" / "a.intents")
    log = WriteAheadLog(tmp_path / "a.intents")
    log.close()
    with pytest.raises(StorageFull, match="no order was sent"):
        log.put({"n": 1})
