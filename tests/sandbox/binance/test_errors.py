"""Every refusal and every injected fault has an error of Binance."""

from __future__ import annotations

import pytest

from forwardtrader.sandbox.binance.errors import CANCEL, QUERY, injected, refused
from forwardtrader.sandbox.faults.request_faults import BEFORE
from forwardtrader.sandbox.orders.refusal import RefusalReason

FAULTS = [*BEFORE.values(), "banned", "not found", "status unknown", *(f"unavailable {how}" for how in ("503", "overloaded", "html"))]


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_every_refusal_has_a_code(reason: RefusalReason) -> None:
    assert refused(reason).code < 0


def test_an_unknown_order_has_one_code_for_a_cancel_and_another_for_a_query() -> None:
    assert (refused(RefusalReason.UNKNOWN_ORDER, CANCEL).code, refused(RefusalReason.UNKNOWN_ORDER, QUERY).code) == (-2011, -2013)


@pytest.mark.parametrize("what", FAULTS)
def test_every_injected_fault_has_an_error(what: str) -> None:
    assert injected(what, 1.0, 0).status >= 400


def test_a_ban_names_its_end_and_the_seconds_to_wait() -> None:
    error = injected("banned", 4.2, 1000)
    assert (error.status, error.retry_after) == (418, 5)
    assert "until 6000" in error.text
