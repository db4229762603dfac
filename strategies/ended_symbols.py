"""Symbols whose bars end before those of others, as of a coin that was delisted: what is held of one is closed at its last price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.strategies.backtrader_objects import BtData
from forwardtrader.strategies.feed_context import FeedContext, context_of

AT_LAST_PRICE: Final = "closed at the last price"


class EndedSymbols:
    """Watches the feeds that end early.

    Attributes:
        notes: by symbol that has ended, what became of it.
    """

    def __init__(self, datas: Sequence[Any]) -> None:
        self._datas = datas
        self._ending = [data for data in datas if isinstance(getattr(data, "context", None), FeedContext) and data.context.last_bar]
        self.notes: dict[str, str] = {}

    def take(self) -> list[Any]:
        """The feeds whose last bar is over, though others go on, each once."""
        if not self._ending:
            return []
        now = max(float(data.datetime[0]) for data in self._datas if len(data))
        over = [data for data in self._ending if len(data) and now > data.datetime[0] >= context_of(data).last_bar]
        self._ending = [data for data in self._ending if data not in over]
        return over

    def note(self, data: BtData, held: float) -> str:
        """Remember that a feed ended, with `held` base units in the account."""
        end = f"its bars end at {bt.num2date(data.datetime[0]):%Y-%m-%d %H:%M}"
        closed = f"; {abs(held):g} {context_of(data).rules.base} were closed at the last price" if held else ""
        self.notes[data._name] = end + closed
        return end


def closing_order(data: BtData, held: float, owner: object, send: Callable[[Any], None]) -> Any:
    """An accepted market order for all that is held; `send` books it in the broker's lists before it is submitted."""
    order = (SellOrder if held > 0 else BuyOrder)(owner=owner, data=data, size=abs(held), exectype=bt.Order.Market)
    send(order)
    order.submit()
    order.accept()
    return order
