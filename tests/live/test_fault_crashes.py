"""A process that dies at any point of an order's life finds everything again, and sends nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.live.execution.journal import Journal
from tests import PATIENCE_S, ROOT
from tests.live.books import require_agreement
from tests.live.crash_runner import POINTS, UNSENT, Trader, said_of
from tests.live.market import play, practice, store_on

PERPETUALS: dict[str, Any] = {"symbols": ["BTC/USDT:USDT"], "funding_bps": 0}


def die(venue: Any, journal: Path, point: str, count: int) -> int:
    spec = {"venue": said_of(venue), "journal": str(journal), "bars": 40, "point": point, "count": count}
    words = [sys.executable, "-m", "tests.live.crash_runner", json.dumps(spec)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode in (-signal.SIGKILL, 7), done.stderr
    return done.returncode


def survived(tmp_path: Path, point: str, counts: tuple[int, ...], **settings: Any) -> int:
    """Die at `point`, once for each count, then go on and compare the books; returns how many orders there were."""
    path = tmp_path / "journal.db"
    with practice(history=60, **settings) as venue:
        for count in counts:
            sent = len(venue.orders())
            assert die(venue, path, point, count) == -signal.SIGKILL, f"{point} was not reached"
            if point in UNSENT and count == 1:
                assert len(venue.orders()) == sent, "an order left before its intent was durable"
        journal = Journal(path)
        run = play(venue, store_on(venue, journal, run="one"), Trader, 9, symbols=tuple(venue.symbols))
        require_agreement(venue, journal, run, prefix="one-")
        return len(journal.intents())


@pytest.mark.parametrize("point", ["before the disk has the intent", "after it is claimed for sending", "after the answer"])
def test_a_process_that_dies_around_its_first_order_finds_it_again(tmp_path: Path, point: str) -> None:
    counts = (1,)
    assert survived(tmp_path, point, counts) > len(counts)


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
def test_a_process_that_trades_a_perpetual_and_dies_finds_its_order_again(tmp_path: Path, protocol: str) -> None:
    counts = (1,)
    assert survived(tmp_path, "after it is claimed for sending", counts, **PERPETUALS, protocol=protocol) > len(counts)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["binance", "bybit"])
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_trades_a_perpetual_and_dies_again_and_again_finds_everything(tmp_path: Path, point: str, protocol: str) -> None:
    counts = (1, 2, 1, 3)
    assert survived(tmp_path, point, counts, **PERPETUALS, protocol=protocol) > len(counts)


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_process_that_dies_again_and_again_at_the_same_point_finds_everything(tmp_path: Path, point: str) -> None:
    counts = (1, 2, 1, 3)
    assert survived(tmp_path, point, counts) > len(counts)


@pytest.mark.slow
@pytest.mark.parametrize("point", ["before an execution is booked", "after an execution is booked", "after the answer"])
def test_a_process_that_dies_between_two_parts_of_a_fill_books_both(tmp_path: Path, point: str) -> None:
    counts = (2, 1, 3)
    assert survived(tmp_path, point, counts, faults={"F10": {"count": 0, "parts": 3}}) > len(counts)
