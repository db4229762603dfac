"""Records every order as it was decided, as rows; parity compares them."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.orders.trailing_stops import asked_prices

COLUMNS: Final = ("timestamp", "symbol", "side", "size", "kind", "price", "limit", "reason", "refusal")
_REMEMBERED: Final = 1024  # orders that are done


class OrderRecorder(Recorder):
    """Collects orders at their first notification; `rows()` and `frame()` give them in the order of their creation, `take()` gives
    them once.

    Attributes:
        collected: Backtrader's numbers of the orders that were collected, as long as notifications of them may come.
    """

    def start(self) -> None:
        self._rows: dict[int, tuple[Any, ...]] = {}
        self.collected: set[int] = set()
        self._done: dict[int, None] = {}

    def stop(self) -> None:
        """Orders of the last bar exist, but Backtrader would notify of them at the next one only."""
        broker = self.strategy.broker
        for order in [*getattr(broker, "notifs", ()), *getattr(broker, "notices", ())]:
            if order is not None:
                self.notify_order(order)

    def notify_order(self, order: BtOrder) -> None:
        if order.ref not in self.collected and order.info.get("role") != "flatten":
            self._collect(order)
        elif order.ref in self._rows and (refusal := order.info.get("refusal")):
            self._rows[order.ref] = (*self._rows[order.ref][:-1], str(refusal))  # a live account may refuse it after it was submitted
        if order.ref in self.collected and not order.alive():
            self._forget_later(order.ref)

    def _forget_later(self, ref: int) -> None:
        """The last notification of a finished order may come twice, so it is forgotten late; a session may run for months."""
        self._done[ref] = None
        if len(self._done) > _REMEMBERED:
            oldest = next(iter(self._done))
            del self._done[oldest]
            self.collected.discard(oldest)

    def _collect(self, order: BtOrder) -> None:
        self.collected.add(order.ref)
        self._rows[order.ref] = (
            order.created.dt, order.data._name, "buy" if order.isbuy() else "sell", abs(order.created.size), order.getordername(),
            *asked_prices(order), str(order.info.get("reason", "")), str(order.info.get("refusal", "")),
        )  # fmt: skip

    def rows(self) -> list[tuple[Any, ...]]:
        """What was not taken, `COLUMNS` each, times as Backtrader's numbers."""
        return [self._rows[ref] for ref in sorted(self._rows)]

    def take(self) -> list[tuple[Any, ...]]:
        """The rows collected since the last call."""
        rows, self._rows = self.rows(), {}
        return rows

    def frame(self) -> pd.DataFrame:
        """What was not taken, as `orders_frame` gives it."""
        return orders_frame(self.rows())

    def get_analysis(self) -> dict[str, Any]:
        return {"orders": len(self._rows)}


def orders_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """timestamp (UTC open time of the bar decided on), symbol, side, size, kind, price, limit, reason, refusal."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["timestamp"] = utc_index(frame["timestamp"].to_numpy(dtype="float64"))
    return frame
