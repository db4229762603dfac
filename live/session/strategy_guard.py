"""What a session puts around a strategy: its failures are survived, its finished bars are reported, its settled orders are dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import backtrader as bt

from forwardtrader.core.errors import RiskHalt, StorageFull, StoreDamaged
from forwardtrader.strategies.backtrader.hosting import replace_methods
from forwardtrader.strategies.backtrader_objects import BtOrder

KEPT: Final = 64
FATAL: Final = (RiskHalt, StorageFull, StoreDamaged)  # errors that are meant to stop a session
# What Backtrader calls of a strategy once it runs, beside `start`.
CALLED: Final = (
    "prenext", "nextstart", "next", "stop", "notify_order", "notify_trade", "notify_timer", "notify_cashvalue", "notify_fund",
    "notify_data", "notify_store",
)  # fmt: skip
BarDone = Callable[[bt.Strategy, float], None]


def guarded(strategy: type[bt.Strategy], failed: Callable[[str, Exception], None]) -> type[bt.Strategy]:
    """A subclass that reports exceptions of the strategy and of its indicators to `failed` instead of ending the run.

    A risk halt, a full disk and a damaged store go through: they are meant to stop the session. An indicator that fails has no value at
    that bar.
    """

    class Guarded(strategy):
        def start(self) -> None:
            for indicator in _all_indicators(self):
                _guard(indicator, _try)
            _try("start", super().start)

    def tried(name: str, method: Callable[..., None]) -> Callable[..., None]:
        return lambda self, *args, **kwargs: _try(name, lambda: method(self, *args, **kwargs))

    replace_methods(Guarded, CALLED, tried)

    def _try(where: str, work: Callable[[], None]) -> None:
        try:
            work()
        except FATAL:
            raise
        except Exception as error:  # noqa: BLE001 - a user's strategy may raise anything; it is counted, logged and sent as an alert
            failed(where, error)

    Guarded.__name__ = strategy.__name__
    return Guarded


def _all_indicators(owner: bt.LineIterator) -> Iterator[bt.Indicator]:
    """The indicators of a strategy, and those that they are made of."""
    for indicator in owner.getindicators():
        yield indicator
        yield from _all_indicators(indicator)


def _guard(indicator: bt.Indicator, tried: Callable[[str, Callable[[], None]], None]) -> None:
    """Put the guard around what Backtrader calls of an indicator at every bar; its lines go on by themselves."""
    for name in ("prenext", "nextstart", "next"):
        work, where = getattr(indicator, name), f"{type(indicator).__name__}.{name}"
        setattr(indicator, name, partial(tried, where, work))


class BarHook(bt.Analyzer):
    """Calls `done(strategy, at)` when Backtrader is done with a bar, `at` being its open time as Backtrader's number.

    Params:
        done: the callback.
        changed: called with each order that Backtrader notifies of.
    """

    params = (("done", None), ("changed", None))
    sees_warm_up = True

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        done: BarDone = self.p.done
        done(self.strategy, self.strategy.lines.datetime[0])
        drop_settled(self.strategy)

    def notify_order(self, order: BtOrder) -> None:
        changed: Callable[[BtOrder], None] | None = self.p.changed
        if changed is not None:
            changed(order)


def drop_settled(strategy: bt.Strategy) -> None:
    """Backtrader keeps every order and trade of a run for ever, and reads only the newest; a session may run for months."""
    del strategy._orders[:-KEPT]
    for by_id in strategy._trades.values():
        for trades in by_id.values():
            del trades[:-KEPT]
