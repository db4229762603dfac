"""What an error in answer to an order means."""

from __future__ import annotations

import pytest

from forwardtrader.live.venue.ccxt_errors import KNOWN, OrderOutcome, classify

TABLE = [
    ("InvalidOrder", "-1013 Filter failure: LOT_SIZE", OrderOutcome.REJECTED),
    ("BadRequest", "-1013 Filter failure: NOTIONAL", OrderOutcome.REJECTED),
    ("InsufficientFunds", "-2010 Account has insufficient balance for requested action.", OrderOutcome.MARGIN),
    ("InvalidOrder", "-2010 Duplicate order sent.", OrderOutcome.ADOPT),
    ("InvalidNonce", "-1021 Timestamp for this request", OrderOutcome.RESEND),
    ("DDoSProtection", "418 I'm a teapot", OrderOutcome.BUSY),
    ("RateLimitExceeded", "-1015 Too many new orders", OrderOutcome.BUSY),
    ("RateLimitExceeded", '{"code":-1003}', OrderOutcome.UNKNOWN),
    ("OperationFailed", "-1006 An unexpected response", OrderOutcome.UNKNOWN),
    ("OperationFailed", "-1008 Server is currently overloaded", OrderOutcome.UNKNOWN),
    ("RequestTimeout", "-1007 Timeout waiting for response", OrderOutcome.UNKNOWN),
    ("ExchangeNotAvailable", "reset by peer", OrderOutcome.UNKNOWN),
    ("CancelledError", "", OrderOutcome.UNKNOWN),
    ("KeyError", "'orderId'", OrderOutcome.UNKNOWN),
    ("AuthenticationError", "-2015 Invalid API-key", OrderOutcome.HALT),
    ("DDoSProtection", '{"code":-2015,"msg":"Invalid API-key"}', OrderOutcome.HALT),
]


@pytest.mark.parametrize(("name", "text", "outcome"), TABLE)
def test_every_answer_to_an_order_has_its_meaning(name: str, text: str, outcome: OrderOutcome) -> None:
    assert classify([name, "Exception"], text) is outcome


def test_every_error_of_ccxt_is_in_the_table() -> None:
    from ccxt.base import errors

    known = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Exception) and e.__module__.startswith("ccxt")}
    assert known - set(KNOWN) == set()
