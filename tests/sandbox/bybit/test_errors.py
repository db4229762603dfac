"""Every refusal and every injected fault has an error of Bybit."""

from __future__ import annotations

import pytest

from forwardtrader.sandbox.bybit.errors import bad_time, injected, refused
from forwardtrader.sandbox.faults.request_faults import BEFORE
from forwardtrader.sandbox.orders.refusal import RefusalReason

FAULTS = [*BEFORE.values(), "banned", "not found", "status unknown", *(f"unavailable {how}" for how in ("503", "overloaded", "html"))]


# Bybit has no order lists.
@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("reason", [reason for reason in RefusalReason if reason is not RefusalReason.LIST_PRICES])
def test_every_refusal_has_a_code(reason: RefusalReason, linear: bool) -> None:
    assert refused(reason, linear=linear).code > 0


def test_some_codes_of_a_contract_are_its_own() -> None:
    reason = RefusalReason.INSUFFICIENT_BALANCE
    assert (refused(reason, linear=False).code, refused(reason, linear=True).code) == (170131, 110007)


@pytest.mark.parametrize("what", FAULTS)
def test_every_injected_fault_has_an_error(what: str) -> None:
    assert injected(what, 1.0).code >= 10000


def test_only_rate_limits_name_the_seconds_to_wait() -> None:
    assert (injected("banned", 5.0).retry_after, injected("too many requests", 0.2).retry_after) == (5, 1)
    assert injected("revoked", 5.0).retry_after is None


def test_a_late_request_names_both_times_and_the_window() -> None:
    assert "req_timestamp[1],server_timestamp[9],recv_window[5]" in bad_time(1, 9, 5).text
