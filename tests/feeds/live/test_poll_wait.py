"""The polling interval is short around a bar's close and in volatile markets, within its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.feeds.live.poll_wait import PollRule, poll_wait, relative_volatility


@given(st.floats(-100, 10_000), st.floats(1, 100_000), st.floats(0, 100))
def test_a_poll_wait_stays_within_its_bounds(until: float, seconds: float, volatility: float) -> None:
    rule = PollRule()
    assert rule.least <= poll_wait(rule, until_close=until, bar_seconds=seconds, relative_volatility=volatility) <= rule.most


def test_a_wait_is_short_near_the_close_shorter_in_a_volatile_market_longer_in_a_calm_one() -> None:
    rule = PollRule()
    waits = [
        poll_wait(rule, until_close=u, bar_seconds=3600, relative_volatility=a) for u, a in ((1, 1), (1800, 2), (1800, 1), (1800, 0.5))
    ]
    assert waits == [0.5, 15.0, 30.0, 60.0]


def test_the_relative_volatility_of_too_few_bars_is_one() -> None:
    assert relative_volatility([1.0, 1.1]) == 1.0
    assert relative_volatility([1.0, 1.0, 1.0] * 10 + [1.0, 1.1, 1.0, 1.1, 1.0, 1.1]) > 2
