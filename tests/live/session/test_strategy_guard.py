"""The guard around a user's strategy: its failures are reported, this project's own errors go through."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import DataError, RiskHalt
from forwardtrader.live.session.strategy_guard import KEPT, BarHook, guarded
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from tests.strategies.market import candles, feed, knobs


def run_guarded(strategy: type[bt.Strategy], bars: int = 12, hook: Any = None) -> list[tuple[str, str]]:
    failures: list[tuple[str, str]] = []
    guard = guarded(strategy, lambda where, error: failures.append((where, str(error))))
    analyzers = [(BarHook, {"done": hook})] if hook else []
    build_cerebro([feed(candles(bars))], knobs(), strategy=guard, analyzers=analyzers, runonce=False, preload=False).run()
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


class Odd(bt.Indicator):
    """Fails at every third bar."""

    lines = ("value",)

    def next(self) -> None:
        if len(self) % 3 == 0:
            raise DataError("as factors do")
        self.lines.value[0] = len(self)


class Doubled(bt.Indicator):
    lines = ("value",)

    def __init__(self) -> None:
        self.inner = Odd(self.data)

    def next(self) -> None:
        self.lines.value[0] = 2 * self.inner[0]


def test_an_indicator_that_fails_has_no_value_at_that_bar_and_stays_in_step() -> None:
    seen: list[float] = []

    class Looking(bt.Strategy):
        def __init__(self) -> None:
            self.doubled = Doubled(self.data)

        def next(self) -> None:
            seen.append(self.doubled[0])

    failures = run_guarded(Looking)
    assert failures == [("Odd.next", "as factors do")] * 4
    assert [n for n, value in enumerate(seen, 1) if math.isnan(value)] == [3, 6, 9, 12]
    assert [value for value in seen if not math.isnan(value)] == [2.0 * n for n in range(1, 13) if n % 3]


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
