"""Records the account at the close of every bar, as rows."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.feed_context import traded_feeds


class EquityRecorder(Recorder):
    """Collects equity, cash, exposure and closes; `rows()` and `frame()` give them, `take()` gives them once.

    Where a strategy moves cash in or out, equity and cash are those of the shares that the account began with: a deposit buys new shares at
    what one is worth, and is no return. `frame()` then has what the account was worth as `value`.
    """

    def start(self) -> None:
        self._clock = self.strategy.lines.datetime
        self._broker = self.strategy.broker
        self._shares = getattr(self._broker, "opened_shares", self._broker.fundshares)
        self._moved: list[tuple[float, float]] = []  # from which bar on, one share of the opening is worth how many
        self._empty()

    def _empty(self) -> None:
        self._times, self._equity, self._cash = array("d"), array("d"), array("d")
        self._closes = [(data.lines.close, array("d")) for data in traded_feeds(self.datas)]

    def rows(self) -> list[tuple[float, ...]]:
        """What was not taken: Backtrader's time, equity, cash, and the close of each feed in turn."""
        return list(zip(self._times, self._equity, self._cash, *(closes for _, closes in self._closes), strict=True))

    def take(self) -> list[tuple[float, ...]]:
        """The rows collected since the last call."""
        rows = self.rows()
        self._empty()
        return rows

    def _notify_cashvalue(self, cash: float, value: float) -> None:
        margin = getattr(self._broker, "margin", None)
        if margin is not None:  # where positions take no cash, what is not in the market
            cash = value - margin.account.value()
        elif getattr(self._broker, "leverage", 0.0):  # a venue's account on margin
            cash = self._broker.cash
        shares = self._broker.fundshares
        if shares != self._shares:
            share = self._shares / shares
            cash, value = cash * share, value * share
            if not self._moved or self._moved[-1][1] != share:
                self._moved.append((self._clock[0], share))
        self._times.append(self._clock[0])
        self._equity.append(value)
        self._cash.append(cash)
        for close, closes in self._closes:
            closes.append(close[0] if len(close) else math.nan)

    def frame(self) -> pd.DataFrame:
        """What was not taken, as `equity_frame` gives it."""
        columns = [self._times, self._equity, self._cash, *(closes for _, closes in self._closes)]
        frame = equity_frame([np.array(column) for column in columns], [data._name for data in traded_feeds(self.datas)])
        if not self._moved:
            return frame
        times, shares = zip(*self._moved, strict=True)
        moved = pd.Series(shares, index=utc_index(np.array(times))).groupby(level=0).last()
        return frame.assign(value=frame["equity"] / moved.reindex(frame.index, method="ffill").fillna(1.0))

    def get_analysis(self) -> dict[str, Any]:
        return {"bars": len(self._times)}


def equity_frame(columns: Sequence[NDArray[np.float64]], symbols: Sequence[str]) -> pd.DataFrame:
    """Indexed by the UTC open time of the bar at whose close it holds: equity, cash, exposure (share of equity that is not
    cash, negative for short), and `close:<SYMBOL>`. A time that was seen twice keeps its last row.

    Args:
        columns: Backtrader's times, equity, cash, and the closes of each symbol.
    """
    times, equity, cash, *closes = columns
    share = np.divide(cash, equity, out=np.ones(len(equity)), where=equity != 0.0)  # an account of nothing is not in the market
    frame = pd.DataFrame({"equity": equity, "cash": cash, "exposure": 1.0 - share}, index=utc_index(times))
    for symbol, values in zip(symbols, closes, strict=True):
        frame[f"close:{symbol}"] = values
    return frame[~frame.index.duplicated(keep="last")]
