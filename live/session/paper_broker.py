"""Paper: the backtest's own broker on live bars. It looks at its orders once a bar, as in a backtest, however often the loop turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.broker import VenueRulesBroker

_ORDERS_KEPT: Final = 64


class PaperBroker(VenueRulesBroker):
    """`VenueRulesBroker` for a loop that also turns between bars, where a stop would else meet the bar that made it."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        self._seen = -1
        self.on_turn: Callable[[], None] | None = None  # called in turns of the loop that brought no bar
        self.entries_blocked = False
        self.halted = ""
        self.doubt_about: Callable[[str, int], str] = lambda _symbol, _at: ""  # why a symbol should not be entered at this bar (ms)

    is_settled = True

    def rearm(self) -> None:
        """Take orders again after a halt."""
        self.halted = ""

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
        """Backtrader keeps every order for ever; a session that runs for months lets go of those that nothing can happen to any more."""
        self.orders: list[Any] = [order for order in self.orders if order.alive()]
        for parent in [ref for ref, family in self._pchildren.items() if not any(order.alive() for order in family)]:
            del self._pchildren[parent]

    def _doubt(self, data: Any) -> str:
        return self.doubt_about(data._name, round(epoch_seconds(data.datetime[0]) * 1000))

    def buy(self, owner: Any, data: Any, size: float, *args: Any, **kwargs: Any) -> Any:
        order = super().buy(owner, data, size, *args, **kwargs)
        reason = self.halted or ("the session is paused" if self.entries_blocked else self._doubt(data))
        if reason and order.alive() and self.getposition(data).size >= 0:
            order.addinfo(refusal=reason)
            self.cancel(order)
        return order
