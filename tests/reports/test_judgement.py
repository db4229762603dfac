"""One call judges a run: its parts fit run.json, equal runs are judged equally, and the verdict errs no more often than it says."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import ReportSettings
from forwardtrader.core.types import Timeframe, Verdict
from forwardtrader.reports.benchmarks import Benchmark, BenchmarkAccount, buy_and_hold, follow
from forwardtrader.reports.judgement import RunFacts, RunJudgement, RunResult, judge_run, score_forecasts, smoothness
from forwardtrader.reports.manifest import StrategySummary
from forwardtrader.reports.sections.forecasts import ForecastScores, SymbolForecast
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts, distances
from forwardtrader.reports.trial_ledger import TrialLedger

QUICK = ReportSettings(bootstrap_samples=100)
HOUR = Timeframe.parse("1h")
SYMBOL = "AAA/USDT"


def market(bars: int, ic: float, seed: int, memory: float = 0.95) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Candles with clustered volatility, the signal known at each close, and the usual move."""
    rng = np.random.default_rng(seed)
    signal, level = np.empty(bars), np.empty(bars)
    noise, shocks = rng.normal(size=bars), rng.normal(0, 0.05, bars)
    signal[0], level[0] = noise[0], 0.0
    for t in range(1, bars):
        signal[t] = memory * signal[t - 1] + math.sqrt(1 - memory**2) * noise[t]
        level[t] = 0.99 * level[t - 1] + shocks[t]
    usual = 0.006 * np.exp(level)
    tails = rng.standard_t(4, bars) / math.sqrt(2)
    returns = np.append(0.0, usual[:-1] * (ic * signal[:-1] + math.sqrt(1 - ic * ic) * tails[1:]))
    close = 30_000 * np.exp(np.cumsum(returns))
    opened = np.append(30_000.0, close[:-1])
    index = pd.date_range("2022-01-01", periods=bars, freq="h", tz="UTC", name="timestamp")
    columns = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close, "volume": 1.0}
    return pd.DataFrame(columns, index=index), signal, usual


def table(candles: pd.DataFrame, location: np.ndarray, usual: np.ndarray, symbol: str = SYMBOL, horizon: int = 1) -> pd.DataFrame:
    logs = np.log(candles["close"])
    usual = usual * math.sqrt(horizon)
    quantiles = {name: location + z * usual for name, z in (("q05", -1.6), ("q25", -0.6), ("q50", 0.0), ("q75", 0.6), ("q95", 1.6))}
    frame = {"timestamp": candles.index, "symbol": symbol, "horizon": horizon, "location": location, "scale": usual, **quantiles}
    more = {"p_up": 0.5 + np.clip(location / usual, -0.3, 0.3), "realised": (logs.shift(-horizon) - logs).to_numpy()}
    return pd.DataFrame({**frame, **more, "model_id": [f"m{row // 700}" for row in range(len(candles))]})


def traded(candles: pd.DataFrame, signal: np.ndarray, account: BenchmarkAccount, symbol: str = SYMBOL) -> Benchmark:
    """Long or flat with hysteresis."""
    return follow(candles, np.where(signal > 0.5, 1.0, np.where(signal < -0.5, 0.0, np.nan)), account, symbol)


def run(bars: int, ic: float, seed: int, *, fee_bps: float = 1.0, symbol: str = SYMBOL) -> RunResult:
    """A forecaster that knows the signal, traded with costs."""
    candles, signal, usual = market(bars, ic, seed)
    account = BenchmarkAccount(cash=10_000.0, fee_bps=fee_bps, slippage_bps=0.0)
    life = traded(candles, signal, account, symbol)
    equity = life.equity.assign(buy_and_hold=buy_and_hold({symbol: candles}, account).equity["equity"])
    forecasts = table(candles, 0.05 * signal * usual, usual, symbol)
    zero = table(candles, 0.0 * usual, usual, symbol).drop(columns=["model_id", "realised"])
    return RunResult(forecasts=forecasts, baselines={"zero": zero}, equity=equity, fills=life.fills, candles={symbol: candles})


def facts(seed: int = 0) -> RunFacts:
    return RunFacts(
        run_id=f"r{seed}", kind="sample", data=f"d{seed}", settings="s", result=f"x{seed}", what="test",
        timeframe=HOUR, periods_per_year=365, start_equity=10_000.0,
    )  # fmt: skip


def judged(result: RunResult, ledger: TrialLedger | None = None, seed: int = 0) -> RunJudgement:
    return judge_run(result, facts(seed), QUICK, ledger)


def earned(life: Benchmark) -> float:
    return metrics.sharpe(metrics.returns_of(metrics.daily(life.equity["equity"]), 10_000.0), 365)


def credited(bars: int, ic: float, seed: int, ledger: TrialLedger | None = None) -> RunJudgement:
    """The whole judgement: the strategy is run on shifted signals too, where the verdict hangs on it."""
    found = judged(run(bars, ic, seed), ledger, seed)
    if not found.hangs_on_shifted_forecasts:
        return found
    candles, signal, _ = market(bars, ic, seed)
    account = BenchmarkAccount(cash=10_000.0, fee_bps=1.0, slippage_bps=0.0)
    lives = [traded(candles, np.roll(signal, distance), account) for distance in distances(bars, 39, seed)]
    sharpes = np.array([earned(life) for life in lives])
    runs = ShiftedForecasts(
        own=earned(traded(candles, signal, account)), sharpes=sharpes, total_returns=sharpes * 0.1, equity=lives[0].equity,
        fills=lives[0].fills, planned=len(lives),
    )  # fmt: skip
    return found.with_shifted(runs, facts(seed))


@pytest.fixture(scope="module")
def planted() -> RunResult:
    return run(6000, 0.1, seed=1)


def test_the_parts_are_those_of_run_json(planted: RunResult, tmp_path: Path) -> None:
    parts = judged(planted, TrialLedger(tmp_path / "t.sqlite")).parts()
    forecast = SymbolForecast.model_validate(parts["forecast"][SYMBOL])
    assert isinstance(forecast.lstm, ForecastScores)
    assert forecast.lstm.rank_ic_ci is not None
    assert set(forecast.baselines) == {"zero"}
    assert forecast.diebold_mariano["zero"].statistic is not None
    strategy = StrategySummary.model_validate(parts["strategy"])
    assert strategy.trials == 1
    assert strategy.dsr == strategy.psr
    assert StrategySummary.model_validate(parts["benchmark"]["random_entries"]).trades > 0
    assert parts["verdict"] in set(Verdict)
    assert parts["not_computed"] == {}


def test_details_stand_beside_the_scores(planted: RunResult) -> None:
    part = judged(planted).forecast[SYMBOL]
    assert part["calibration"]["coverage_90"]["share"] == pytest.approx(0.9, abs=0.03)
    assert {"2022"} <= set(part["by_year"])
    assert {"calm", "normal", "wild", "up", "down"} <= set(part["by_regime"])
    assert len(part["by_fold"]) == 9


def test_equal_runs_are_judged_equally(planted: RunResult) -> None:
    first, second = judged(planted).parts(), judged(planted).parts()
    assert repr(first) == repr(second)


def test_without_a_ledger_the_trials_are_unknown(planted: RunResult) -> None:
    found = judged(planted)
    assert "dsr" not in found.strategy
    assert found.not_computed == {"strategy.dsr": "trials unknown, DSR not computed"}


def test_a_damaged_ledger_leaves_the_trials_unknown(planted: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.write_text("not a database, and long enough to be one " * 100)
    assert judged(planted, TrialLedger(path)).not_computed == {"strategy.dsr": "trials unknown, DSR not computed"}


def test_each_different_run_on_the_market_is_one_more_trial(planted: RunResult, tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "t.sqlite")
    assert [judged(planted, ledger, seed).strategy["trials"] for seed in (0, 0, 1, 2)] == [1, 1, 2, 3]


def test_a_planted_edge_is_found_and_raises_alarms() -> None:
    found = credited(9000, 0.2, seed=2).judgement
    assert found.verdict is Verdict.EDGE
    assert any("look for a leak first" in alarm for alarm in found.alarms)


def test_money_that_is_earned_on_shifted_forecasts_too_is_no_edge(planted: RunResult) -> None:
    found = judged(planted)
    runs = ShiftedForecasts(
        own=found.evidence.sharpe, sharpes=np.full(100, found.evidence.sharpe), total_returns=np.full(100, 0.4), equity=planted.equity,
        fills=planted.fills, planned=100,
    )  # fmt: skip
    told = found.with_shifted(runs, facts())
    assert told.judgement.verdict is not Verdict.EDGE
    assert "would have earned +40.0%" in told.judgement.reasons[-1]
    assert told.strategy["shifted_forecasts_p"] == 1.0
    assert StrategySummary.model_validate(told.parts()["benchmark"]["shifted_forecasts"]).trades > 0


def test_runs_that_ended_early_are_no_sample_to_take_a_mean_of(planted: RunResult) -> None:
    found = judged(planted)
    runs = ShiftedForecasts(
        own=1.0, sharpes=np.array([0.2, 3.0]), total_returns=np.array([0.1, 9.0]), equity=planted.equity, fills=planted.fills, planned=39
    )
    told = found.with_shifted(runs, facts())
    assert told.judgement.reasons[-1] == (
        "the forecasts did not earn it: one of the first 2 runs on the same forecasts shifted in time did at least as well"
    )
    assert told.judgement.verdict is not Verdict.EDGE
    assert told.strategy["shifted_forecasts_p"] is None
    assert "strategy.shifted_forecasts_p" in told.not_computed
    assert "shifted_forecasts" not in told.benchmark


def test_costs_above_the_edge_take_it_away() -> None:
    found = judged(run(9000, 0.05, seed=3, fee_bps=150.0)).judgement
    assert found.verdict is Verdict.NO_EDGE
    assert "did not earn money" in found.reasons[-1]


def test_a_strategy_that_does_not_look_at_the_forecasts_gets_no_credit_for_them(planted: RunResult) -> None:
    found = judged(replace(planted, reads_forecasts=False))
    assert found.forecast[SYMBOL]["lstm"]["n"] > 0
    assert not any("forecast" in reason for reason in found.judgement.reasons)
    assert not found.hangs_on_shifted_forecasts


def test_few_bars_are_not_enough_data() -> None:
    assert judged(run(500, 0.1, seed=4)).judgement.verdict is Verdict.NOT_ENOUGH_DATA


def test_a_strategy_that_never_traded_has_no_edge(planted: RunResult) -> None:
    idle = RunResult(
        forecasts=planted.forecasts, baselines={}, equity=planted.equity.assign(equity=10_000.0), fills=planted.fills.iloc[:0],
        candles=planted.candles,
    )  # fmt: skip
    found = judged(idle)
    assert found.judgement.verdict is Verdict.NO_EDGE
    assert "nothing was traded" in found.judgement.reasons[-1]
    assert found.benchmark == {}


def test_a_strategy_without_forecasts_is_judged_too(planted: RunResult) -> None:
    bare = RunResult(
        forecasts=planted.forecasts.iloc[:0], baselines={}, equity=planted.equity, fills=planted.fills, candles=planted.candles
    )
    found = judged(bare)
    assert found.forecast == {}
    assert found.judgement.verdict in set(Verdict)


def test_several_symbols_and_horizons_each_have_their_scores() -> None:
    candles, signal, usual = market(3000, 0.1, 5)
    other, signal2, usual2 = market(3000, 0.1, 6)
    forecasts = pd.concat(
        [
            table(candles, 0.05 * signal * usual, usual, "A/B"),
            table(candles, 0.05 * signal * usual, usual, "A/B", 24),
            table(other, 0.05 * signal2 * usual2, usual2, "C/D"),
            table(other, 0.05 * signal2 * usual2, usual2, "C/D", 24),
        ]
    )
    one = run(3000, 0.1, 5)
    result = RunResult(
        forecasts=forecasts, baselines={}, equity=one.equity, fills=one.fills.assign(symbol="A/B"), candles={"A/B": candles, "C/D": other}
    )
    part = judged(result).forecast
    assert set(part) == {"A/B", "C/D"} and "across_symbols" not in part["A/B"]
    assert part["A/B"]["horizon"] == 1
    assert part["C/D"]["horizons"]["24"]["lstm"]["n"] == 3000 - 24 - 168  # the first week has no usual move yet


def test_three_symbols_and_more_are_ranked_against_one_another() -> None:
    markets = {symbol: market(600, 0.3, seed) for seed, symbol in enumerate(("A/B", "C/D", "E/F"))}
    forecasts = pd.concat([table(candles, 0.05 * signal * usual, usual, s) for s, (candles, signal, usual) in markets.items()])
    result = RunResult(
        forecasts=forecasts, baselines={}, equity=pd.DataFrame(), fills=pd.DataFrame(), candles={s: c for s, (c, *_) in markets.items()}
    )
    part = score_forecasts(result, HOUR, QUICK).part
    told = SymbolForecast.model_validate(part["A/B"]).across_symbols
    assert told is not None and told == SymbolForecast.model_validate(part["E/F"]).across_symbols
    assert told.symbols == 3 and told.bars > 400
    assert told.rank_ic is not None and told.rank_ic > 0.1 and told.rank_ic_ci is not None and (told.p or 0.0) < 0.01


def test_a_sweep_brings_the_probability_of_overfitting() -> None:
    result = run(6000, 0.0, seed=7)
    days = 250
    sweep = pd.DataFrame(np.random.default_rng(0).normal(0, 0.02, (days, 12)))
    found = judge_run(
        RunResult(forecasts=result.forecasts, baselines={}, equity=result.equity, fills=result.fills, candles=result.candles, sweep=sweep),
        facts(), QUICK, None,
    )  # fmt: skip
    assert 0.0 <= found.strategy["pbo"] <= 1.0


def test_a_straight_line_is_smooth_and_a_random_walk_is_not() -> None:
    index = pd.date_range("2022-01-01", periods=500, freq="D", tz="UTC")
    noise = np.random.default_rng(8).normal(0, 0.02, 500)
    assert smoothness(pd.Series(np.exp(0.001 * np.arange(500)), index=index)) > 0.999
    assert smoothness(pd.Series(np.exp(np.cumsum(noise)), index=index)) < 0.95
    assert math.isnan(smoothness(pd.Series(1.0, index=index)))


@pytest.mark.slow
def test_null_markets_are_called_an_edge_in_at_most_five_of_a_hundred(tmp_path: Path) -> None:
    """Every market is tried once, so the deflated ratio is the probabilistic one: the least protected case."""
    ledger = TrialLedger(tmp_path / "t.sqlite")
    verdicts = [credited(6000, 0.0, seed, ledger).judgement.verdict for seed in range(200)]
    assert sum(verdict is Verdict.EDGE for verdict in verdicts) <= 10


@pytest.mark.slow
def test_planted_markets_are_called_an_edge_in_at_least_eighty_of_a_hundred(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path / "t.sqlite")
    verdicts = [credited(6000, 0.12, seed + 1000, ledger).judgement.verdict for seed in range(50)]
    assert sum(verdict is Verdict.EDGE for verdict in verdicts) >= 40


def cut(result: RunResult, first: int, last: int) -> RunResult:
    """The same run over a few of its bars, its candles whole."""
    index = result.equity.index[first:last]
    inside = result.forecasts["timestamp"].isin(index)
    fills = result.fills.loc[pd.to_datetime(result.fills["timestamp"], utc=True).isin(index)].reset_index(drop=True)
    return RunResult(
        forecasts=result.forecasts.loc[inside].reset_index(drop=True), baselines=result.baselines, equity=result.equity.loc[index],
        fills=fills, candles=result.candles,
    )  # fmt: skip


@pytest.mark.parametrize("bars", [1, 2, 5, 30, 200])
def test_a_run_of_a_few_bars_is_judged_without_complaint(planted: RunResult, bars: int) -> None:
    found = judged(cut(planted, 1000, 1000 + bars))
    assert found.judgement.verdict is Verdict.NOT_ENOUGH_DATA
    assert found.forecast[SYMBOL]["lstm"]["n"] == bars


def test_outcomes_that_are_all_unknown_are_judged_without_complaint(planted: RunResult) -> None:
    short = cut(planted, 1000, 1010)
    unknown = RunResult(
        forecasts=short.forecasts.assign(realised=np.nan), baselines=short.baselines, equity=short.equity, fills=short.fills,
        candles=short.candles,
    )  # fmt: skip
    found = judged(unknown)
    assert found.judgement.verdict is Verdict.NOT_ENOUGH_DATA
    assert found.forecast[SYMBOL]["lstm"]["n"] == 0


def test_a_market_that_stands_still_is_judged_without_complaint() -> None:
    candles, _, usual = market(2000, 0.0, seed=9)
    still = candles.assign(open=100.0, high=100.0, low=100.0, close=100.0)
    life = follow(still, np.tile([1.0, 0.0], 1000), BenchmarkAccount(cash=10_000.0, fee_bps=10.0, slippage_bps=2.0), SYMBOL)
    forecasts = table(still, 0.01 * usual, usual)
    found = judged(RunResult(forecasts=forecasts, baselines={}, equity=life.equity, fills=life.fills, candles={SYMBOL: still}))
    assert found.judgement.verdict in (Verdict.NO_EDGE, Verdict.NOT_ENOUGH_DATA)


def test_an_account_that_was_lost_is_judged_without_complaint(planted: RunResult) -> None:
    lost = planted.equity.copy()
    lost.iloc[3000:, lost.columns.get_loc("equity")] = 0.0
    found = judged(
        RunResult(forecasts=planted.forecasts, baselines={}, equity=lost, fills=planted.fills.iloc[:10], candles=planted.candles)
    )
    assert found.judgement.verdict is Verdict.NO_EDGE


def test_baselines_are_ranked_in_the_scale_of_the_lstm_and_keep_their_own_band(planted: RunResult) -> None:
    own = planted.forecasts.drop(columns=["model_id", "realised"])
    wide = {"scale": 0.01, "q05": own["location"] - 0.1, "q95": own["location"] + 0.1}
    part = judged(replace(planted, baselines={"twin": own.assign(**wide)})).forecast[SYMBOL]
    assert part["baselines"]["twin"]["accuracy_top10"] == part["lstm"]["accuracy_top10"]
    assert part["baselines"]["twin"]["accuracy_top10_ci"] == pytest.approx(part["lstm"]["accuracy_top10_ci"])
    assert part["baselines"]["twin"]["coverage_90"] > part["lstm"]["coverage_90"]
