"""Records which stops rest at the close of every bar, and where an account on margin would be liquidated."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import backtrader as bt
import numpy as np
import pandas as pd

from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.margin.liquidation import liquidation_price
from forwardtrader.strategies.orders.trailing_stops import STOPS, TRAILING

COLUMNS: Final = ("symbol", "side", "kind", "price", "since", "until")
_MOVED: Final = 1e-3  # a liquidation price moves a little at every bar; less than this share of it is not seen on a chart
Level: TypeAlias = tuple[str, str, float]  # side, kind, price
Row: TypeAlias = tuple[float, str, str]


class StopRecorder(Recorder):
    """Collects what rests whenever it changed; `rows()` and `frame()` give it, `take()` gives it once.

    A row is Backtrader's time of the bar, the symbol, and as JSON all levels that rest from the close of that bar on. A row says all of its
    symbol, so that a session may be restarted between any two.
    """

    def start(self) -> None:
        self._rows: list[Row] = []
        broker: Any = self.strategy.broker  # of the user's own, it may have none of these
        self._orders: Callable[[], Iterable[Any]] = getattr(broker, "may_execute", getattr(broker, "get_orders_open", list))
        self.forget()

    def forget(self) -> None:
        """Collect everything anew at the next bar."""
        self._last: dict[str, list[Level]] | None = None

    def _next(self) -> None:
        resting = self._resting()
        if resting == self._last:
            return
        at, before = self.strategy.lines.datetime[0], self._last
        symbols = {data._name for data in self.strategy.datas} if before is None else {*before, *resting}
        for symbol in sorted(symbols):
            levels = resting.get(symbol, [])
            if before is None or levels != before.get(symbol, []):
                self._rows.append((at, symbol, json.dumps(levels)))
        self._last = resting

    _prenext = _nextstart = _next

    def _resting(self) -> dict[str, list[Level]]:
        found: dict[str, set[Level]] = {}
        for order in self._orders():
            if order.exectype in STOPS and _is_in_force(order):
                kind = "trailing stop" if order.exectype in TRAILING else "stop"
                level = ("buy" if order.isbuy() else "sell", kind, float(order.created.price))
                found.setdefault(order.data._name, set()).add(level)
        margin: Any = getattr(self.strategy.broker, "margin", None)
        for data, stake in margin.stakes.items() if margin is not None else ():
            if stake.size and 0.0 < (price := liquidation_price(margin.account, stake)) < math.inf:
                found.setdefault(data._name, set()).add(self._steady(data._name, "sell" if stake.size > 0.0 else "buy", price))
        return {symbol: sorted(levels) for symbol, levels in found.items()}

    def _steady(self, symbol: str, side: str, price: float) -> Level:
        """The liquidation price as it was recorded last, while it has hardly moved."""
        known = (level for level in (self._last or {}).get(symbol, []) if level[:2] == (side, "liquidation"))
        return next((level for level in known if abs(level[2] - price) < _MOVED * price), (side, "liquidation", price))

    def rows(self) -> list[Row]:
        """What was not taken, times as Backtrader's numbers."""
        return list(self._rows)

    def take(self) -> list[Row]:
        """The rows collected since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def frame(self) -> pd.DataFrame:
        """What was not taken, as `stops_frame` gives it."""
        return stops_frame(self._rows)

    def get_analysis(self) -> dict[str, Any]:
        return {"changes": len(self._rows)}


def stops_frame(rows: Sequence[Row]) -> pd.DataFrame:
    """One row a price at which a stop rested: symbol, side, kind ("stop", "trailing stop", "liquidation"), price, since, until.

    `since` is the UTC open time of the bar at whose close it began to rest there, `until` that of the bar in which it was executed, or at
    whose close it was moved or gone; NaT where it rests on. Of rows of one bar and symbol the last holds.
    """
    resting: dict[str, dict[Level, float]] = {}
    found: list[tuple[str, str, str, float, float, float]] = []
    for at, symbol, levels in {(at, symbol): (at, symbol, levels) for at, symbol, levels in rows}.values():
        now = [(str(side), str(kind), float(price)) for side, kind, price in json.loads(levels)]
        before = resting.setdefault(symbol, {})
        found += [(symbol, *level, since, at) for level, since in before.items() if level not in now]
        resting[symbol] = {level: before.get(level, at) for level in now}
    found += [(symbol, *level, since, math.nan) for symbol, levels in resting.items() for level, since in levels.items()]
    found.sort(key=lambda row: (row[4], row[:4]))
    frame = pd.DataFrame(found, columns=list(COLUMNS)).astype({"price": "float64"})
    for name in ("since", "until"):
        frame[name] = _times(frame[name].to_numpy(dtype=np.float64))
    return frame


def _times(numbers: np.ndarray[Any, np.dtype[np.float64]]) -> pd.DatetimeIndex:
    known = ~np.isnan(numbers)
    times = np.full(len(numbers), np.datetime64("NaT"), dtype="datetime64[ns]")
    times[known] = utc_index(numbers[known]).tz_localize(None).as_unit("ns").to_numpy()
    return pd.DatetimeIndex(times, tz="UTC")


def _is_in_force(order: Any) -> bool:
    """Whether the market may trigger an order now: a child of a bracket may from its parent's fill on."""
    parent = order.parent
    has_parent_filled = parent is not None and parent.status == bt.Order.Completed
    return bool(order.alive() and not order.triggered and (order.active() or has_parent_filled))
