"""The same command again, after more bars were printed, is the same trial; a named end, another setting and other prices are not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest import shifted_runs
from forwardtrader.backtest.cli import command
from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from tests.end_to_end.small_run import SMALL

WORDS = ["--from", "2024-04-20", "--baselines", "zero", "--quiet", *(word for setting in SMALL for word in ("--set", setting))]


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    return sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=0, until=datetime(2024, 6, 10, tzinfo=UTC)).loc["2023-12-01":]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own for each test, and few shifts of each run, which are no part of what is counted."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shifted_runs, "SHIFTS", 5)


def trials(folder: Path, candles: pd.DataFrame, *more: str) -> int:
    """Run the command on these candles; how many trials it counts."""
    candles.rename_axis("timestamp").to_csv(folder / "market.csv")
    assert command([*WORDS, "--data", "BTC/USDT=market.csv", *more], SystemClock()) == 0
    newest = max((folder / "reports/output").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
    return int(json.loads(newest.read_text())["strategy"]["trials"])


@pytest.mark.slow
def test_a_command_without_a_named_end_is_one_trial_however_far_it_reaches(tmp_path: Path, market: pd.DataFrame) -> None:
    assert trials(tmp_path, market.iloc[:-100]) == 1
    assert trials(tmp_path, market.iloc[:-63]) == 1
    assert trials(tmp_path, market, "--to", "2024-06-08") == 2
    corrected = market["close"].where(market.index != pd.Timestamp("2024-03-01 05:00", tz="UTC"), market["open"])
    assert trials(tmp_path, market.assign(close=corrected)) == 3
    assert trials(tmp_path, market) == 3


@pytest.mark.slow
def test_a_point_of_a_sweep_is_known_again_too(tmp_path: Path, market: pd.DataFrame) -> None:
    (tmp_path / "sweep.yaml").write_text("strategies.margin: [1.0, 1.5]\n")
    assert trials(tmp_path, market.iloc[:-100], "--sweep", "sweep.yaml") == 2
    assert trials(tmp_path, market.iloc[:-20], "--set", "strategies.margin=1.5") == 2
    assert trials(tmp_path, market, "--sweep", "sweep.yaml") == 2
