"""Every order as it was decided, as rows: what parity compares."""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt
import pandas as pd

from strategies.bars_frame import utc_index

COLUMNS: Final = ("timestamp", "symbol", "side", "size", "kind", "price", "limit", "reason", "refusal")


class OrderRecorder(bt.Analyzer):
    """Collects orders when they are first told of; `frame()` gives them in the order of their making, `take()` gives them once.

    Attributes:
        told: Backtrader's numbers of the orders that were collected.
    """

    def start(self) -> None:
        self._rows: dict[int, tuple[Any, ...]] = {}
        self.told: set[int] = set()

    def stop(self) -> None:
        """Orders of the last bar have been made, but Backtrader tells of them at the next one only."""
        broker = self.strategy.broker
        for order in [*getattr(broker, "notifs", ()), *getattr(broker, "notices", ())]:
            if order is not None:
                self.notify_order(order)

    def notify_order(self, order: Any) -> None:
        if order.ref in self.told or order.info.get("role") == "flatten":
            return
        self.told.add(order.ref)
        made, limit = order.created, order.created.pricelimit
        self._rows[order.ref] = (
            made.dt, order.data._name, "buy" if order.isbuy() else "sell", abs(order.created.size), order.getordername(),
            float(made.price or 0.0), float(limit or 0.0), str(order.info.get("reason", "")), str(order.info.get("refusal", "")),
        )  # fmt: skip

    def take(self) -> list[tuple[Any, ...]]:
        """The rows collected since the last call, `COLUMNS` each, times as Backtrader's numbers."""
        rows, self._rows = self._rows, {}
        return [rows[ref] for ref in sorted(rows)]

    def frame(self) -> pd.DataFrame:
        """What was not taken, as `orders_frame` gives it."""
        return orders_frame([self._rows[ref] for ref in sorted(self._rows)])

    def get_analysis(self) -> dict[str, Any]:
        return {"orders": len(self._rows)}


def orders_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """timestamp (UTC open time of the bar decided on), symbol, side, size, kind, price, limit, reason, refusal."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["timestamp"] = utc_index(frame["timestamp"].to_numpy(dtype="float64"))
    return frame
