"""An account's equity curve in one row of numbers: the plain half of `strategy` and `benchmark.*` in `run.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

import pandas as pd

from forwardtrader.reports.manifest import StrategySummary
from forwardtrader.reports.sections.portfolio import CapacityPart, PortfolioSection, SymbolPart
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.portfolio.capacity import capacity
from forwardtrader.reports.statistics.portfolio.contribution import contributions
from forwardtrader.reports.statistics.round_trips import RoundTrip, fees_in_quote, notional, round_trips

# What means nothing of an account that was lost.
RATIOS: Final = ("cagr", "sharpe", "sortino", "volatility", "calmar")
# What means nothing below a month: a day's luck, compounded 365 times.
GROWTH: Final = ("cagr", "calmar")


def summarise_strategy(
    equity: pd.DataFrame, fills: pd.DataFrame, periods_per_year: int, *, start_equity: float | None = None
) -> StrategySummary:
    """Sum up one equity curve and its fills; ratios come from daily returns.

    Args:
        equity: per bar, indexed by bar open (UTC); columns equity and, where known, exposure (signed share of equity).
        fills: as in `artefacts`; may be empty.
        periods_per_year: days of trading in a year, 365 or 252.
        start_equity: cash before the first bar; the first equity value where not given.

    Returns:
        Every plain number; `sharpe_ci psr dsr trials pbo` stay None and are filled in by whoever tests significance.
    """
    curve = equity["equity"]
    start = float(curve.iloc[0]) if start_equity is None and len(curve) else start_equity
    days = metrics.daily(curve)
    returns = metrics.returns_of(days, start)
    plain = _curve_numbers(curve, days, returns, start, periods_per_year) | _share_numbers(equity)
    costs = _cost_numbers(fills, curve, start, years=len(returns) / periods_per_year)
    if "value" in equity:  # deposits: trades are of the account's true size, and the profit holds no deposit
        costs |= {"turnover": metrics.turnover(notional(fills), float(equity["value"].mean()), len(returns) / periods_per_year)}
        costs |= {"break_even_bps": None}
    ruined = metrics.ruin(curve)
    if ruined is not None:
        plain |= dict.fromkeys(RATIOS)
    elif len(returns) < periods_per_year / 12:
        plain |= dict.fromkeys(GROWTH)
    return StrategySummary.model_validate(plain | costs | _trip_numbers(round_trips(fills)) | {"ruined": ruined})


def portfolio_of(
    equity: pd.DataFrame, fills: pd.DataFrame, candles: Mapping[str, pd.DataFrame], periods_per_year: int, start_equity: float
) -> PortfolioSection | None:
    """What each symbol and side contributed and how much money the account would carry; None where nothing was traded.

    Args:
        candles: by symbol, columns close and volume, by bar open (UTC).
    """
    if not len(fills) or not len(equity):
        return None
    end = equity.index[-1]
    last = {symbol: float(frame.loc[:end, "close"].iloc[-1]) for symbol, frame in candles.items() if len(frame.loc[:end])}
    found = capacity(equity["equity"], fills, candles, periods_per_year, start_equity)
    return PortfolioSection(
        symbols=[SymbolPart.model_validate(asdict(each)) for each in contributions(fills, last)],
        capacity=[CapacityPart.model_validate(asdict(row)) for row in found.rows] if found is not None else [],
        exhausted_at=None if found is None else found.exhausted_at,
    )


def _curve_numbers(
    curve: pd.Series, days: pd.Series, returns: pd.Series, start: float | None, periods_per_year: int
) -> dict[str, float | int | None]:
    return {
        "total_return": metrics.total_return(returns),
        "cagr": metrics.cagr(returns, periods_per_year),
        "sharpe": metrics.sharpe(returns, periods_per_year),
        "sortino": metrics.sortino(returns, periods_per_year),
        "volatility": metrics.volatility(returns, periods_per_year),
        # Depth and length are of the bars themselves: a crash that recovers within the day is a drawdown too.
        "max_drawdown": metrics.max_drawdown(curve, start),
        "longest_drawdown_days": metrics.longest_drawdown(curve) / pd.Timedelta(days=1),
        "calmar": metrics.calmar(returns, days, periods_per_year),
        "start_equity": start,
        "final_equity": float(curve.iloc[-1]) if len(curve) else None,
        "days": len(days),
    }


def _share_numbers(equity: pd.DataFrame) -> dict[str, float]:
    if "exposure" not in equity:
        return {}
    return {"exposure": metrics.exposure(equity["exposure"]), "time_in_market": metrics.time_in_market(equity["exposure"])}


def _cost_numbers(fills: pd.DataFrame, curve: pd.Series, start: float | None, *, years: float) -> dict[str, float | int | None]:
    traded = notional(fills)
    fees = float(fees_in_quote(fills).sum())
    slippage = float(fills["slippage"].sum()) if "slippage" in fills else None
    profit = float(curve.iloc[-1]) - start if len(curve) and start is not None else metrics.NAN
    return {
        "fills": len(fills),
        "notional": traded,
        "turnover": metrics.turnover(traded, float(curve.mean()), years) if len(curve) else None,
        "fees": fees,
        "slippage": slippage,
        "break_even_bps": metrics.break_even_bps(profit, fees + (slippage or 0.0), traded),
    }


def _trip_numbers(trips: list[RoundTrip]) -> dict[str, float | int | None]:
    if not trips:
        return {"trades": 0}
    won = sum(trip.profit for trip in trips if trip.profit > 0)
    lost = -sum(trip.profit for trip in trips if trip.profit < 0)
    hours = sum((trip.closed - trip.opened).total_seconds() for trip in trips) / 3600
    return {
        "trades": len(trips),
        "win_rate": sum(trip.profit > 0 for trip in trips) / len(trips),
        "profit_factor": won / lost if lost > 0 else None,
        "mean_hold_hours": hours / len(trips),
    }
