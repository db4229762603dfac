"""Perpetuals that move together and cannot be forecast, and an account that goes long and short in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

SYMBOLS = ("A/B:B", "C/B:B", "D/B:B")
CASH, FEE, COMMON = 10_000.0, 5e-4, 0.8
COLUMNS = ["timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "slippage"]
# What is to be held of each symbol from the next open on, as shares of equity, NaN for as it is; given the row and the shares held.
Rule = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Portfolio:
    """Candles and funding charges by symbol, and what the account came to."""

    candles: dict[str, pd.DataFrame]
    charges: dict[str, pd.Series]
    equity: pd.DataFrame
    fills: pd.DataFrame


def market(rng: np.random.Generator, bars: int, *, drift: float = 0.0, funding: float = 1e-3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Opens and closes of martingales with a common part, and what a long pays each eighth bar, as a share [bars, symbols]."""
    own, common = rng.normal(size=(bars, len(SYMBOLS))), rng.normal(size=(bars, 1))
    move = 0.01 * (np.sqrt(COMMON) * common + np.sqrt(1.0 - COMMON) * own)
    closes = 100.0 * np.exp(np.cumsum(move - 0.01**2 / 2 + drift, axis=0))
    opens = np.vstack([np.full(len(SYMBOLS), 100.0), closes[:-1]])
    rates = np.where(np.arange(bars)[:, None] % 8 == 0, rng.normal(scale=funding, size=(bars, len(SYMBOLS))), 0.0)
    return opens, closes, rates


def tossing(rng: np.random.Generator, choices: tuple[float, ...] = (-1.0, 0.0, 1.0), chance: float = 0.04) -> Rule:
    """Each symbol by itself goes over to one of the choices, as shares of what it may hold, now and then."""

    def rule(row: int, held: np.ndarray) -> np.ndarray:
        tossed = rng.choice(choices, size=len(SYMBOLS)) / len(SYMBOLS)
        return np.where(rng.random(len(SYMBOLS)) < chance, tossed, np.nan)

    return rule


def traded(opens: np.ndarray, closes: np.ndarray, rates: np.ndarray, rule: Rule, listed: tuple[int, ...] = (0, 0, 0)) -> Portfolio:
    """The account of a rule; a symbol has bars from its row in `listed` on. Funding is settled as a bar opens, before its orders."""
    index = pd.date_range("2022-01-01", periods=len(opens), freq="h", tz="UTC")
    cash, units, rows = CASH, np.zeros(len(SYMBOLS)), []
    equity, wanted = np.empty(len(opens)), np.full(len(SYMBOLS), np.nan)
    for t, (opened, close) in enumerate(zip(opens, closes, strict=True)):
        cash -= float(units @ (opened * rates[t]))
        worth = cash + float(units @ opened)
        for k in np.flatnonzero(~np.isnan(wanted)):
            change = wanted[k] * worth / opened[k] - units[k]
            if abs(change) * opened[k] > 1e-6 * worth:
                fee = abs(change) * opened[k] * FEE
                cash, units[k] = cash - change * opened[k] - fee, units[k] + change
                rows.append((index[t], SYMBOLS[k], "buy" if change > 0 else "sell", abs(change), opened[k], fee, "B", 0.0))
        equity[t] = cash + float(units @ close)
        wanted = rule(t, units * close / equity[t])
    frames = {
        s: pd.DataFrame({"open": opens[listed[k] :, k], "close": closes[listed[k] :, k]}, index=index[listed[k] :])
        for k, s in enumerate(SYMBOLS)
    }
    charges = {s: pd.Series(opens[:, k] * rates[:, k], index=index).loc[frames[s].index] for k, s in enumerate(SYMBOLS)}
    return Portfolio(frames, charges, pd.DataFrame({"equity": equity}, index=index), pd.DataFrame(rows, columns=COLUMNS))
