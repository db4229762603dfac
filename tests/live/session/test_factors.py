"""A live session sees the factors that a backtest sees, and tells where they differ from what was to be expected."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.factors.book import FactorBook
from forwardtrader.feeds.fetching.opened import collectors
from forwardtrader.feeds.fetching.poller import FactorPoller
from forwardtrader.live.parity.command import compare
from forwardtrader.live.request import read_request
from forwardtrader.live.session.factors import KNOWN_AGAIN, LATE, NOT_KNOWN, LiveFactors
from tests import ROOT
from tests.feeds.fetching.loopback_source import said, served

HOUR = Timeframe.parse("1h")
START = datetime(2024, 1, 1, tzinfo=UTC)


class Heard:
    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []

    def __call__(self, kind: str, level: str = "", **facts: Any) -> None:
        self.told.append((kind, facts["factor"], facts["bar"]))


def publish(path: Path, *hours: int) -> None:
    rows = [f"{START + timedelta(hours=h):%Y-%m-%dT%H:%M:%SZ},{h / 1000}" for h in hours]
    path.write_text("\n".join(["timestamp,funding_rate", *rows]) + "\n")
    os.utime(path, ns=(len(hours), len(hours)))


def bars_up_to(hour: int, count: int = 40) -> pd.DatetimeIndex:
    return pd.date_range(end=START + timedelta(hours=hour), periods=count, freq="h", unit="ns")


def context_of(path: Path) -> tuple[LiveFactors, Heard]:
    heard = Heard()
    return LiveFactors(FactorBook([FactorSettings(file=str(path))], HOUR), heard), heard


def test_a_session_sees_what_a_backtest_sees(tmp_path: Path) -> None:
    publish(tmp_path / "f.csv", 0, 8, 16, 24)
    facts, heard = context_of(tmp_path / "f.csv")
    whole = FactorBook([FactorSettings(file=str(tmp_path / "f.csv"))], HOUR).columns(bars_up_to(30, 31))
    for hour in range(10, 31):
        pd.testing.assert_frame_equal(facts(bars_up_to(hour, 8)), whole.iloc[hour - 7 : hour + 1], check_freq=False)
    assert heard.told == []


def test_a_factor_that_stops_is_told_once_and_its_return_too(tmp_path: Path) -> None:
    publish(tmp_path / "f.csv", 0, 8)
    facts, heard = context_of(tmp_path / "f.csv")
    for hour in range(20, 35):
        facts(bars_up_to(hour))
    publish(tmp_path / "f.csv", 0, 8, 36)
    facts(bars_up_to(36))
    facts(bars_up_to(36))
    assert heard.told == [(NOT_KNOWN, "funding_rate", "2024-01-02T08:00Z"), (KNOWN_AGAIN, "funding_rate", "2024-01-02T12:00Z")]


def test_a_value_that_reaches_the_file_late_is_told(tmp_path: Path) -> None:
    publish(tmp_path / "f.csv", 0, 8)
    facts, heard = context_of(tmp_path / "f.csv")
    facts(bars_up_to(18))
    publish(tmp_path / "f.csv", 0, 8, 16)
    assert facts(bars_up_to(19)).iloc[-1, 0] == 0.016
    # Settled at 16:00, so a backtest knows it at the close of the bar that opened at 15:00; this session did not.
    assert heard.told == [(LATE, "funding_rate", "2024-01-01T15:00Z")]


def test_what_a_session_fetched_and_joined_is_what_a_backtest_joins_to_the_last_bit(tmp_path: Path) -> None:
    """Values come late, are revised and repeated while the bars of a session close."""
    rng, rows = np.random.default_rng(0), [{"t": int(START.timestamp()) - 3600 * n, "v": str(n)} for n in range(1, 30)]
    with served() as source:
        source.routes["/x"] = lambda _query: said(rows)
        entry = {"kind": "json", "name": "x", "url": f"{source.url}/x", "time": "t", "column": "v", "known_after": "30m"}
        feeds = FeedSettings.model_validate({"factors": [entry], "factor_path": str(tmp_path)})
        clock = FixedClock(START)
        poller = FactorPoller(collectors(feeds, clock), timedelta(days=3))
        [collector], heard = poller.collectors, Heard()
        collector.collect(START - timedelta(days=3), live=False)
        facts, seen = LiveFactors(FactorBook(feeds.located_factors, HOUR), heard, poller), {}
        for hour in range(1, 40):
            rows += [{"t": int(START.timestamp()) + 3600 * int(rng.integers(max(0, hour - 4), hour + 1)), "v": str(rng.normal())}]
            clock.at = START + timedelta(hours=hour, minutes=int(rng.integers(1, 50)))
            collector.collect_newest(timedelta(days=3))
            seen[hour] = facts(bars_up_to(hour, 60))
    later = FactorBook(feeds.located_factors, HOUR)
    for hour, joined in seen.items():
        assert later.columns(bars_up_to(hour, 60)).to_numpy().tobytes() == joined.to_numpy().tobytes()
    assert later.columns(bars_up_to(39, 39)).iloc[:, 0].nunique() > 20
    assert heard.told == []


def test_factors_are_a_flag_of_the_live_command() -> None:
    assert read_request(["--factor", "mood=m.csv,known_after=1d"]).settings.feeds.factors == (
        FactorSettings(file="m.csv", name="mood", known_after=timedelta(days=1)),
    )


@pytest.mark.slow
def test_a_session_with_a_factor_equals_its_replay(tmp_path: Path) -> None:
    days = pd.date_range(datetime(2019, 1, 1, tzinfo=UTC), datetime.now(UTC), freq="D")
    value = 50.0 + np.cumsum(np.random.default_rng(0).normal(0, 2, len(days)))
    table = pd.DataFrame({"timestamp": days.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": value, "classification": "x"})
    table.to_csv(tmp_path / "mood.csv", index=False)
    words = ["--sandbox", "--speed", "lockstep", "--session", "mood", "--quiet", "--bars", "300", "--factor", str(tmp_path / "mood.csv")]
    words += ["--factor", "taker_volume"]  # fetched from the practice exchange
    for setting in (
        *("models.train_window=60d", "models.retrain_every=10d", "models.epochs=1", "models.seeds=1", "models.units=8"),
        *(f"live.sessions_path={tmp_path}", f"live.state_path={tmp_path / 'state.db'}", f"models.save_path={tmp_path / 'models'}"),
    ):
        words += ["--set", setting]
    done = subprocess.run([sys.executable, "run_live.py", *words], cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    parity = compare(tmp_path / "mood", SystemClock())
    assert parity.first_difference is None
    assert (parity.equal, parity.compared["forecasts"]) == (True, 300)
