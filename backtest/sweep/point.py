"""One point of a sweep: its account from shared forecasts, and the numbers that are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import result_of
from forwardtrader.backtest.simulation import is_replayable, simulate, tapes_of
from forwardtrader.core.errors import StrategyFailed
from forwardtrader.core.settings import RiskSettings, StrategySettings
from forwardtrader.core.threads import one_thread
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.summary import summarise_strategy
from forwardtrader.strategies.backtrader.assembly import Record
from forwardtrader.strategies.replay import replay

KEPT: Final = (
    *("sharpe", "total_return", "cagr", "sortino", "max_drawdown", "volatility", "trades", "turnover", "fees", "exposure"),
    *("time_in_market", "final_equity", "break_even_bps"),
)


@dataclass(frozen=True)
class PointResult:
    """Plain numbers, the fingerprint of the equity curve, and net daily returns by UTC day.

    A point whose strategy or forecaster failed has neither, and `summary` only says why (`trouble`); so it does of an account that was
    ruined.
    """

    summary: Mapping[str, Any]
    result: str
    returns: pd.Series

    @classmethod
    def failed(cls, error: Exception) -> PointResult:
        """Of a point that came to nothing."""
        return cls({"trouble": str(error)}, "", pd.Series(dtype=np.float64))

    @property
    def trouble(self) -> str:
        """Why the point cannot be chosen; "" for one that can."""
        return str(self.summary.get("trouble", ""))


@dataclass(frozen=True)
class AccountSettings:
    """What points differ by that share their forecasts; `strategy` is the user's with its parameters, "" for ours."""

    strategies: StrategySettings
    risk: RiskSettings
    strategy: str = ""


@dataclass(frozen=True)
class TradeWork:
    """What all points that share their forecasts have in common; it travels to a worker once."""

    markets: Mapping[str, History]
    walk: WalkForward
    request: BacktestRequest
    periods_per_year: int

    @classmethod
    def of(cls, markets: Mapping[str, History], walk: WalkForward, request: BacktestRequest, periods_per_year: int) -> TradeWork:
        """Leaves out what only training needs."""
        panel = replace(walk.panel, features=walk.panel.features[:0], targets=walk.panel.targets[:0])
        return cls(markets, replace(walk, panel=panel), request, periods_per_year)


def trade_point(work: TradeWork, account: AccountSettings) -> PointResult:
    """Trade the forecasts with these settings; an error of the strategy's is the point's trouble, not that of the others."""
    cash = account.strategies.cash
    with one_thread():
        try:
            record = _record(work, account)
        except StrategyFailed as error:
            return PointResult.failed(error)
        summary = summarise_strategy(record.equity, record.fills, work.periods_per_year, start_equity=cash).model_dump()
        returns = metrics.returns_of(metrics.daily(record.equity["equity"]), cash).fillna(0.0)
    kept = {name: summary[name] for name in KEPT}
    if (ruin := metrics.ruin(record.equity["equity"])) is not None:
        kept["trouble"] = f"its account was ruined on {ruin:%Y-%m-%d}"
    return PointResult(kept, result_of(record.equity), returns)


def _record(work: TradeWork, account: AccountSettings) -> Record:
    room = work.request.settings.model_copy(update={"strategies": account.strategies, "risk": account.risk})
    request = replace(work.request, settings=room, strategy=account.strategy)
    if not is_replayable(request):
        return simulate(work.markets, Forecasts(work.walk, pd.DataFrame(), {}), request)
    tapes = tapes_of(work.markets, work.walk, account.strategies.horizon, request.first)
    fills, equity = replay(tapes, account.strategies, room.learning)
    return Record(fills, equity.assign(exposure=1.0 - equity["cash"] / equity["equity"]))
