"""A session whose features look at other symbols: its forecasts are those of its replay, also where bars come late or never."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.bridge.bar_barrier import BarBarrier
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.request import read_request
from forwardtrader.live.session.session import LiveSession
from tests.live.session_runner import bars_of, wait_for_bars
from tests.processes import begin

SYMBOLS = ("ETH/USDT", "BTC/USDT")
SOURCE = """
import numpy as np
import forwardtrader as ft


@ft.feature(warm_up=25, cross_asset=True)
def behind_btc(bars, panel):
    btc = panel["BTC/USDT"]
    return 10.0 * (np.log(btc.close / ft.lag(btc.close, 24)) - np.log(bars.close / ft.lag(bars.close, 24)))


@ft.feature(warm_up=2, cross_asset=True)
def against_eth(bars, panel):
    eth = panel["ETH/USDT"]
    return 100.0 * (np.log(eth.close / eth.open) - np.log(bars.close / bars.open))


class Slopes(ft.BaseForecaster):
    def fit(self, panel):
        self.weights_ = panel.y @ panel.X / len(panel)
        return self

    def predict(self, panel):
        return (panel.X * self.weights_).sum(axis=1)
"""


@pytest.fixture
def flags(tmp_path: Path) -> list[str]:
    path = tmp_path / "peers_of_a_session.py"
    path.write_text(SOURCE)
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"F21": {"symbol": "BTC/USDT", "after_bars": 12, "count": 2}}))
    settings = {
        "models.forecaster": f"{path}:Slopes", "models.features": json.dumps(["move_6", f"{path}:*"]), "models.train_window": "20d",
        "models.retrain_every": "1d", "models.save_path": str(tmp_path / "models"), "live.sessions_path": str(tmp_path),
        "live.state_path": str(tmp_path / "state.db"),
    }  # fmt: skip
    words = ["--sandbox", "--speed", "lockstep", "--session", "one", "--quiet", "--faults", str(faults)]
    words += [word for symbol in SYMBOLS for word in ("--symbol", symbol)]
    return [*words, *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def hold_back_every_third_bar(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits for anybody, and every third bar of bitcoin comes after the next ones of the others; the last one with a restart."""
    put, seen = BarBarrier.put, []

    def held(self: BarBarrier, symbol: str, bar: Bar) -> None:
        if symbol == "BTC/USDT":
            seen.append(bar)
            if len(seen) % 3 == 0:
                return
            if len(seen) % 3 == 1 and len(seen) > 1:
                put(self, symbol, seen[-2])
        put(self, symbol, bar)

    patch.setattr(BarBarrier, "put", held)
    patch.setattr(BarBarrier, "_is_overdue", lambda self, end: True)


@pytest.mark.slow
def test_a_session_with_an_own_forecaster_and_features_killed_in_the_middle_equals_its_replay(tmp_path: Path, flags: list[str]) -> None:
    process = begin([sys.executable, "run_live.py", *flags, "--bars", "500"])
    wait_for_bars(tmp_path, "one", 10, process)
    process.kill()
    process.communicate()
    seen = bars_of(tmp_path, "one")
    assert LiveSession(read_request([*flags, "--bars", "20"]), SystemClock(), SessionView(Console(), shown=False)).run() == 0
    parity = compare(tmp_path / "one", SystemClock())
    assert parity.equal and parity.first_difference is None
    assert parity.bars == seen + 20 and parity.compared["forecasts"] >= 2 * parity.bars - 2
    assert len(list((tmp_path / "models").glob("*/card.json"))) >= 2


@pytest.mark.slow
def test_what_a_session_forecasts_that_does_not_wait_for_late_bars_is_what_its_replay_forecasts(tmp_path: Path, flags: list[str]) -> None:
    for _ in range(2):  # the second goes on where the first stopped
        with pytest.MonkeyPatch.context() as patch:
            hold_back_every_third_bar(patch)
            request = read_request([*flags, "--bars", "18"])
            assert LiveSession(request, SystemClock(), SessionView(Console(), shown=False)).run() == 0
    parity = compare(tmp_path / "one", SystemClock())
    assert parity.forecasts_equal, parity.first_difference
    assert parity.compared["forecasts"] >= 50 and len(list((tmp_path / "models").glob("*/card.json"))) >= 2
    late = SessionStore(tmp_path / "one" / "session.db").late("BTC/USDT")
    assert len(late) >= 8 and (late >= 1).all()
