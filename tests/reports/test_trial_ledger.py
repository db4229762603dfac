"""The ledger counts what was tried, once, from any number of processes, and never forgets."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import StoreDamaged
from forwardtrader.reports.statistics.sharpe_tests import SharpeMoments, sharpe_moments
from forwardtrader.reports.trial_ledger import Trial, TrialLedger, landmarks_of, main


def prices(seed: int = 0, start: str = "2022-01-01", days: int = 400) -> pd.Series:
    index = pd.date_range("2020-01-01", periods=2000, freq="D", tz="UTC")
    walk = pd.Series(30_000 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.03, 2000))), index=index)
    return walk.loc[start:].iloc[:days]


def trial(settings: str, *, sharpe: float = 0.05, marks: pd.Series | None = None, symbol: str = "BTC/USDT", result: str = "r") -> Trial:
    return Trial(
        run_id=f"run-{settings}",
        symbols=(symbol,),
        kind="real",
        data="d",
        settings=settings,
        result=result,
        what=f"tried {settings}",
        moments=SharpeMoments(sharpe=sharpe, skew=0.0, kurtosis=3.0, periods=400),
        periods_per_year=365,
        landmarks={symbol: prices() if marks is None else marks},
    )


@pytest.fixture
def ledger(tmp_path: Path) -> TrialLedger:
    return TrialLedger(tmp_path / "trials.sqlite", FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))


def test_every_different_setting_is_a_trial(ledger: TrialLedger) -> None:
    for name in "abc":
        assert ledger.record(trial(name))
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).trials == 3


def test_no_secret_of_a_parameter_is_kept_or_shown(
    ledger: TrialLedger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = "x.py:Mine(api_token='t0ken', note='Kk01Kk02Kk03')"
    monkeypatch.setenv("SOME_API_KEY", "Kk01Kk02Kk03")
    ledger.record(replace(trial("a"), what=told))
    assert b"t0ken" not in ledger.path.read_bytes() and b"Kk01" not in ledger.path.read_bytes()
    monkeypatch.delenv("SOME_API_KEY")
    ledger.record(replace(trial("b"), what=told))
    monkeypatch.setenv("SOME_API_KEY", "Kk01Kk02Kk03")
    assert b"Kk01" in ledger.path.read_bytes(), "as an earlier version may have kept one"
    for more in ([], ["--json"]):
        assert main(["--ledger", str(ledger.path), *more]) == 0
        shown = capsys.readouterr().out
        assert "t0ken" not in shown and "Kk01" not in shown and "**" in shown


def test_an_equal_rerun_is_no_new_trial(ledger: TrialLedger) -> None:
    assert ledger.record(trial("a"))
    assert not ledger.record(trial("a"))
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).trials == 1


def test_equal_settings_with_another_outcome_are_a_new_trial(ledger: TrialLedger) -> None:
    assert ledger.record(trial("a"))
    assert ledger.record(trial("a", result="after a change of code"))


def portfolio(*symbols: str, sharpe: float, result: str) -> Trial:
    chosen = "portfolio of " + ", ".join(sorted(symbols))
    own = {symbol: prices(seed) for seed, symbol in enumerate(sorted(symbols))}
    return replace(trial(chosen, sharpe=sharpe, result=result), symbols=symbols, landmarks=own)


def test_the_same_symbols_in_another_order_are_the_same_trial_and_another_set_is_another(ledger: TrialLedger) -> None:
    assert ledger.record(portfolio("BTC/USDT", "ETH/USDT", sharpe=0.05, result="r"))
    assert not ledger.record(portfolio("ETH/USDT", "BTC/USDT", sharpe=0.05 * (1 + 1e-13), result="other last digits"))
    assert ledger.record(portfolio("BTC/USDT", "ETH/USDT", sharpe=0.0501, result="other code"))
    assert ledger.record(portfolio("BTC/USDT", "ETH/USDT", "ADA/USDT", sharpe=0.05, result="r"))
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).trials == 3


def test_a_trial_that_was_looked_at_at_many_boundaries_counts_as_often(ledger: TrialLedger) -> None:
    assert ledger.record(replace(trial("a"), looks=12))
    assert not ledger.record(replace(trial("a"), looks=13))
    assert not ledger.record(replace(trial("a"), looks=5))
    ledger.record(trial("b"))
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).trials == 14
    assert ledger.table().set_index("settings")["looks"].to_dict() == {"a": 13, "b": 1}


def test_trials_of_a_sweep_are_worth_what_their_likeness_says_and_others_count_in_full(ledger: TrialLedger) -> None:
    for name in ("swept", "alone"):
        ledger.record(trial(name))
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).effective is None
    ledger.record(replace(trial("swept", result="b"), looks=20))
    ledger.note_likeness("run-swept", 9.0)
    ledger.note_likeness("run-swept", 3.5)
    found = ledger.tries_on({"BTC/USDT": prices()}, 365)
    assert (found.trials, found.effective) == (22, 4.5)


def test_likeness_makes_no_more_trials_than_there_are(ledger: TrialLedger) -> None:
    ledger.record(trial("a"))
    ledger.note_likeness("run-a", 7.0)
    assert ledger.tries_on({"BTC/USDT": prices()}, 365).effective == 1


def test_the_variance_is_that_of_the_sharpe_ratios(ledger: TrialLedger) -> None:
    for name, sharpe in (("a", 0.01), ("b", 0.05), ("c", -0.03)):
        ledger.record(trial(name, sharpe=sharpe))
    assert ledger.tries_on({"x": prices()}, 365).variance == pytest.approx(np.var([0.01, 0.05, -0.03], ddof=1))


def test_sharpe_ratios_of_other_periods_are_converted(ledger: TrialLedger) -> None:
    ledger.record(trial("a", sharpe=0.1))
    ledger.record(trial("b", sharpe=0.2))
    assert ledger.tries_on({"x": prices()}, 365 / 4).variance == pytest.approx(4 * np.var([0.1, 0.2], ddof=1))


def test_a_window_that_overlaps_is_the_same_market_and_one_that_does_not_is_not(ledger: TrialLedger) -> None:
    ledger.record(trial("a", marks=prices(start="2022-01-01", days=100)))
    assert ledger.tries_on({"x": prices(start="2022-03-01", days=300)}, 365).trials == 1
    assert ledger.tries_on({"x": prices(start="2022-09-01", days=300)}, 365).trials == 0


def test_the_same_coin_on_another_venue_is_the_same_market(ledger: TrialLedger) -> None:
    ledger.record(trial("a"))
    elsewhere = prices() * np.exp(np.random.default_rng(9).normal(0, 0.003, 400))
    assert ledger.tries_on({"BTC/USD": elsewhere}, 365).trials == 1


def test_a_simulated_market_under_a_real_name_is_another_market(ledger: TrialLedger) -> None:
    ledger.record(trial("a"))
    assert ledger.tries_on({"BTC/USDT": prices(seed=5)}, 365).trials == 0


def test_any_symbol_in_common_makes_the_market_common(ledger: TrialLedger) -> None:
    ledger.record(trial("a"))
    assert ledger.tries_on({"ETH/USDT": prices(seed=7), "BTC/USDT": prices()}, 365).trials == 1


def test_nothing_can_be_taken_out_or_changed(ledger: TrialLedger) -> None:
    ledger.record(trial("a"))
    with sqlite3.connect(ledger.path) as connection:
        for statement in ("DELETE FROM trials", "UPDATE trials SET sharpe = 9"):
            with pytest.raises(sqlite3.IntegrityError, match="only grows"):
                connection.execute(statement)
    connection.close()


def test_a_trial_without_a_sharpe_ratio_counts_too(ledger: TrialLedger) -> None:
    ledger.record(trial("a", sharpe=float("nan")))
    assert ledger.tries_on({"x": prices()}, 365).trials == 1


def test_an_empty_ledger_knows_of_no_trial(ledger: TrialLedger) -> None:
    assert ledger.tries_on({"x": prices()}, 365).trials == 0
    assert not ledger.path.exists()


def test_a_file_that_is_no_ledger_says_so(tmp_path: Path) -> None:
    path = tmp_path / "trials.sqlite"
    path.write_text("not a database, but long enough to be looked at as one " * 40)
    with pytest.raises(StoreDamaged, match="move it away"):
        TrialLedger(path).record(trial("a"))


def _write_twenty(arguments: tuple[str, int]) -> int:
    path, worker = arguments
    return sum(TrialLedger(Path(path)).record(trial(f"{worker}-{k}")) for k in range(20))


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "trials.sqlite")
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_write_twenty, [(path, worker) for worker in range(3)]) == [20, 20, 20]
    assert len(TrialLedger(Path(path)).table()) == 60


def test_landmarks_are_the_first_close_of_each_day() -> None:
    index = pd.date_range("2022-01-01", periods=48, freq="h", tz="UTC")
    marks = landmarks_of(pd.DataFrame({"close": np.arange(48.0)}, index=index))
    assert marks.tolist() == [0.0, 24.0]


def test_the_listing_shows_every_trial(ledger: TrialLedger, capsys: pytest.CaptureFixture[str]) -> None:
    ledger.record(trial("a", sharpe=0.1))
    assert main(["--ledger", str(ledger.path)]) == 0
    assert "BTC/USDT" in capsys.readouterr().out
    assert main(["--ledger", str(ledger.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sharpe"] == pytest.approx(0.1 * 365**0.5)


def test_the_listing_of_no_ledger_says_there_are_no_trials(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--ledger", str(tmp_path / "none.sqlite")]) == 0
    assert "no trials yet" in capsys.readouterr().out


def test_moments_of_a_trial_come_back_as_they_were(ledger: TrialLedger) -> None:
    moments = sharpe_moments(np.random.default_rng(1).normal(0.001, 0.02, 400))
    ledger.record(trial("a", sharpe=moments.sharpe))
    assert ledger.table()["sharpe"].iloc[0] == pytest.approx(moments.sharpe * 365**0.5)
