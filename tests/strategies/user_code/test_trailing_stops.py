"""Trailing stops are found in a strategy's own code, wherever in it they stand."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.strategies.user_code.trailing_stops import refuse_trailing_stops


class Protects(bt.Strategy):
    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed and order.isbuy():
            self.sell(size=order.executed.size, exectype=bt.Order.StopTrail, trailpercent=0.02)


class Inherits(Protects):
    pass


class Nested(bt.Strategy):
    def next(self) -> None:
        def leave() -> None:
            self.sell(exectype=bt.Order.StopTrailLimit, trailamount=1.0)

        leave()


class Stops(bt.Strategy):
    """It moves a stop, and says so: a trailing stop, StopTrail, is only named in words."""

    def next(self) -> None:
        self.sell(exectype=bt.Order.Stop, price=90.0)


@pytest.mark.parametrize(
    ("strategy", "place"), [(Protects, "Protects.notify_order"), (Inherits, "Protects.notify_order"), (Nested, "Nested.next")]
)
def test_a_strategy_that_names_a_trailing_stop_is_refused_with_its_line(strategy: type, place: str) -> None:
    with pytest.raises(InvalidSetting, match=rf"test_trailing_stops\.py:\d+ in {place} names a trailing stop"):
        refuse_trailing_stops([strategy])


def test_other_strategies_are_not_refused() -> None:
    refuse_trailing_stops([Stops, bt.Strategy, bt.SignalStrategy])
