"""The guard around a user's strategy: its failures are reported, this project's own errors go through."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import RiskHalt
from forwardtrader.live.session.strategy_guard import KEPT, BarHook, guarded
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from tests.strategies.market import candles, feed, knobs


def run_guarded(strategy: type[bt.Strategy], bars: int = 12, hook: Any = None) -> list[tuple[str, str]]:
    failures: list[tuple[str, str]] = []
    guard = guarded(strategy, lambda where, error: failures.append((where, str(error))))
    analyzers = [(BarHook, {"done": hook})] if hook else []
    build_cerebro([feed(candles(bars))], knobs(), strategy=guard, analyzers=analyzers).run()
    return failures


class FailsNowAndThen(bt.Strategy):
    def next(self) -> None:
        if len(self) % 5 == 0:
            raise ZeroDivisionError("as strategies do")
        self.close() if self.position else self.buy(size=0.1)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.issell():
            raise KeyError("sold")


def test_exceptions_of_a_strategy_are_reported_with_their_place_and_the_run_goes_on() -> None:
    failures = run_guarded(FailsNowAndThen)
    assert [failure for failure in failures if failure[0] == "next"] == [("next", "as strategies do")] * 2
    assert ("notify_order", "'sold'") in failures
    assert guarded(FailsNowAndThen, lambda *_: None).__name__ == "FailsNowAndThen"


def test_a_halt_ends_the_run() -> None:
    class Halting(bt.Strategy):
        def next(self) -> None:
            raise RiskHalt("enough")

    with pytest.raises(RiskHalt, match="enough"):
        run_guarded(Halting)


def test_the_hook_is_called_once_a_bar_and_settled_orders_are_dropped() -> None:
    numbers: list[float] = []
    most = [0]

    def done(strategy: bt.Strategy, number: float) -> None:
        numbers.append(number)
        most[0] = max(most[0], len(strategy._orders))

    run_guarded(FailsNowAndThen, 600, done)
    assert len(numbers) == len(set(numbers)) == 600
    assert KEPT <= most[0] <= KEPT + 4
