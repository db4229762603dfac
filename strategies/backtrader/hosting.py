"""The host of a strategy: what every mode puts around a class, so that it meets its bars and orders as it does in Backtrader alone.

It is a subclass, so that `isinstance`, `super()` and the class's own names go on working; the class itself is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import backtrader as bt

from forwardtrader.core.settings import StrategySettings
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.backtrader.recorders.recorder import Recorder
from forwardtrader.strategies.backtrader.sizer import EquityShare
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

# What Backtrader calls of a strategy at a bar. Those it calls ahead of the bar's `next` are told apart by the newest bar of the feeds.
AT_BARS: Final = ("prenext", "nextstart", "next", "notify_timer", "notify_cashvalue", "notify_fund")
Failed = Callable[[str, Exception], None]


def hosted(strategy: type[bt.Strategy], settings: StrategySettings, begins: float = 0.0) -> type[bt.Strategy]:
    """A subclass that meets its first bar at `begins` (UTC epoch seconds); earlier ones only warm its indicators up.

    On its first bar `nextstart` is called where the indicators are ready, as it would be by Backtrader, else `prenext`. A sizer that the
    class sets in `__init__` stays; without one `EquityShare` of `settings` is used. A child order without a size is as large as its
    parent. Recorders get each update of an order when the broker gives it, the strategy and other analyzers at the next bar, as in
    Backtrader: between two bars nobody can wait for a bar to end in order to record a fill.
    """

    class Hosted(strategy):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self._has_begun, self._first = not begins, 0
            self._sizer = EquityShare(settings=settings)
            super().__init__(*args, **kwargs)

        def _start(self) -> None:
            self._recorders = [analyzer for analyzer in self.analyzers if isinstance(analyzer, Recorder)]
            super()._start()

        def buy(self, *args: Any, **kwargs: Any) -> Any:
            return super().buy(*args, **_sized_as_parent(args, kwargs))

        def sell(self, *args: Any, **kwargs: Any) -> Any:
            return super().sell(*args, **_sized_as_parent(args, kwargs))

        def _addnotification(self, order: Any, quicknotify: bool = False) -> None:
            super()._addnotification(order, quicknotify)
            for recorder in self._recorders:
                recorder.notify_order(order)

        def _getminperstatus(self) -> int:
            status = int(super()._getminperstatus())
            if not self._has_begun and epoch_seconds(self.lines.datetime[0]) >= begins:
                self._has_begun, self._first = True, len(self)
            if status < 0 and self._first == len(self):
                self._minperstatus = status = 0
            return status

        def _next_analyzers(self, minperstatus: int, once: bool = False) -> None:
            if getattr(self.broker, "is_ruined", False):
                self.env.runstop()
            if self._has_begun:
                super()._next_analyzers(minperstatus, once)
                return
            for analyzer in self.analyzers:
                if getattr(analyzer, "sees_warm_up", False):
                    analyzer._prenext()

        def _is_reached(self) -> bool:
            newest = max((data.datetime[0] for data in self.datas if len(data)), default=-math.inf)
            return newest > 0 and epoch_seconds(newest) >= begins

    if begins:
        replace_methods(Hosted, AT_BARS, _from_the_first_bar)
    Hosted.__name__, Hosted.__qualname__, Hosted.__module__ = strategy.__name__, strategy.__qualname__, strategy.__module__
    return Hosted


def replace_methods(
    strategy: type[bt.Strategy], names: tuple[str, ...], around: Callable[[str, Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Put `around(name, method)` in the place of methods of a class that was made already.

    A `next` among the definitions of a subclass would become another method: `SignalStrategy` renames it while the class is made, and
    has its own `next` call it, which would call it again.
    """
    for name in names:
        setattr(strategy, name, around(name, getattr(strategy, name)))


def _from_the_first_bar(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        if self._has_begun or (name.startswith("notify_") and self._is_reached()):
            method(self, *args, **kwargs)

    return call


def _sized_as_parent(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Named arguments of an order, with its parent's size where it has a parent and no size; all others as the strategy gave them."""
    parent = kwargs.get("parent")
    if parent is None or len(args) > 1 or kwargs.get("size") is not None:
        return kwargs
    return kwargs | {"size": abs(float(parent.created.size))}


def takes_part(strategy: type[bt.Strategy]) -> bool:
    """Whether the class has both methods."""
    return callable(getattr(strategy, "state", None)) and callable(getattr(strategy, "restore", None))


def restoring(strategy: type[bt.Strategy], saved: Mapping[str, object], since: float, failed: Failed) -> type[bt.Strategy]:
    """A subclass that restores `saved` before the first bar that opens at or after `since` (UTC epoch seconds).

    Ours is left as it is, since it takes its state at the start and looks at no bar before, and so is one without both methods.

    Args:
        failed: called with "restore" and the error where the method raises one; the strategy then goes on with what its bars gave it.
    """
    if issubclass(strategy, LSTMStrategy) or not takes_part(strategy):
        return strategy

    class Restoring(strategy):
        _is_restored = False

        def notify_order(self, order: bt.Order) -> None:
            if order.info.get("client_id"):  # an update of an order at the venue: it comes when the bars of the past are over
                self._restore()
            super().notify_order(order)

        def _restore_in_time(self) -> None:
            if epoch_seconds(self.lines.datetime[0]) >= since:
                self._restore()

        def _restore(self) -> None:
            if self._is_restored:
                return
            self._is_restored = True
            try:
                self.restore(saved)
            except Exception as error:  # noqa: BLE001 - the method is the user's, and so is whatever it raises
                failed("restore", error)

    def restored(_name: str, method: Callable[..., None]) -> Callable[..., None]:
        def call(self: Any) -> None:
            self._restore_in_time()
            method(self)

        return call

    replace_methods(Restoring, ("prenext", "nextstart", "next"), restored)
    Restoring.__name__ = strategy.__name__
    return Restoring
