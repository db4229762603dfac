"""A strategy whose time ends: it takes its orders back, closes what it holds, and stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import backtrader as bt

from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.hosting import AT_BARS, replace_methods
from forwardtrader.strategies.feed_context import traded_feeds

REASON: Final = "closed, since other parameters were chosen"
_ROLE: Final = "leave"


def leaving(strategy: type[bt.Strategy], until: float) -> type[bt.Strategy]:
    """A subclass that decides on bars before `until` (UTC epoch seconds) only.

    From then on its orders are cancelled and its positions closed by market orders, and whatever it sends in answer is not sent. The run
    stops on the first bar at which nothing is held or ordered; `left` is true then.
    """

    class Leaving(strategy):
        left = False

        def buy(self, *args: Any, **kwargs: Any) -> Any:
            return None if self._is_over() else super().buy(*args, **kwargs)

        def sell(self, *args: Any, **kwargs: Any) -> Any:
            return None if self._is_over() else super().sell(*args, **kwargs)

        def _is_over(self) -> bool:
            newest = max((float(data.datetime[0]) for data in self.datas if len(data)), default=0.0)
            return newest > 0.0 and epoch_seconds(newest) >= until

        def _leave(self) -> None:
            for order in self.broker.may_execute():
                if order.alive() and order.info.get("role") != _ROLE:
                    self.cancel(order)
            waited_for = {order.data for order in self.broker.may_execute()}
            held = {data: size for data in traded_feeds(self.datas) if (size := self.getposition(data).size)}
            for data, size in held.items():
                if data not in waited_for:
                    send = bt.Strategy.sell if size > 0 else bt.Strategy.buy  # the strategy's own sends nothing any more
                    send(self, data=data, size=abs(size), reason=REASON, role=_ROLE)
            if not held and not waited_for:
                self.left = True
                self.env.runstop()

    replace_methods(Leaving, AT_BARS, _until_it_is_over)
    Leaving.__name__, Leaving.__qualname__, Leaving.__module__ = strategy.__name__, strategy.__qualname__, strategy.__module__
    return Leaving


def _until_it_is_over(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        if not self._is_over():
            method(self, *args, **kwargs)
        elif not name.startswith("notify_"):
            self._leave()

    return call
