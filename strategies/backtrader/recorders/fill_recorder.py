"""Records every execution of a run, as rows."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pandas as pd

from forwardtrader.core.types import Side
from forwardtrader.strategies.backtrader.bars_frame import utc_index
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.orders.entry_record import EntryRecord

COLUMNS = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "order_ref", "reason", "slippage")


class FillRecorder(Recorder):
    """Collects fills; `rows()` and `frame()` give them, `take()` gives them once.

    `order_ref` is the client id where the order carries one, else its number in this run, so that equal runs give equal rows.

    Attributes:
        count: how many orders there were.
        numbers: the number of each order that is alive, by Backtrader's own.
        entries: what became of entries that were to rest.
    """

    def start(self) -> None:
        self._rows: list[tuple[Any, ...]] = []
        self.count = 0
        self.numbers: dict[int, int] = {}
        self.entries = EntryRecord()

    def notify_order(self, order: BtOrder) -> None:
        number = self.numbers.get(order.ref, 0)
        if not number:
            number = self.numbers[order.ref] = self.count = self.count + 1
        made: list[tuple[Any, ...]] = []
        if order.status in (bt.Order.Partial, bt.Order.Completed):
            reference = str(order.info.get("client_id") or number)
            made = [_row(order, bit, reference) for bit in order.executed.iterpending()]
            self._rows.extend(made)
        self.entries.note(order, [_paid(order, row) for row in made])
        if not order.alive():
            del self.numbers[order.ref]

    def rows(self) -> list[tuple[Any, ...]]:
        """What was not taken, `COLUMNS` each, times as Backtrader's numbers."""
        return list(self._rows)

    def take(self) -> list[tuple[Any, ...]]:
        """The rows collected since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def frame(self) -> pd.DataFrame:
        """What was not taken, as `fills_frame` gives it."""
        return fills_frame(self._rows)

    def get_analysis(self) -> dict[str, Any]:
        return {"fills": len(self._rows)}


def fills_frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """One row a fill: timestamp (UTC), symbol, side, size (base), price (quote), fee, fee_currency, order_ref, reason, and
    slippage (quote units paid beyond the open or the stop's trigger)."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    frame["timestamp"] = utc_index(frame["timestamp"].to_numpy(dtype="float64"))
    return frame


def _row(order: BtOrder, bit: Any, reference: str) -> tuple[Any, ...]:
    data, info = order.data, order.info
    context = getattr(data, "context", None)
    base, quote = (context.rules.base, context.rules.quote) if context is not None else ("", "")
    size, price, fee, currency = abs(bit.size), bit.price, bit.openedcomm + bit.closedcomm, quote
    if "fee_base" in info:
        gross, gross_price, kept = getattr(bit, "gross", (info["gross_size"], info["gross_price"], info["fee_base"]))
        share = size / (gross - kept)
        size, price, fee, currency = gross * share, gross_price, kept * share, base
    side = Side.BUY if order.isbuy() else Side.SELL
    symbol = context.rules.symbol if context is not None else data._name
    return (bit.dt, symbol, str(side), size, price, fee, currency, reference, str(info.get("reason", "")), _slippage(order, size, price))


def _paid(order: BtOrder, row: tuple[Any, ...]) -> tuple[float, float, float]:
    """Size, price, and the fee in quote units."""
    _, _, _, size, price, fee, currency, *_ = row
    context = getattr(order.data, "context", None)
    return size, price, fee * price if context is not None and currency == context.rules.base else fee


def _slippage(order: BtOrder, size: float, price: float) -> float:
    """Against the bar's open, or against the trigger of a stop that was reached after the open; limit orders have none."""
    opened, trigger, sign = order.data.open[0], order.created.price, 1.0 if order.isbuy() else -1.0
    if order.exectype == bt.Order.Market:
        return float(sign * (price - opened) * size)
    if order.exectype in (bt.Order.Stop, bt.Order.StopTrail):
        due = max(opened, trigger) if sign > 0 else min(opened, trigger)
        return float(sign * (price - due) * size)
    return 0.0
