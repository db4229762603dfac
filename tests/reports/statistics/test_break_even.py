"""The arithmetic of trading: what must be reached, and how many bars show it."""

from __future__ import annotations

import math

import pytest

from forwardtrader.reports.statistics.break_even import bars_to_show, break_even_accuracy, hit_rate
from forwardtrader.reports.verdict import ALARM_IC, ALARM_SHARPE, MIN_BARS, MIN_YEARS


@pytest.mark.parametrize(
    ("move", "cost", "needed"), [(0.004, 0.002, 0.75), (0.004, 0.001, 0.625), (0.02, 0.002, 0.55), (0.02, 0.001, 0.525)]
)
def test_accuracy_needed_when_every_bar_is_traded(move: float, cost: float, needed: float) -> None:
    assert break_even_accuracy(move, cost) == pytest.approx(needed)


def test_a_market_that_does_not_move_never_pays() -> None:
    assert math.isnan(break_even_accuracy(0.0, 0.001))


@pytest.mark.parametrize(("ic", "hits"), [(0.02, 0.506), (0.05, 0.516), (0.10, 0.532), (0.20, 0.564)])
def test_hit_rate_of_an_information_coefficient(ic: float, hits: float) -> None:
    assert hit_rate(ic) == pytest.approx(hits, abs=5e-4)


@pytest.mark.parametrize(("ic", "bars"), [(0.02, 15_458), (0.05, 2_473), (0.10, 618), (0.20, 155)])
def test_bars_that_show_an_information_coefficient(ic: float, bars: int) -> None:
    assert bars_to_show(ic) == pytest.approx(bars, abs=2)


def test_the_least_that_the_verdict_asks_for_is_what_its_alarms_would_need() -> None:
    assert pytest.approx(bars_to_show(ALARM_IC), abs=1) == MIN_BARS
    assert pytest.approx(bars_to_show(2.0), abs=0.01) == MIN_YEARS
    assert ALARM_SHARPE > 2.0
