"""Position management of one symbol: entries, the protective stop and exits, without Backtrader."""

from __future__ import annotations

import math

import pytest

from forwardtrader.strategies.decision import DecisionParams
from forwardtrader.strategies.position_manager import PASSED, PositionManager
from forwardtrader.strategies.risk import Gate
from tests.strategies.market import BTC, HOUR, knobs

CLOSE, CASH = 100.0, 10_000.0


class Port:
    """Notes what it is given; `accepts` is its answer."""

    def __init__(self) -> None:
        self.trades: list[tuple[float, str]] = []
        self.stops: list[tuple[float, float]] = []
        self.cancelled = 0
        self.accepts = True

    def trade(self, change: float, reason: str) -> bool:
        self.trades.append((change, reason))
        return self.accepts

    def rest_stop(self, change: float, price: float) -> bool:
        self.stops.append((change, price))
        return self.accepts

    def cancel_stop(self) -> None:
        self.cancelled += 1


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def manager(port: Port) -> PositionManager:
    return PositionManager(BTC, DecisionParams.of(knobs(premium=0.0, holding="0d"), BTC, HOUR, 24), port)


def bar(
    manager: PositionManager, *, location: float, size: float = 0.0, close: float = CLOSE, gate: Gate = Gate.OPEN, now: float = 0.0
) -> None:
    manager.on_bar(location, 0.02, size, CLOSE, close, CASH, CASH - size * close, now, gate)


def bought(manager: PositionManager, port: Port) -> float:
    bar(manager, location=0.03)
    [(size, _)] = port.trades
    manager.settle_trade(size, CLOSE, size, 0.0)
    bar(manager, location=0.03, size=size)
    return size


def test_a_large_forecast_is_bought_once_and_small_or_absent_ones_are_not(manager: PositionManager, port: Port) -> None:
    for location in (0.0, 0.0001, math.nan):
        bar(manager, location=location)
    assert port.trades == []
    bar(manager, location=0.03)
    assert port.trades[0][0] > 0 and manager.busy


def test_a_stop_below_the_fill_rests_from_the_bar_after_it(manager: PositionManager, port: Port) -> None:
    size = bought(manager, port)
    [(change, price)] = port.stops
    assert change == -size and price < CLOSE and manager.resting


def test_a_price_beyond_the_stop_is_left_at_once(manager: PositionManager, port: Port) -> None:
    size = bought(manager, port)
    bar(manager, location=0.03, size=size, close=port.stops[0][1] - 1.0)
    assert port.trades[-1] == (-size, PASSED)
    assert port.cancelled == 1


def test_nothing_is_bought_while_cooling_down_or_halted_and_a_halt_closes(manager: PositionManager, port: Port) -> None:
    manager.settle_stop(0.0)
    bar(manager, location=0.03, now=3600.0)
    assert port.trades == []
    bar(manager, location=0.03, now=1e6, gate=Gate.HALTED)
    assert port.trades == []
    bar(manager, location=0.03, now=1e6, size=0.5, gate=Gate.HALTED)
    assert port.trades[-1][0] == -0.5


def test_a_locked_gate_lets_exposure_shrink_only(manager: PositionManager, port: Port) -> None:
    bar(manager, location=0.03, gate=Gate.LOCKED)
    assert port.trades == []
    bar(manager, location=-0.05, size=50.0, gate=Gate.LOCKED)
    assert port.trades[-1][0] < 0


def test_a_refused_entry_leaves_the_manager_free(manager: PositionManager, port: Port) -> None:
    port.accepts = False
    bar(manager, location=0.03)
    assert not manager.busy


def test_an_entry_smaller_than_the_smallest_order_is_counted_and_not_sent(manager: PositionManager, port: Port) -> None:
    manager.on_bar(0.03, 0.02, 0.0, 0.0, CLOSE, 4.0, 4.0, 0.0, Gate.OPEN)
    assert (port.trades, manager.too_small) == ([], 1)
