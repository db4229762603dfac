"""Benchmarks of the account: buy and hold, and a volatility target.

Both obey the strategy's own rules: the same starting cash, a decision at a bar's close filled at the next bar's open, fees and slippage
on every fill, and the funding of a perpetual for what is held as a bar opens, before its orders. Several symbols share the cash in equal
parts, once, at the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import slipped
from forwardtrader.reports.artefacts import EQUITY_COLUMNS, FILL_COLUMNS, empty_equity, empty_fills

_HALF_LIFE_DAYS: Final = 10.0

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class BenchmarkAccount:
    """Starting cash and costs of a benchmark: basis points of traded value per side.

    `charges` holds, per perpetual, what a long of one unit pays in funding at each bar's open (quote units), by bar open.
    """

    cash: float
    fee_bps: float = 10.0
    slippage_bps: float = 2.0
    charges: Mapping[str, pd.Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark's result in the shape of the strategy's own artefacts: `equity` and `fills` as in `artefacts`."""

    equity: pd.DataFrame
    fills: pd.DataFrame


def buy_and_hold(candles: Mapping[str, pd.DataFrame], account: BenchmarkAccount, *, trade_from: datetime | None = None) -> Benchmark:
    """Spend all cash at the open after the first traded bar and never trade again.

    Args:
        candles: per symbol, indexed by bar open (UTC), columns open and close; bars before `trade_from` are history.
        account: starting cash and costs.
        trade_from: the first bar on which a decision may be made; the first bar of each symbol where not given.
    """

    def once(history: pd.DataFrame, traded: pd.DataFrame) -> Array:
        return np.where(np.arange(len(traded)) == 0, 1.0, np.nan)

    return _together(candles, account, trade_from, once)


def volatility_targeted(
    candles: Mapping[str, pd.DataFrame],
    account: BenchmarkAccount,
    *,
    target: float,
    periods_per_year: int,
    trade_from: datetime | None = None,
    max_exposure: float = 1.0,
) -> Benchmark:
    """Hold `min(max_exposure, target / volatility)` of equity, adjusted at most once a day and only by a twentieth or more.

    The volatility is the root of the exponentially weighted mean of squared log returns (half-life ten days), annualised.

    Args:
        candles: as for `buy_and_hold`.
        account: starting cash and costs.
        target: annual volatility to aim at, e.g. 0.30.
        periods_per_year: days of trading in a year, 365 or 252.
        trade_from: as for `buy_and_hold`.
        max_exposure: largest share of equity held; 1.0 is no borrowing.
    """

    def daily_share(history: pd.DataFrame, traded: pd.DataFrame) -> Array:
        share = (target / _volatility(history["close"], periods_per_year)).clip(upper=max_exposure)
        at_day_end = _last_of_day(pd.DatetimeIndex(traded.index))
        return np.where(at_day_end, share.reindex(traded.index).to_numpy(), np.nan)

    return _together(candles, account, trade_from, daily_share, band=0.05)


def follow(traded: pd.DataFrame, targets: Array, account: BenchmarkAccount, symbol: str, *, band: float = 0.0) -> Benchmark:
    """Hold target shares of equity: `targets[t]`, known at bar t's close, is bought or sold at bar t+1's open.

    Args:
        traded: candles, columns open and close.
        targets: share of equity in 0..1 for each bar; NaN leaves the position as it is.
        account: starting cash and costs.
        symbol: for the fills table.
        band: changes of the share smaller than this are not made.
    """
    # Plain lists: reading single numbers out of arrays would be most of the loop's time.
    opens, closes, wanted = traded["open"].tolist(), traded["close"].tolist(), targets.tolist()
    charges = account.charges[symbol].reindex(traded.index, fill_value=0.0).tolist() if symbol in account.charges else [0.0] * len(opens)
    size, cash = 0.0, account.cash
    rows, trades = np.empty((len(traded), 3)), []
    for t in range(len(traded)):
        cash -= size * charges[t]
        if t and not math.isnan(wanted[t - 1]):
            trade = _trade(wanted[t - 1], size, cash, opens[t], account, band)
            if trade is not None:
                amount, price, fee = trade
                size, cash = size + amount, cash - amount * price - fee
                trades.append((t, amount, price, fee, abs(price - opens[t]) * abs(amount)))
        value = cash + size * closes[t]
        rows[t] = value, cash, size * closes[t] / value if value else 0.0
    return Benchmark(pd.DataFrame(rows, index=traded.index, columns=EQUITY_COLUMNS), _fills(trades, traded.index, symbol))


def _trade(
    target: float, size: float, cash: float, price: float, account: BenchmarkAccount, band: float
) -> tuple[float, float, float] | None:
    """Signed amount, price after slippage and fee of one adjustment at the open, or None where it is not worth one."""
    fee_rate, slip = account.fee_bps / 1e4, account.slippage_bps / 1e4
    equity = cash + size * price
    if equity <= 0 or abs(target - size * price / equity) < max(band, 1e-9):
        return None
    amount = target * equity / price - size
    paid = slipped(price, slip, buys=amount > 0)
    if amount > 0:
        amount = min(amount, cash / (paid * (1 + fee_rate)))
        if amount <= 0:  # funding was paid out of what is held
            return None
    return amount, paid, abs(amount) * paid * fee_rate


def _together(
    candles: Mapping[str, pd.DataFrame],
    account: BenchmarkAccount,
    trade_from: datetime | None,
    decide: Callable[[pd.DataFrame, pd.DataFrame], Array],
    band: float = 0.0,
) -> Benchmark:
    part = replace(account, cash=account.cash / max(len(candles), 1))
    benchmarks = []
    for symbol, frame in candles.items():
        traded = frame if trade_from is None else frame.loc[pd.Timestamp(trade_from) :]
        if len(traded):
            benchmarks.append(follow(traded, decide(frame, traded), part, symbol, band=band))
    return _sum(benchmarks, idle=account.cash - part.cash * len(benchmarks), part=part.cash)


def _sum(benchmarks: list[Benchmark], *, idle: float, part: float) -> Benchmark:
    if not benchmarks:
        return Benchmark(empty_equity(), empty_fills())
    index = benchmarks[0].equity.index
    for result in benchmarks[1:]:
        index = index.union(result.equity.index)
    equity, cash, held = np.full(len(index), idle), np.full(len(index), idle), np.zeros(len(index))
    for result in benchmarks:
        # A symbol without a bar keeps its last worth; before its first bar its part lies in cash.
        table = result.equity.reindex(index).ffill()
        equity += table["equity"].fillna(part).to_numpy()
        cash += table["cash"].fillna(part).to_numpy()
        held += (table["equity"] * table["exposure"]).fillna(0.0).to_numpy()
    share = np.divide(held, equity, out=np.zeros(len(index)), where=equity > 0)
    fills = pd.concat([result.fills for result in benchmarks], ignore_index=True).sort_values("timestamp", kind="stable", ignore_index=True)
    return Benchmark(pd.DataFrame(dict(zip(EQUITY_COLUMNS, (equity, cash, share), strict=True)), index=index), fills)


def _fills(trades: list[tuple[int, float, float, float, float]], index: pd.Index, symbol: str) -> pd.DataFrame:
    if not trades:
        return empty_fills()
    quote = symbol.partition("/")[2].partition(":")[0]
    rows = [
        (index[t], symbol, "buy" if amount > 0 else "sell", abs(amount), price, fee, quote, f"benchmark-{n}", "benchmark", slippage)
        for n, (t, amount, price, fee, slippage) in enumerate(trades)
    ]
    return pd.DataFrame(rows, columns=[*FILL_COLUMNS, "slippage"])


def _volatility(close: pd.Series, periods_per_year: int) -> pd.Series:
    index = pd.DatetimeIndex(close.index)
    bars_per_day = len(index) / max(index.floor("D").nunique(), 1)
    squared = pd.Series(np.log(close.to_numpy(float)), index=index).diff() ** 2
    mean = squared.ewm(halflife=_HALF_LIFE_DAYS * bars_per_day, min_periods=2).mean()
    return (mean * (bars_per_day * periods_per_year)).pow(0.5)


def _last_of_day(index: pd.DatetimeIndex) -> Array:
    day = index.floor("D").to_numpy()
    return np.append(day[1:] != day[:-1], False) if len(day) else np.zeros(0, dtype=bool)
