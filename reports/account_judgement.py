"""Statistical tests of an account's equity curve against luck: what `run.json` adds to its plain numbers."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.errors import StoreDamaged
from forwardtrader.core.settings import ReportSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.break_even import break_even_accuracy
from forwardtrader.reports.statistics.random_entries import ExposurePath, RandomEntries, compare, exposure_path
from forwardtrader.reports.statistics.selection.overfitting import backtest_overfitting
from forwardtrader.reports.statistics.selection.reality_check import superior_predictive_ability
from forwardtrader.reports.statistics.sharpe_tests import (
    SharpeMoments,
    benchmark_of_tries,
    deflated_sharpe,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sharpe_interval,
    sharpe_moments,
)
from forwardtrader.reports.summary import summarise_strategy
from forwardtrader.reports.trial_ledger import Trial, TrialLedger, Tries, landmarks_of
from forwardtrader.reports.trial_reruns import OpenEnd

RANDOM_PATHS: Final = 500


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """Identity of a run as a trial.

    `data` and `settings` are fingerprints of the candles and of everything that was chosen, `result` one of what came out, `what` is a
    short description. `choice` is that of everything chosen but the end, and empty where an end was named. `periods_per_year` counts
    days, 365 or 252; `start_equity` is the cash before the first bar.
    """

    run_id: str
    kind: str
    data: str
    settings: str
    result: str
    what: str
    timeframe: Timeframe
    periods_per_year: int
    start_equity: float
    choice: str = ""

    def open_end(self, candles: Mapping[str, pd.DataFrame], daily: pd.Series) -> OpenEnd | None:
        """What the run is known by when it is run again after more bars."""
        return OpenEnd(choice=self.choice, candles=candles, daily=daily) if self.choice else None


@dataclass(frozen=True, kw_only=True)
class AccountRecord:
    """Account: `equity`, `fills` as in `reports.artefacts`, whole `candles` per symbol, `sweep` net daily returns per point, `charges` as
    for `exposure_path`."""

    equity: pd.DataFrame
    fills: pd.DataFrame
    candles: Mapping[str, pd.DataFrame]
    facts: RunFacts
    sweep: pd.DataFrame | None = None
    charges: Mapping[str, pd.Series] = field(default_factory=dict)

    @property
    def daily(self) -> Floats:
        """Net simple returns per day, the first one against the starting cash."""
        return self._daily(self.equity["equity"])

    @property
    def by_day(self) -> pd.Series:
        """The same with its days."""
        return metrics.returns_of(metrics.daily(self.equity["equity"]), self.facts.start_equity)

    def _daily(self, curve: pd.Series) -> Floats:
        returns = metrics.returns_of(metrics.daily(curve), self.facts.start_equity)
        return np.asarray(np.nan_to_num(returns.to_numpy(dtype=np.float64)))

    def curve(self, entries: RandomEntries) -> pd.Series:
        """The equity of the median random path."""
        return pd.Series(self.facts.start_equity * np.cumprod(1.0 + entries.net), index=self.equity.index, name="equity")

    def rivals(self, entries: RandomEntries) -> dict[str, Floats]:
        """Daily returns of what the strategy has to beat."""
        days = len(metrics.daily(self.equity["equity"]))
        found = {"cash": np.zeros(days)}
        if "buy_and_hold" in self.equity:
            found["buy_and_hold"] = self._daily(self.equity["buy_and_hold"])
        if entries.samples:
            found["random_entries"] = self._daily(self.curve(entries))
        return found


@dataclass(frozen=True, kw_only=True)
class AccountTests:
    """Test results; `tries` is None where the trials cannot be counted, `pbo` NaN without a sweep."""

    returns: Floats
    moments: SharpeMoments
    path: ExposurePath
    entries: RandomEntries
    tries: Tries | None
    sharpe_ci: tuple[float, float]
    spa: Mapping[str, float]
    pbo: float

    @property
    def psr(self) -> float:
        return probabilistic_sharpe(self.moments)

    @property
    def dsr(self) -> float:
        tries = self.tries
        return math.nan if tries is None else deflated_sharpe(self.moments, tries.trials, tries.variance, effective=tries.effective)


def examine(account: AccountRecord, settings: ReportSettings, ledger: TrialLedger | None, *, seed: int = 0) -> AccountTests:
    """Run every test on an account, and enter it into the ledger as a trial."""
    returns = account.daily
    moments = sharpe_moments(returns)
    path = exposure_path(account.equity, account.fills, account.candles, account.charges)
    entries = compare(path, samples=RANDOM_PATHS, seed=seed)
    return AccountTests(
        returns=returns,
        moments=moments,
        path=path,
        entries=entries,
        tries=count_trials(account, moments, ledger),
        sharpe_ci=sharpe_interval(
            returns, account.facts.periods_per_year, samples=settings.bootstrap_samples, confidence=settings.confidence, seed=seed
        ),
        spa=_superior(account, returns, entries, seed),
        pbo=math.nan if account.sweep is None else backtest_overfitting(account.sweep.to_numpy(dtype=np.float64)).pbo,
    )


def count_trials(account: AccountRecord, moments: SharpeMoments, ledger: TrialLedger | None) -> Tries | None:
    """Enter the run, then count all trials on these markets, itself among them; None where that cannot be done."""
    if ledger is None:
        return None
    facts, index = account.facts, account.equity.index
    marks = {symbol: landmarks_of(frame.loc[index[0] : index[-1]]) for symbol, frame in account.candles.items()}
    trial = Trial(
        run_id=facts.run_id,
        symbols=tuple(account.candles),
        kind=facts.kind,
        data=facts.data,
        settings=facts.settings,
        result=facts.result,
        what=facts.what,
        moments=moments,
        periods_per_year=facts.periods_per_year,
        landmarks=marks,
        open_end=facts.open_end(account.candles, account.by_day),
    )
    try:
        ledger.record(trial)
        return ledger.tries_on(marks, facts.periods_per_year)
    except StoreDamaged as error:
        log.event(log.logger("reports"), "trials_unknown", logging.WARNING, reason=str(error))
        return None


def _superior(account: AccountRecord, returns: Floats, entries: RandomEntries, seed: int) -> dict[str, float]:
    """SPA p-values of the strategy, or of the best of a sweep, over each rival."""
    own = returns[:, None]
    if account.sweep is not None and len(account.sweep) == len(returns):
        own = np.column_stack([own, np.nan_to_num(account.sweep.to_numpy(dtype=np.float64))])
    return {name: superior_predictive_ability(rival, own, seed=seed).p for name, rival in account.rivals(entries).items()}


def strategy_part(tests: AccountTests, account: AccountRecord, settings: ReportSettings) -> dict[str, Any]:
    """What statistics add to `strategy` in run.json; Sharpe ratios are annual, track records in years."""
    year = account.facts.periods_per_year
    if metrics.ruin(account.equity["equity"]) is not None:  # a return on what was less than nothing is no return
        return {"bets": tests.path.bets, "bars_traded": tests.path.bars_traded, "trials": tests.tries.trials if tests.tries else None}
    part: dict[str, Any] = {
        "sharpe_ci": tests.sharpe_ci,
        "psr": tests.psr,
        "skew": tests.moments.skew,
        "kurtosis": tests.moments.kurtosis,
        "minimum_track_record_years": minimum_track_record(tests.moments, confidence=settings.confidence) / year,
        "bets": tests.path.bets,
        "bars_traded": tests.path.bars_traded,
        "mean_absolute_move": tests.path.mean_move,
        "round_trip_cost": tests.path.round_trip_cost,
        "break_even_accuracy": break_even_accuracy(tests.path.mean_move, tests.path.round_trip_cost),
        "random_entries_p": tests.entries.p,
        "spa_p": dict(tests.spa),
        "pbo": tests.pbo,
    }
    if tests.tries is not None:
        trials, variance, effective = tests.tries.trials, tests.tries.variance, tests.tries.effective
        part |= {
            "dsr": tests.dsr,
            "trials": trials,
            "expected_best_sharpe": benchmark_of_tries(tests.moments, trials, variance, effective) * math.sqrt(year),
            "minimum_backtest_years": minimum_backtest_years(trials),
        }
        part |= {} if effective is None else {"effective_trials": effective}
    return part


def random_entries_part(account: AccountRecord, tests: AccountTests) -> dict[str, Any]:
    """`benchmark.random_entries`: the random path with the median Sharpe ratio, in the keys of the strategy; empty without trades."""
    facts, entries = account.facts, tests.entries
    if not entries.samples:
        return {}
    equity = pd.DataFrame({"equity": account.curve(entries)})
    plain = summarise_strategy(equity, account.fills.iloc[:0], facts.periods_per_year, start_equity=facts.start_equity).model_dump()
    own = summarise_strategy(account.equity, account.fills, facts.periods_per_year, start_equity=facts.start_equity)
    # The same trades at other times: what they number and cost is the strategy's own.
    same = {
        name: getattr(own, name) for name in ("trades", "turnover", "fees", "slippage", "exposure", "time_in_market", "fills", "notional")
    }
    annual = math.sqrt(facts.periods_per_year * max(facts.timeframe.bars_per_day, 1.0))
    low, high = np.quantile(entries.sharpes[np.isfinite(entries.sharpes)], [0.05, 0.95]) * annual
    return plain | same | {"samples": entries.samples, "sharpe_range_90": (float(low), float(high))}
