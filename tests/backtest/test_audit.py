"""The audit passes an honest pipeline and names what was planted in it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest
from rich.console import Console

from backtest.audit import PIPELINE_SPAN, _Bench, audit, feature_frame, steps
from backtest.audit_command import run_audit
from backtest.command_line import read_request
from backtest.market_data import load_markets
from backtest.request import BacktestRequest
from core.clock import FixedClock
from core.errors import LookAheadFound
from models.features import FEATURES, Bars, Feature
from models.look_ahead import Leak, last_bar_bump, truncation
from tests.reports.simulated import candles

CLOCK = FixedClock(datetime(2023, 1, 1, tzinfo=UTC))
QUICK = (
    *("--set", "models.seeds=1", "--set", "models.epochs=1", "--set", "models.units=4", "--train-window", "45d", "--retrain-every", "14d"),
    *("--set", "models.horizons=[1, 4]", "--set", "strategies.horizon=4", "--jobs", "1", "--quiet"),
)


def tomorrow(bars: Bars) -> np.ndarray:
    return np.append(bars.close[1:] / bars.close[:-1] - 1.0, np.nan)


def z_score(bars: Bars) -> np.ndarray:
    return (bars.close - bars.close.mean()) / bars.close.std()


class Clairvoyant(bt.Strategy):
    """Buys before a rise and sells before a fall, one bar ahead, as a preloaded feed allows."""

    def next(self) -> None:
        rises = len(self.data) < self.data.buflen() and self.data.close[1] > self.data.close[0]
        self.order_target_percent(target=0.5 if rises else 0.0)


class ByTheLastPrice(bt.Strategy):
    """Rests orders that are never filled, at prices that the newest close of all decides: only the orders give it away."""

    def next(self) -> None:
        if len(self.data) % 50 == 0:
            self.buy(
                size=0.01, exectype=bt.Order.Limit, price=0.001 * self.data.close.array[self.data.buflen() - 1], valid=timedelta(hours=2)
            )


def request(folder: Path, strategy: str = "") -> BacktestRequest:
    path = folder / "candles.csv"
    if not path.exists():
        candles(330 * 24, seed=3).reset_index().to_csv(path, index=False)
    words = ["--from", "2022-04-15", "--to", "2022-11-20", "--symbol", "AAA/USDT", "--data", f"AAA/USDT={path}", "--audit"]
    words += ["--strategy", strategy] if strategy else []
    return read_request([*words, *QUICK, "--out", str(folder / "out"), "--set", f"models.save_path={folder / 'models'}"], CLOCK)


def test_the_features_of_the_house_pass() -> None:
    bars = candles(1500, seed=1)
    assert truncation(feature_frame, bars, moments=8, least=3).passed
    assert last_bar_bump(feature_frame, bars).passed


@pytest.mark.parametrize(("name", "function", "leak"), [("tomorrow", tomorrow, Leak.AHEAD), ("z_score", z_score, Leak.WHOLE_SAMPLE)])
def test_a_feature_that_knows_the_future_is_named(monkeypatch: pytest.MonkeyPatch, name: str, function, leak: Leak) -> None:
    monkeypatch.setitem(FEATURES, name, Feature(name, 1, function))
    proof = truncation(feature_frame, candles(1500, seed=2), moments=8, least=3)
    assert (proof.offenders, proof.leak) == ((name,), leak)


@pytest.mark.slow
def test_the_whole_pipeline_is_equal_with_and_without_the_later_bars(tmp_path: Path) -> None:
    asked = request(tmp_path)
    proofs = list(audit(asked, load_markets(asked, CLOCK), lambda _: None))
    by_bits = [
        proof
        for proof in proofs
        if proof.name in ("truncation", "last-bar bump", "newest close", "label shuffle", "label shift", "null market")
    ]
    assert len(proofs) == steps(asked) == 10
    assert [proof.detail for proof in by_bits if not proof.passed] == []


@pytest.mark.slow
def test_a_strategy_that_looks_one_bar_ahead_is_caught(tmp_path: Path) -> None:
    asked = request(tmp_path, "tests.backtest.test_audit:Clairvoyant")
    proof = _Bench(asked, load_markets(asked, CLOCK), tmp_path / "first").foreseen()
    assert (proof.passed, proof.leak, proof.offenders) == (False, Leak.AHEAD, ("fills",))
    honest = request(tmp_path)
    assert _Bench(honest, load_markets(honest, CLOCK), tmp_path / "second").foreseen().passed


@pytest.mark.slow
def test_orders_that_know_the_future_are_caught_though_none_is_filled(tmp_path: Path) -> None:
    asked = request(tmp_path, "tests.backtest.test_audit:ByTheLastPrice")
    bench = _Bench(asked, load_markets(asked, CLOCK), tmp_path / "bench")
    proof = bench.truncated(bench.run(PIPELINE_SPAN), timedelta(days=9))
    assert not proof.passed
    assert proof.detail.startswith("orders: ")


@pytest.mark.slow
def test_a_leak_in_the_pipeline_ends_the_command_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FEATURES, "z_score", Feature("z_score", 1, z_score))
    with pytest.raises(LookAheadFound, match="z_score uses the whole sample"):
        run_audit(request(tmp_path), CLOCK, Console(quiet=True))
    written = json.loads(next((tmp_path / "out").glob("*/audit.json")).read_text())
    assert not written["passed"]
    failed = [proof for proof in written["proofs"] if not proof["passed"]]
    assert any(proof["name"] == "truncation" and "forecasts" in proof["detail"] for proof in failed)
