"""A long session with the real models, retrained inside, killed in the middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.clock import SystemClock
from live.parity import compare
from tests.live.test_session import ROOT, bars_of, wait_for_bars

SMALL = ("models.train_window=60d", "models.retrain_every=10d", "models.epochs=1", "models.seeds=1", "models.units=8")


def begin(folder: Path, bars: int) -> subprocess.Popen[str]:
    words = [sys.executable, "run_live.py", "--sandbox", "--speed", "lockstep", "--session", "long", "--quiet", "--bars", str(bars)]
    for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
        words += ["--symbol", symbol]
    for setting in (
        *SMALL,
        f"live.sessions_path={folder}",
        f"live.state_path={folder / 'state.db'}",
        f"models.save_path={folder / 'models'}",
    ):
        words += ["--set", setting]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_two_thousand_bars_with_retraining_and_a_crash_equal_their_replay(tmp_path: Path) -> None:
    process = begin(tmp_path, 2000)
    wait_for_bars(tmp_path, "long", 700, process, patience_s=900)
    process.kill()
    process.communicate()
    seen = bars_of(tmp_path, "long")
    process = begin(tmp_path, 2000 - seen)
    assert process.wait(1800) == 0, process.communicate()[1]
    process.communicate()
    parity = compare(tmp_path / "long", SystemClock())
    assert parity.first_difference is None
    assert (parity.equal, parity.bars, parity.compared["forecasts"]) == (True, 2000, 6000)
