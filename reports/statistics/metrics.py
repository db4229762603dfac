"""Return and risk metrics of an equity curve.

Every function is pure and works on simple returns per period (0.01 is one per cent) or on equity in account currency. Nothing is
annualised in silence: `periods_per_year` is 365 for a market that never closes and 252 for one with trading days, when periods are days.
A number that cannot be computed (no variation, too few periods) is NaN, never zero.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import pandas as pd

NAN: Final = float("nan")
# Rounding noise of a float64 sum: a deviation below this share of the mean size is no variation at all.
_NO_VARIATION: Final = 1e-12


def daily(equity: pd.Series) -> pd.Series:
    """The last value of each UTC day that has a bar; index is the day's midnight (UTC)."""
    return equity.groupby(pd.DatetimeIndex(equity.index).floor("D")).last()


def returns_of(equity: pd.Series, start: float | None = None) -> pd.Series:
    """Simple returns `e[t] / e[t-1] - 1`; with `start` (cash before the first bar) the first bar has a return too."""
    before = equity.shift(1)
    if start is None:
        return (equity / before - 1.0).iloc[1:]
    if len(before):
        before.iloc[0] = start
    return equity / before - 1.0


def total_return(returns: pd.Series) -> float:
    """`prod(1 + r) - 1`; 0 where nothing was earned or lost, NaN without periods."""
    return float(np.prod(1.0 + returns.to_numpy()) - 1.0) if len(returns) else NAN


def cagr(returns: pd.Series, periods_per_year: float) -> float:
    """Compound annual growth `(1 + total) ^ (periods_per_year / n) - 1`; -1 for an account that was lost."""
    if not len(returns):
        return NAN
    growth = 1.0 + total_return(returns)
    if growth <= 0:
        return -1.0
    # The account may span few days: the exponent would overflow long before the number meant anything.
    exponent = math.log(growth) * periods_per_year / len(returns)
    return math.expm1(exponent) if exponent < 700 else math.inf


def ruin(equity: pd.Series) -> pd.Timestamp | None:
    """The first bar at whose close nothing was left of an account; None where something always was."""
    lost = equity.index[equity.to_numpy() <= 0.0]
    return pd.Timestamp(lost[0]) if len(lost) else None


def volatility(returns: pd.Series, periods_per_year: float) -> float:
    """Annualised deviation `std(r, ddof=1) * sqrt(periods_per_year)`."""
    return float(returns.std(ddof=1)) * math.sqrt(periods_per_year) if len(returns) > 1 else NAN


def sharpe(returns: pd.Series, periods_per_year: float) -> float:
    """`mean(r) / std(r, ddof=1) * sqrt(periods_per_year)`, risk-free rate zero; NaN for an account that never moved."""
    return _ratio(returns, float(returns.std(ddof=1)) if len(returns) > 1 else NAN, periods_per_year)


def sortino(returns: pd.Series, periods_per_year: float) -> float:
    """`mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(periods_per_year)`; the mean of squares is over all periods (Sortino & Price 1994)."""
    downside = math.sqrt(float(np.mean(np.minimum(returns.to_numpy(), 0.0) ** 2))) if len(returns) > 1 else NAN
    return _ratio(returns, downside, periods_per_year)


def _ratio(returns: pd.Series, deviation: float, periods_per_year: float) -> float:
    mean = float(returns.mean()) if len(returns) else NAN
    size = float(returns.abs().max()) if len(returns) else NAN
    if not deviation > _NO_VARIATION * max(size, _NO_VARIATION):
        return NAN
    return mean / deviation * math.sqrt(periods_per_year)


def drawdown(equity: pd.Series, start: float | None = None) -> pd.Series:
    """Distance below the highest equity so far, as a share of it: 0 at a peak, -0.25 a quarter below."""
    peak = equity.cummax()
    if start is not None:
        peak = peak.clip(lower=start)
    return equity / peak - 1.0


def max_drawdown(equity: pd.Series, start: float | None = None) -> float:
    """The deepest drawdown as a share of the peak before it, at most 0."""
    return float(drawdown(equity, start).min()) if len(equity) else NAN


def longest_drawdown(equity: pd.Series) -> pd.Timedelta:
    """The longest time between a peak and its recovery, or the end where it never recovered."""
    if not len(equity):
        return pd.Timedelta(0)
    times = pd.Series(equity.index, index=equity.index)
    last_peak = times.where(equity >= equity.cummax()).ffill()
    return pd.Timedelta((times - last_peak).max())


def calmar(returns: pd.Series, equity: pd.Series, periods_per_year: float) -> float:
    """CAGR over the size of the deepest drawdown; NaN where there was none."""
    depth = -max_drawdown(equity)
    return cagr(returns, periods_per_year) / depth if depth > 0 else NAN


def exposure(share: pd.Series) -> float:
    """Mean absolute share of equity that stood in the market (1.0 is fully invested)."""
    return float(share.abs().mean()) if len(share) else NAN


def time_in_market(share: pd.Series, threshold: float = 1e-3) -> float:
    """Share of bars with an absolute exposure above `threshold`; dust left by lot sizes does not count."""
    return float((share.abs() > threshold).mean()) if len(share) else NAN


def turnover(notional: float, mean_equity: float, years: float) -> float:
    """Traded notional (both sides) per year in multiples of the mean equity: 2.0 is one full round trip a year."""
    return notional / mean_equity / years if mean_equity > 0 and years > 0 else NAN


def break_even_bps(net_profit: float, costs: float, notional: float) -> float:
    """The all-in cost per side, in basis points of traded value, at which this much trading earned exactly nothing.

    `(net_profit + costs) / notional * 10^4`, on the fills as they were: at other costs the strategy would have traded otherwise.
    """
    return (net_profit + costs) / notional * 1e4 if notional > 0 else NAN


def monthly_returns(equity: pd.Series, start: float | None = None) -> pd.DataFrame:
    """Simple returns by calendar month: rows are years, columns 1..12, NaN where the curve has no bar."""
    if not len(equity):
        return pd.DataFrame(columns=range(1, 13), dtype=float)
    index = pd.DatetimeIndex(equity.index)
    last = equity.groupby([index.year, index.month]).last()
    before = last.shift(1)
    before.iloc[0] = equity.iloc[0] if start is None else start
    return (last / before - 1.0).unstack().reindex(columns=range(1, 13))
