"""Waiting for what a venue has sent."""

from __future__ import annotations

import threading
from decimal import Decimal

from forwardtrader.live.bridge.arrivals import Arrivals
from forwardtrader.live.execution.events import Execution, Filled
from tests import PATIENCE_S

ONE = Decimal(1)
FILL = Execution(
    symbol="BTC/USDT", trade_id="7", client_id="a", venue_id="1", side="buy", size=ONE, price=ONE, fee=ONE, fee_currency="USDT", at=0
)  # fmt: skip


def test_a_bar_has_arrived_with_what_was_executed_in_it_and_with_nothing_less() -> None:
    wake, bars, clock = threading.Condition(), [0], iter(range(100))
    arrivals = Arrivals(wake, {}, lambda at: at <= bars[0], lambda: float(next(clock)))
    assert arrivals.await_bar(0, [], 0.0)
    assert not arrivals.await_bar(60, [], 0.0)
    assert not arrivals.await_bar(0, ["7"], 0.0)

    def come() -> None:
        with wake:
            bars[0] = 60
            arrivals.note(Filled(FILL))
            wake.notify_all()

    late = threading.Timer(0.05, come)
    late.start()
    assert arrivals.await_bar(60, ["7"], PATIENCE_S)
    late.join()


def test_prices_have_arrived_when_all_of_them_are_known() -> None:
    prices, seconds = {"BTC/USDT": 100.0}, iter(range(100))
    arrivals = Arrivals(threading.Condition(), prices, lambda _: True, lambda: float(next(seconds)))
    assert arrivals.await_prices({"BTC/USDT": "100.00"})
    assert not arrivals.await_prices({"BTC/USDT": "100.00", "ETH/USDT": "5"})
    prices["ETH/USDT"] = 5.0
    assert arrivals.await_prices({"BTC/USDT": "100.00", "ETH/USDT": "5"})
