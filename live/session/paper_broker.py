"""The paper broker: the backtest's own broker on live bars. It matches orders once a bar, however often the loop turns."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

import backtrader as bt

from forwardtrader.core.types import OrderRequest
from forwardtrader.live.bridge.pre_trade_checks import OLD_BAR
from forwardtrader.live.output.store import SessionStore
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.broker import VenueRulesBroker
from forwardtrader.strategies.order_rules import OrderRefusal, RawOrder

_ORDERS_KEPT: Final = 64


class PaperBroker(VenueRulesBroker):
    """`VenueRulesBroker` for a loop that also turns between bars, where a stop would else meet the bar that made it.

    Attributes:
        on_turn: called in turns of the loop that brought no bar.
        entries_blocked: entries are blocked, since the session is paused.
        halted: why no order is taken; "" while orders are taken.
        entry_objection: why no position may be entered in a symbol at the bar that opened at a time (ms UTC); "" where it may.
        passed: symbols and bars (ms UTC) of a session with real orders that were old when they came, and so took no order.
    """

    is_settled = True

    def __init__(self, **params: float) -> None:
        super().__init__(**params)
        self._seen = -1
        self.on_turn: Callable[[], None] | None = None
        self.entries_blocked = False
        self.halted = ""
        self.entry_objection: Callable[[str, int], str] = lambda _symbol, _at: ""
        self.passed: Collection[tuple[int, str]] = ()

    def rearm(self) -> None:
        """Take orders again after a halt, and count losses anew."""
        self.halted = ""
        if self.guard is not None:
            self.guard.rearm()

    def cancel_now(self, order: bt.Order) -> object:
        """Cancel an order; the live broker's name for it."""
        return self.cancel(order)

    def next(self) -> None:
        seen = sum(len(data) for data in self.cerebro.datas)
        if seen != self._seen:
            self._seen = seen
            super().next()
            if len(self.orders) > _ORDERS_KEPT:
                self._forget_done()
        elif self.on_turn is not None:
            self.on_turn()

    def _forget_done(self) -> None:
        """Backtrader keeps every order for ever; in a session that runs for months the settled ones are dropped."""
        self.orders: list[bt.Order] = [order for order in self.orders if order.alive()]
        for parent in [ref for ref, family in self._pchildren.items() if not any(order.alive() for order in family)]:
            del self._pchildren[parent]

    def _answer(self, raw: RawOrder, data: Any, kwargs: dict[str, Any]) -> OrderRequest | OrderRefusal:
        if (round(epoch_seconds(data.datetime[0]) * 1000), data._name) in self.passed:
            return OrderRefusal(OLD_BAR)
        return super()._answer(raw, data, kwargs)

    def _objection(self, data: Any) -> str:
        if self.halted or self.entries_blocked:
            return self.halted or "the session is paused"
        return self.entry_objection(data._name, round(epoch_seconds(data.datetime[0]) * 1000))


class Confirmations:
    """Objections of the confirming venues to an entry: asked for at new bars, read from the record at bars of an earlier process.

    Args:
        ask: why a symbol should not be entered at the bar that opened at a time (ms UTC); "" for no objection.
        until: open time (ms UTC) of the newest bar that an earlier process recorded; None where there was none.
    """

    def __init__(self, store: SessionStore, ask: Callable[[str, int], str], until: int | None) -> None:
        self._store = store
        self._ask = ask
        self._until = -1 if until is None else until
        self._recorded = store.blocked_entries(after=self._until)

    def objection(self, symbol: str, at: int) -> str:
        """Why no position in `symbol` may be entered at the bar that opened at `at` (ms UTC); "" where it may."""
        if at <= self._until:
            return self._store.entry_block(at, symbol)
        reason = self._ask(symbol, at)
        if reason or self._recorded.pop((at, symbol), ""):  # a process that died at this bar may have got another answer
            self._store.block_entry(at, symbol, reason)
        return reason
