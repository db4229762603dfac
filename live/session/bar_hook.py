"""Tells the session when Backtrader is done with a bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import backtrader as bt

KEPT: Final = 64


class BarHook(bt.Analyzer):
    """Calls `done(strategy, at)` after each `next`, `at` being the bar's open time as Backtrader counts.

    Params:
        done: whom to call.
    """

    params = (("done", None),)

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        done: Callable[[Any, float], None] = self.p.done
        done(self.strategy, self.strategy.lines.datetime[0])
        forget_done(self.strategy)


def forget_done(strategy: Any) -> None:
    """Backtrader keeps every order and trade of a run for ever, and reads the newest alone; a session may run for months."""
    del strategy._orders[:-KEPT]
    for by_id in strategy._trades.values():
        for trades in by_id.values():
            del trades[:-KEPT]
