"""Trading with Firestore up, down, hung, slow and wiped in the middle: the same fills, and in the end the mirror equals the files."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.mirror.sync import synchronise
from forwardtrader.live.output.firestore import FirestoreMirror
from tests import PATIENCE_S
from tests.live.firestore_emulator import Emulator, deaf, free_port, new_project, slow_way
from tests.live.session_runner import bars_of, request_for, run

pytestmark = pytest.mark.usefixtures("practice_ends")
BARS = 120
FEW = 12
REAL = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0")


def books_of(folder: Path) -> tuple[list[Any], list[Any]]:
    """Fills and equity. Fills of one bar stand by symbol: for which of two a venue answers first differs from session to session."""
    with closing(sqlite3.connect(folder / "one" / "session.db")) as store:
        fills = "select number, symbol, side, size, price, fee, reason from fills order by number, symbol, id"
        equity = (
            "select number, round(equity, 6), round(cash, 6) from equity order by number"  # sums of such fills differ by their last bits
        )
        return store.execute(fills).fetchall(), store.execute(equity).fetchall()


def traded(folder: Path, *flags: str, bars: int = BARS) -> tuple[list[Any], list[Any]]:
    folder.mkdir()
    assert run(request_for(folder, "one", bars, *flags)) == 0
    return books_of(folder)


@contextmanager
def wiped(emulator: Emulator, project: str, folder: Path) -> Iterator[None]:
    """Empties the database once the session has traded for a while."""

    def wipe() -> None:
        until = time.monotonic() + PATIENCE_S
        while bars_of(folder, "one") < BARS // 2 and time.monotonic() < until:
            time.sleep(0.05)
        emulator.wipe(project)

    thread = threading.Thread(target=wipe)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], tuple[list[Any], list[Any]]]:
    """The books of a session without Firestore, on paper and with real orders."""
    place = tmp_path_factory.mktemp("alone")
    found = {flags: traded(place / str(len(flags)), *flags) for flags in ((), REAL)}
    assert all(len(fills) > 5 and len(equity) >= BARS for fills, equity in found.values())
    return found


def test_a_session_trades_the_same_where_firestore_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    request = ("--set", f"live.firestore_project={new_project()}")
    assert traded(tmp_path / "with", *request, bars=FEW) == traded(tmp_path / "without", bars=FEW)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), REAL], ids=["paper", "real orders"])
@pytest.mark.parametrize("firestore_is", ["up", "down", "hung", "slow", "wiped"])
def test_a_session_trades_the_same_whatever_becomes_of_firestore(
    firestore: Emulator, firestore_is: str, flags: tuple[str, ...], alone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, folder = new_project(), tmp_path / "with"
    asked = (*flags, "--set", f"live.firestore_project={project}", "--set", "live.firestore_writes_per_day=0")
    with ExitStack() as stack, monkeypatch.context() as patch:
        port = firestore.port
        if firestore_is == "down":
            port = free_port()
        elif firestore_is == "hung":
            port = stack.enter_context(deaf())
        elif firestore_is == "slow":
            port = stack.enter_context(slow_way(firestore.port, 2.0))
        elif firestore_is == "wiped":
            stack.enter_context(wiped(firestore, project, folder))
        patch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
        # The client keeps its way to one project, so that each way has its own.
        assert traded(folder, *asked) == alone[flags]
    there = FirestoreMirror(project if firestore_is in ("up", "wiped") else f"{project}-after")
    request = request_for(folder, "one", 0, *asked)
    found = synchronise(request, SystemClock(), there)
    assert found.compared > BARS
    if firestore_is == "up":
        assert (found.missing, found.different, found.beyond) == ([], [], [])
    again = synchronise(request, SystemClock(), there)
    assert (again.missing, again.different, again.beyond) == ([], [], [])
