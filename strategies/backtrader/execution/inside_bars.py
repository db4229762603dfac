"""The finer bars inside the newest ones: the simulated broker goes through them in order, each shown to it as Backtrader shows ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import backtrader as bt

from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.detail.series import DetailSeries, InnerBar, in_order, inner_of, may_touch
from forwardtrader.strategies.feed_context import traded_feeds
from forwardtrader.strategies.orders.resting_orders import is_post_only
from forwardtrader.strategies.orders.trailing_stops import STOPS, TRAILING

_RESTING: Final = (bt.Order.Limit, *STOPS)
_PRICES: Final = ("open", "high", "low", "close", "volume")


class InsideBars:
    """The finer bars of the feeds of one broker.

    Orders that rest on a feed with some are met by these alone; market orders, and whatever else there is, by the bar they open, before
    that. Nothing is gone through where it could not make a difference.

    Attributes:
        is_last: what is gone through is the last of it.
    """

    def __init__(self, series: Mapping[Any, DetailSeries]) -> None:
        self._series, self._seen = series, dict.fromkeys(series, 0)
        self._opened: dict[Any, float] = {}  # by feed whose newest bar has finer ones, while it is new
        self._step: Mapping[Any, InnerBar] | None = None  # those that orders meet now; empty before the first
        self._is_inside = self.is_last = False

    @classmethod
    def of(cls, datas: Sequence[Any]) -> InsideBars | None:
        """Those of the feeds of a run; None where there are none."""
        known = ((data, getattr(getattr(data, "context", None), "detail", None)) for data in traded_feeds(datas))
        series = {data: detail for data, detail in known if detail is not None}
        return cls(series) if series else None

    def turn(self) -> None:
        """Take in which feeds have a new bar."""
        self._opened = {}
        for data, series in self._series.items():
            if len(data) != self._seen[data]:
                self._seen[data] = len(data)
                opened = epoch_seconds(data.datetime[0])
                if series.has(opened):
                    self._opened[data] = opened

    def __contains__(self, data: object) -> bool:
        """Whether the newest bar of a feed is new and has finer ones."""
        return data in self._opened

    def has_marks(self, data: Any) -> bool:
        """Whether marks are known inside the newest bar of a feed."""
        return data in self._opened and self._series[data].has_marks(self._opened[data])

    def may_touch(self, orders: Iterable[Any]) -> bool:
        """Whether one of the orders may be executed, or moved, inside its bar."""
        return any(order.data in self._opened and _is_in_reach(order) for order in orders)

    def steps(self) -> Iterator[Mapping[Any, InnerBar]]:
        """What orders meet one after the other, by feed: nothing at first, when market orders are due, then the finer bars that open
        together."""
        steps = list(in_order({data: self._series[data].inside(opened) for data, opened in self._opened.items()}))
        self._is_inside, self.is_last, self._step = True, False, {}
        try:
            yield self._step
            for number, step in enumerate(steps, start=1):
                self._step, self.is_last = step, number == len(steps)
                for data, bar in step.items():
                    _show(data, bar)
                yield step
                _hide(step)
        finally:
            _hide(self._step or {})
            self._is_inside, self._step = False, None

    def meets(self, order: Any) -> bool:
        """Whether an order is met by what is gone through now."""
        if not self._is_inside:
            return True
        data, rests = order.data, order.exectype in _RESTING
        if not self._step:
            return data not in self._opened or not rests
        return data in self._step and (rests or order.exectype == bt.Order.Market) and not _is_over(order)


def _is_in_reach(order: Any) -> bool:
    data, kind, price, stops = order.data, order.exectype, order.created.price, order.exectype in STOPS
    if kind not in _RESTING:
        return kind == bt.Order.Market and not order.active()
    if kind in TRAILING:
        return True
    if kind == bt.Order.StopLimit and order.triggered:
        price, stops = order.created.pricelimit, False
    return may_touch(buys=order.isbuy(), stops=stops, price=price, low=data.low[0], high=data.high[0])


def _is_over(order: Any) -> bool:
    """Whether a finer bar opens when the order is no longer valid; it ends with the next bar. The deadline of an entry is one of bars."""
    inner = inner_of(order.data)
    return inner is not None and bool(order.valid) and not is_post_only(order) and inner.at > epoch_seconds(order.valid)


def _show(data: Any, bar: InnerBar) -> None:
    data.inner_bar = bar
    for name in _PRICES:
        setattr(data, f"tick_{name}", getattr(bar, name))


def _hide(step: Mapping[Any, InnerBar]) -> None:
    for data in step:
        data.inner_bar = None
        data._tick_fill(force=True)
