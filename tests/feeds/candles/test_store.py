"""The store keeps what it was given, whole, through kills, full disks and other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid, StorageFull, StoreDamaged
from forwardtrader.feeds.candles import store as candle_store
from forwardtrader.feeds.candles.file import FileDamaged, Stored, StoredInfo, read_file
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from tests import PATIENCE_S
from tests.feeds.made_candles import HOUR, START, made
from tests.processes import begin

KEY = CandleKey("binance", "BTC/USDT", HOUR)
CLOCK = FixedClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def info(frame: pd.DataFrame, source: str = "binance") -> StoredInfo:
    return StoredInfo(source=source, covered_from=frame.index[0].to_pydatetime(), covered_to=frame.index[-1].to_pydatetime() + HOUR.delta)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path, CLOCK)


def run_python(code: str, *arguments: str, **given: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *arguments]
    return begin(command, **given)


def test_what_is_stored_is_read_back_bit_for_bit(store: CandleStore) -> None:
    frame = made(300)
    assert store.append(KEY, frame, info(frame)) == 300
    pd.testing.assert_frame_equal(store.load(KEY), frame, check_freq=False, check_exact=True)
    stored = store.read(KEY)
    assert stored is not None
    assert stored.info == info(frame)


def test_nothing_stored_is_an_empty_frame(store: CandleStore) -> None:
    assert len(store.load(KEY)) == 0
    assert store.read(KEY) is None


def test_load_as_of_shows_only_bars_closed_by_then(store: CandleStore) -> None:
    frame = made(10)
    store.append(KEY, frame, info(frame))
    assert len(store.load(KEY, as_of=START + timedelta(hours=4, minutes=59))) == 4
    assert len(store.load(KEY, as_of=START + timedelta(hours=5))) == 5


@settings(max_examples=25, deadline=None)
@given(pieces=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 40)), min_size=1, max_size=6))
def test_pieces_in_any_order_join_to_their_union(tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[int, int]]) -> None:
    frame, store = made(130), CandleStore(tmp_path_factory.mktemp("store"))
    wanted: set[int] = set()
    for first, count in pieces:
        added = store.append(KEY, frame.iloc[first : first + count], info(frame.iloc[first : first + count]))
        assert added == len(set(range(first, first + count)) - wanted)
        wanted |= set(range(first, first + count))
    pd.testing.assert_frame_equal(store.load(KEY), frame.iloc[sorted(wanted)], check_freq=False)


def test_a_stored_bar_is_never_changed(store: CandleStore) -> None:
    frame = made(20)
    store.append(KEY, frame, info(frame))
    revised = frame.copy()
    revised.iloc[5, revised.columns.get_loc("volume")] *= 2
    with pytest.raises(CandleFileInvalid, match=r"1 bars differ from those stored .*2024-01-01 05:00"):
        store.append(KEY, revised, info(frame, "file other.csv"))
    assert store.append(KEY, revised, info(frame), keep_stored=True) == 0
    pd.testing.assert_frame_equal(store.load(KEY), frame, check_freq=False)


def test_what_was_covered_and_fetched_only_widens(store: CandleStore) -> None:
    frame = made(40)
    store.append(KEY, frame[10:20], StoredInfo(source="a", covered_from=START, covered_to=START + timedelta(days=1), fetched_at=START))
    store.append(KEY, frame[20:], info(frame[20:], "b"))
    stored = store.read(KEY)
    assert stored is not None
    assert stored.info == StoredInfo(source="a + b", covered_from=START, covered_to=START + timedelta(hours=40), fetched_at=START)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_set_aside_and_can_be_filled_again(store: CandleStore, share: float) -> None:
    frame = made(500)
    store.append(KEY, frame, info(frame))
    path = store.path(KEY)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(StoreDamaged, match=r"set aside as 1h.parquet.damaged-20260102T030405Z; download or import"):
        store.read(KEY)
    assert store.read(KEY) is None
    assert [p.name for p in store.damaged(KEY)] == ["1h.parquet.damaged-20260102T030405Z"]
    store.append(KEY, frame, info(frame))
    assert len(store.load(KEY)) == 500


def test_a_changed_byte_is_found_wherever_it_lies(store: CandleStore) -> None:
    frame = made(200)
    store.append(KEY, frame, info(frame))
    path = store.path(KEY)
    sound = path.read_bytes()
    harmless = []
    for place in range(4, len(sound), max(1, len(sound) // 150)):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x41]) + sound[place + 1 :])
        try:
            stored = store.read(KEY)
        except StoreDamaged:
            continue
        assert stored is not None
        pd.testing.assert_frame_equal(stored.candles, frame, check_freq=False)
        harmless.append(place)
    assert len(harmless) < 100  # bytes of the format that mean nothing to the values


def test_appending_to_a_damaged_file_starts_it_anew(store: CandleStore) -> None:
    frame = made(50)
    store.append(KEY, frame[:20], info(frame[:20]))
    os.truncate(store.path(KEY), 100)
    assert store.append(KEY, frame[20:], info(frame[20:])) == 30
    assert len(store.damaged(KEY)) == 1


def test_names_of_symbols_survive_the_file_system(store: CandleStore) -> None:
    frame = made(12)
    keys = [CandleKey("okx", name, HOUR) for name in ("BTC/USDT", "BTC/USDT:USDT", "BRK-B", "A_B", "A.B")]
    for key in keys:
        store.append(key, frame, info(frame))
    assert set(store.held()) == set(keys)


def test_a_full_disk_keeps_what_was_saved(tmp_path: Path) -> None:
    frame, store = made(100), CandleStore(tmp_path)
    store.append(KEY, frame, info(frame))
    code = """
import resource, sys
from forwardtrader.feeds.candles.store import *
from tests.feeds.candles.test_store import KEY, info, made
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
frame = made(5000)
try:
    CandleStore(sys.argv[1]).append(KEY, frame, info(frame))
except Exception as error:
    print(type(error).__name__, error)
"""
    out, err = run_python(code, str(tmp_path)).communicate(timeout=PATIENCE_S)
    assert out.startswith("StorageFull no space left to write"), err
    pd.testing.assert_frame_equal(store.load(KEY), frame, check_freq=False)
    assert [p.name for p in store.path(KEY).parent.iterdir() if p.name.startswith(".")] == []


def test_the_real_error_of_a_full_device_is_storage_full(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def onto_full_device(table: pa.Table, where: Path, **given: object) -> None:
        with Path("/dev/full").open("wb") as device:
            device.write(b"x" * 100_000)

    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr(pq, "write_table", onto_full_device)
    frame = made(30)
    with pytest.raises(StorageFull, match="no space left"):
        store.append(KEY, frame, info(frame))
    assert store.read(KEY) is None


APPEND_FOR_EVER = """
import sys
from forwardtrader.feeds.candles.store import *
from tests.feeds.candles.test_store import KEY, info, made
frame, store = made(3000), CandleStore(sys.argv[1])
for first in range(0, 3000, 5):
    store.append(KEY, frame[first:first + 5], info(frame[first:first + 5]))
    if first == 0:
        print("ready", flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_sound_file(tmp_path: Path) -> None:
    store, frame, seen = CandleStore(tmp_path), made(3000), 0
    for pause in (0.031, 0.052, 0.113):
        process = run_python(APPEND_FOR_EVER, str(tmp_path))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        stored = store.load(KEY)
        pd.testing.assert_frame_equal(stored, frame[: len(stored)], check_freq=False)
        seen = max(seen, len(stored))
    assert seen > 5
    store.append(KEY, frame, info(frame))
    assert [p.name for p in store.path(KEY).parent.iterdir() if p.name.startswith(".")] == []  # leftovers are cleared away


def test_whoever_reads_while_another_writes_finds_a_whole_file(tmp_path: Path) -> None:
    store, frame, lengths = CandleStore(tmp_path), made(3000), set[int]()
    process = run_python(APPEND_FOR_EVER, str(tmp_path))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    with process:
        while len(lengths) < 100 and process.poll() is None:
            stored = store.load(KEY)
            lengths.add(len(stored))
            pd.testing.assert_frame_equal(stored, frame[: len(stored)], check_freq=False)
        process.kill()
    assert len(lengths) == 100
    assert store.damaged(KEY) == []


def test_a_sound_file_that_took_the_place_of_a_damaged_one_is_not_set_aside(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = made(50)
    store.append(KEY, frame, info(frame))
    seen: list[Path] = []

    def damaged_at_first(path: Path) -> Stored | None:
        seen.append(path)
        if len(seen) == 1:
            raise FileDamaged("cut short or not readable")
        return read_file(path)

    monkeypatch.setattr(candle_store, "read_file", damaged_at_first)
    assert len(store.load(KEY)) == 50
    assert len(seen) == 2
    assert store.damaged(KEY) == []


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    code = """
import sys
from forwardtrader.feeds.candles.store import *
from tests.feeds.candles.test_store import KEY, info, made
frame, store, odd = made(400), CandleStore(sys.argv[1]), int(sys.argv[2])
for first in range(odd * 10, 400, 20):
    store.append(KEY, frame[first:first + 10], info(frame[first:first + 10]))
"""
    processes = [run_python(code, str(tmp_path), side) for side in "01"]
    for process in processes:
        assert process.communicate(timeout=PATIENCE_S)[1] == ""
    pd.testing.assert_frame_equal(CandleStore(tmp_path).load(KEY), made(400), check_freq=False)


def test_the_command_lists_and_checks(store: CandleStore, capsys: pytest.CaptureFixture[str]) -> None:
    frame = made(100).drop(START + timedelta(hours=9))
    store.append(KEY, frame, info(frame))
    assert candle_store.main(["list", "--path", str(store.root)]) == 0
    assert "binance BTC/USDT 1h: 99 bars, 2024-01-01 00:00 .. 2024-01-05 03:00, 1 gaps, 1 bars missing" in capsys.readouterr().out
    os.truncate(store.path(KEY), 200)
    assert candle_store.main(["check", "--path", str(store.root)]) == 3
    assert "damaged" in capsys.readouterr().out
    assert candle_store.main(["check", "--path", str(store.root)]) == 0
