"""Rate limits: fixed windows, refusals where enforced, headers."""

from __future__ import annotations

import pytest

from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.limits import Limits, Window


def limits(*, enforced: bool) -> Limits:
    return Limits(Window(60_000, 10), Window(10_000, 2), Window(86_400_000, 3), enforced)


def test_a_window_resets_at_its_boundary() -> None:
    window = Window(60_000, 10)
    window.add(4, 59_999)
    window.add(4, 59_999)
    assert (window.used, window.seconds_left(58_500)) == (8, 2)
    window.add(1, 60_000)
    assert window.used == 1


def test_used_up_weight_is_refused_with_the_seconds_to_wait() -> None:
    held = limits(enforced=True)
    held.spend(10, 0)
    with pytest.raises(ApiError) as caught:
        held.spend(1, 30_000)
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == (-1003, 429, 30)
    held.spend(1, 60_000)


def test_each_window_of_orders_is_enforced() -> None:
    held = limits(enforced=True)
    for at in (0, 1):
        held.count_order(at)
    with pytest.raises(ApiError, match="2 orders per 10 SECOND"):
        held.count_order(2)
    held.count_order(10_000)
    with pytest.raises(ApiError, match="3 orders per 1 DAY"):
        held.count_order(20_000)


def test_without_enforcement_they_are_only_counted() -> None:
    held = limits(enforced=False)
    for _ in range(5):
        held.spend(10, 0)
        held.count_order(0)
    assert held.headers(orders=True) == {
        "X-MBX-USED-WEIGHT": "50", "X-MBX-USED-WEIGHT-1M": "50", "X-MBX-ORDER-COUNT-10S": "5", "X-MBX-ORDER-COUNT-1D": "5",
    }  # fmt: skip
    assert "X-MBX-ORDER-COUNT-10S" not in held.headers(orders=False)


def test_the_description_has_counts_on_request() -> None:
    held = limits(enforced=False)
    held.spend(7, 0)
    [weight] = held.described(orders=False, counts=True)
    assert (weight["rateLimitType"], weight["limit"], weight["count"]) == ("REQUEST_WEIGHT", 10, 7)
    assert all("count" not in row for row in held.described(orders=True, counts=False))
