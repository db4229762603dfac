"""A market that nobody can forecast, and an account that enters it at random, with or without stops and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

SYMBOL = "A/B"
FEE, SLIPPAGE = 1e-3, 2e-4
STEPS = 12
COLUMNS = ["timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "slippage"]


@dataclass(frozen=True)
class Habits:
    """Chance per bar to enter and to leave, distance of stop and target (0 for none), and the chance that an entry is long."""

    enter: float = 0.04
    leave: float = 0.03
    stop: float = 0.0
    target: float = 0.0
    long: float = 1.0


def martingale(rng: np.random.Generator, bars: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Candles of a price without drift or memory but with slow swings of volatility, and its path inside each bar [bars, STEPS + 1]."""
    spread = 0.01 / np.sqrt(STEPS) * np.exp(0.5 * np.sin(np.arange(bars) / 200))[:, None]
    logs = np.cumsum((rng.normal(size=(bars, STEPS)) * spread - spread**2 / 2).ravel()).reshape(bars, STEPS)
    close = 100 * np.exp(logs[:, -1])
    opened = np.append(100.0, close[:-1])
    path = np.column_stack([opened, 100 * np.exp(logs)])
    index = pd.date_range("2022-01-01", periods=bars, freq="h", tz="UTC")
    frame = {"open": opened, "high": path.max(axis=1), "low": path.min(axis=1), "close": close}
    return pd.DataFrame(frame, index=index), path


class RandomTrader:
    """An account that decides by tossing coins at each close, and fills as a venue does that takes the fee of a buy in the coin."""

    def __init__(self, bars: pd.DataFrame, path: np.ndarray, habits: Habits, rng: np.random.Generator) -> None:
        self.bars, self.path, self.habits, self.rng = bars, path.tolist(), habits, rng
        self.cash, self.units, self.stop, self.target = 10_000.0, 0.0, 0.0, 0.0
        self.rows: list[tuple[object, ...]] = []

    def run(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Equity by bar, and fills."""
        opens, closes = self.bars["open"].tolist(), self.bars["close"].tolist()
        equity, wanted = np.empty(len(self.bars)), ""
        for t in range(len(self.bars)):
            if wanted == "enter":
                self._enter(t, opens[t])
            elif wanted == "leave":
                self._fill(t, -self.units, opens[t])
            self._inside(t)
            equity[t] = self.cash + self.units * closes[t]
            wanted = self._toss()
        return pd.DataFrame({"equity": equity}, index=self.bars.index), pd.DataFrame(self.rows, columns=COLUMNS)

    def _toss(self) -> str:
        chance = self.rng.random()
        if self.units:
            return "leave" if chance < self.habits.leave else ""
        return "enter" if chance < self.habits.enter else ""

    def _enter(self, t: int, price: float) -> None:
        side = 1.0 if self.rng.random() < self.habits.long else -1.0
        self._fill(t, side * 0.5 * self.cash / price, price)
        self.stop = price * (1 - side * self.habits.stop) if self.habits.stop else 0.0
        self.target = price * (1 + side * self.habits.target) if self.habits.target else 0.0

    def _inside(self, t: int) -> None:
        side = float(np.sign(self.units)) if self.stop or self.target else 0.0
        for price in self.path[t][1:] if side else ():
            stopped = self.stop and side * (price - self.stop) <= 0
            if stopped or (self.target and side * (price - self.target) >= 0):
                self._fill(t, -self.units, price)
                return

    def _fill(self, t: int, change: float, price: float) -> None:
        buys = change > 0
        paid = price * (1 + SLIPPAGE if buys else 1 - SLIPPAGE)
        fee, currency = (change * FEE, "A") if buys else (-change * paid * FEE, "B")
        self.cash -= change * paid + (0.0 if buys else fee)
        closes = change == -self.units
        self.units = self.units + change - (fee if buys else 0.0)
        if closes and buys:  # the fee of a bought-back short is bought too, so that the account is flat
            self.cash -= fee * paid
            change, fee, self.units = change + fee, fee, 0.0
        self.rows.append(
            (self.bars.index[t], SYMBOL, "buy" if buys else "sell", abs(change), paid, fee, currency, abs(change) * abs(paid - price))
        )


def random_account(seed: int, habits: Habits, bars: int = 1000) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Candles, equity and fills of one random account on one market without signal."""
    rng = np.random.default_rng(seed)
    frame, path = martingale(rng, bars)
    equity, fills = RandomTrader(frame, path, habits, rng).run()
    return frame, equity, fills
