"""Tells the session when Backtrader is done with a bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt


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
