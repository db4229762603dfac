"""A long session with the real models, retrained inside, killed in the middle."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.parity.command import compare
from forwardtrader.reports.pages.session_status import read_status
from tests.live.session_runner import bars_of, wait_for_bars
from tests.processes import begin

SMALL = ("models.train_window=60d", "models.retrain_every=10d", "models.epochs=1", "models.seeds=1", "models.units=8")


FOREST = """
from sklearn.ensemble import RandomForestRegressor
import forwardtrader as ft

forest = ft.SklearnForecaster(RandomForestRegressor(n_estimators=10, max_depth=4, n_jobs=1))
"""
LEARNING = ("early=true", "reference=45d", "block=12", "slack=0.1", "false_alarms_every=3d", "trial=36", "adaptive=true")


def began(folder: Path, bars: int, *more: str, symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT", "SOL/USDT")) -> subprocess.Popen[str]:
    words = [sys.executable, "run_live.py", "--sandbox", "--speed", "lockstep", "--session", "long", "--quiet", "--bars", str(bars)]
    for symbol in symbols:
        words += ["--symbol", symbol]
    for setting in (
        *SMALL,
        *more,
        f"live.sessions_path={folder}",
        f"live.state_path={folder / 'state.db'}",
        f"models.save_path={folder / 'models'}",
    ):
        words += ["--set", setting]
    return begin(words)


@pytest.mark.slow
def test_two_thousand_bars_with_retraining_and_a_crash_equal_their_replay(tmp_path: Path) -> None:
    process = began(tmp_path, 2000)
    wait_for_bars(tmp_path, "long", 700, process, patience_s=900)
    process.kill()
    process.communicate()
    seen = bars_of(tmp_path, "long")
    process = began(tmp_path, 2000 - seen)
    assert process.wait(1800) == 0, process.communicate()[1]
    process.communicate()
    parity = compare(tmp_path / "long", SystemClock())
    assert parity.first_difference is None
    assert (parity.equal, parity.bars, parity.compared["forecasts"]) == (True, 2000, 6000)


@pytest.mark.slow
def test_a_session_that_learns_between_retrainings_equals_its_replay_over_a_crash(tmp_path: Path) -> None:
    """Early boundaries, trials and corrections at every bar; false alarms are made frequent, so that there are some."""
    more = tuple(f"learning.{one}" for one in LEARNING)
    process = began(tmp_path, 400, *more, symbols=("BTC/USDT",))
    wait_for_bars(tmp_path, "long", 150, process, patience_s=600)
    process.kill()
    process.communicate()
    process = began(tmp_path, 250, *more, symbols=("BTC/USDT",))
    assert process.wait(1200) == 0, process.communicate()[1]
    process.communicate()
    parity = compare(tmp_path / "long", SystemClock())
    assert parity.first_difference is None and parity.equal
    decisions = read_status(tmp_path / "long").decisions
    assert {"calendar", "drift"} <= {decision.by for decision in decisions}


@pytest.mark.slow
@pytest.mark.parametrize(
    "forecaster",
    ["tests.models.own_forecasters:Ridge", "tests.models.own_forecasters:Nearest", "lightgbm", "examples/keras_gru.py:gru", "FOREST"],
)
def test_a_session_with_another_forecaster_equals_its_replay_over_a_crash(tmp_path: Path, forecaster: str) -> None:
    (tmp_path / "forest_of_a_session.py").write_text(FOREST)
    params = ("models.params.epochs=1",) if "keras" in forecaster else ()
    named = forecaster.replace("FOREST", f"{tmp_path}/forest_of_a_session.py:forest")
    more = (f"models.forecaster={named}", "models.retrain_every=2d", *params)
    process = began(tmp_path, 160, *more, symbols=("BTC/USDT",))
    wait_for_bars(tmp_path, "long", 70, process, patience_s=600)
    process.kill()
    process.communicate()
    process = began(tmp_path, 80, *more, symbols=("BTC/USDT",))
    assert process.wait(600) == 0, process.communicate()[1]
    process.communicate()
    parity = compare(tmp_path / "long", SystemClock())
    assert parity.first_difference is None and parity.equal
    assert parity.compared["forecasts"] == parity.bars >= 150
    models = {path.parent.name for path in (tmp_path / "models").glob("*/card.json")}
    assert len(models) >= 4
