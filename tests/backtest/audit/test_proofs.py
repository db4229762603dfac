"""The audit passes an honest pipeline and names what was planted in it."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest
from rich.console import Console

from forwardtrader.backtest.audit.command import run_audit
from forwardtrader.backtest.audit.proofs import PIPELINE_SPAN, _Bench, audit, features_of, steps
from forwardtrader.backtest.audit.strategy_proofs import FEWEST_FILLS, strategy_proofs
from forwardtrader.backtest.cli import command
from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import LookAheadFound
from forwardtrader.core.types import Timeframe
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult, Proof, last_bar_bump, truncation, untested
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES
from forwardtrader.models.features.feature import Feature
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


FEATURE_FRAME = partial(features_of, entries=(), timeframe=Timeframe.parse("1h"))


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
    assert truncation(FEATURE_FRAME, bars, moments=8, least=3).passed
    assert last_bar_bump(FEATURE_FRAME, bars).passed


@pytest.mark.parametrize(("name", "function", "leak"), [("tomorrow", tomorrow, Leak.AHEAD), ("z_score", z_score, Leak.WHOLE_SAMPLE)])
def test_a_feature_that_knows_the_future_is_named(monkeypatch: pytest.MonkeyPatch, name: str, function, leak: Leak) -> None:
    monkeypatch.setitem(FEATURES, name, Feature(name, 1, function))
    proof = truncation(FEATURE_FRAME, candles(1500, seed=2), moments=8, least=3)
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
    assert len(proofs) == steps(asked) == 11
    assert [proof.detail for proof in by_bits if proof.result is LookAheadResult.FAILED] == []


@pytest.mark.slow
def test_a_strategy_that_looks_one_bar_ahead_is_caught(tmp_path: Path) -> None:
    asked = request(tmp_path, "tests.backtest.audit.test_proofs:Clairvoyant")
    bench = _Bench(asked, load_markets(asked, CLOCK), tmp_path / "first")
    proof = list(strategy_proofs(bench.traded(bench.run(PIPELINE_SPAN))))[-1]
    assert (proof.name, proof.result, proof.leak, proof.offenders) == ("newest close", LookAheadResult.FAILED, Leak.AHEAD, ("orders",))


@pytest.mark.slow
def test_orders_that_know_the_future_are_caught_though_none_is_filled(tmp_path: Path) -> None:
    asked = request(tmp_path, "tests.backtest.audit.test_proofs:ByTheLastPrice")
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


class Seldom(bt.Strategy):
    """Trades every eight days."""

    def next(self) -> None:
        if len(self.data) % 192 == 0:
            self.order_target_percent(target=0.5 if len(self.data) // 192 % 2 else 0.0)


class TwoFills(bt.Strategy):
    """Buys once and sells once."""

    def next(self) -> None:
        moment = f"{self.data.datetime.datetime(0):%m-%d %H}"
        if moment in ("11-01 00", "11-04 00"):
            self.order_target_percent(target=0.5 if moment.startswith("11-01") else 0.0)


@pytest.mark.slow
def test_a_strategy_that_trades_seldom_is_given_a_longer_span(tmp_path: Path) -> None:
    asked = request(tmp_path, "tests.backtest.audit.test_proofs:Seldom")
    bench = _Bench(asked, load_markets(asked, CLOCK), tmp_path / "bench")
    whole = bench.run(PIPELINE_SPAN)
    assert whole.record is not None and len(whole.record.fills) < FEWEST_FILLS
    found = bench.traded(whole)
    assert found.fills >= FEWEST_FILLS
    assert found.request.first == asked.first
    assert {proof.result for proof in strategy_proofs(found)} == {LookAheadResult.PASSED}


@pytest.mark.slow
def test_the_command_does_not_clear_a_strategy_with_two_fills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = request(tmp_path, "tests.backtest.audit.test_proofs:TwoFills")
    words = shlex.split(asked.command)[2:]
    assert command([word for word in words if word != "--quiet"], CLOCK) == 3
    out, err = capsys.readouterr()
    shown = " ".join(out.split())
    assert "NOT TESTABLE newest close: strategy: 2 fills from 2022-04-15 to 2022-11-2" in shown
    assert "no look-ahead found" not in shown + err
    assert err.startswith("audit incomplete: ") and "2 fills" in err
    written = json.loads(next((tmp_path / "out").glob("*/audit.json")).read_text())
    assert (written["passed"], written["result"]) == (False, "not testable")
    ours = [proof for proof in written["proofs"] if proof["detail"].startswith("strategy: ")]
    assert [(proof["passed"], proof["testable"], proof["result"]) for proof in ours] == [(False, False, "not testable")] * 2


PASSED = Proof(name="truncation", passed=True, detail="equal")
FAILED = Proof(name="newest close", passed=False, detail="looks ahead", leak=Leak.AHEAD)
OPEN = untested("newest close", "strategy: 2 fills")


@pytest.mark.parametrize(
    ("proofs", "code", "result", "last"),
    [
        ([PASSED, PASSED], 0, "passed", "2 proofs passed, no look-ahead found; written to "),
        ([PASSED, OPEN], 3, "not testable", "audit incomplete: 1 of 2 proofs were not testable, first the newest close: strategy: 2 "),
        ([OPEN, OPEN], 3, "not testable", "audit incomplete: 2 of 2 proofs were not testable"),
        ([OPEN, FAILED, PASSED], 2, "failed", "1 of 3 proofs failed, first the newest close: looks ahead"),
    ],
)
def test_only_an_audit_whose_every_proof_passed_is_a_clean_bill(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    proofs: list[Proof],
    code: int,
    result: str,
    last: str,
) -> None:
    monkeypatch.setattr("forwardtrader.backtest.audit.command.audit", lambda *_: iter(proofs))
    words = shlex.split(request(tmp_path).command)[2:]
    assert command([word for word in words if word != "--quiet"], CLOCK) == code
    out, err = capsys.readouterr()
    assert last in " ".join((out + err).split())
    assert ("no look-ahead found" in out + err) == (result == "passed")
    written = json.loads(next((tmp_path / "out").glob("*/audit.json")).read_text())
    assert (written["result"], written["passed"]) == (result, result == "passed")
    assert [proof["result"] for proof in written["proofs"]] == [proof.result for proof in proofs]
