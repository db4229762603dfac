"""Authentication: key, signature and time window."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from forwardtrader.sandbox.binance.auth import check_key, check_signature, check_time, rest_payload, socket_payload
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.venue import Keys

KEYS = Keys("key", "secret", "token")
NOW = 1_000_000


def code_of(call: object, *arguments: object) -> int:
    with pytest.raises(ApiError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_a_missing_key_and_a_wrong_key_differ() -> None:
    assert check_key("key", KEYS) == "secret"
    assert code_of(check_key, None, KEYS) == -2014
    assert code_of(check_key, "other", KEYS) == -2015


def test_a_signature_belongs_to_its_payload() -> None:
    signature = hmac.new(b"secret", b"a=1&b=2", hashlib.sha256).hexdigest()
    check_signature("a=1&b=2", signature, "secret")
    check_signature("a=1&b=2", signature.upper(), "secret")
    assert code_of(check_signature, "a=1&b=3", signature, "secret") == -1022
    assert code_of(check_signature, "a=1&b=2", None, "secret") == -1102


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"timestamp": str(NOW)}, 0),
        ({"timestamp": str(NOW - 5000)}, 0),
        ({"timestamp": str(NOW - 5001)}, -1021),
        ({"timestamp": str(NOW - 9000), "recvWindow": "10000"}, 0),
        ({"timestamp": str(NOW + 999)}, 0),
        ({"timestamp": str(NOW + 1000)}, -1021),
        ({"timestamp": str(NOW), "recvWindow": "60001"}, -1131),
        ({"timestamp": "soon"}, -1100),
        ({"timestamp": str(NOW), "recvWindow": "-1"}, -1100),
        ({}, -1102),
    ],
    ids=str,
)
def test_a_request_must_lie_in_its_time_window(params: dict[str, str], code: int) -> None:
    if code:
        assert code_of(check_time, params, NOW) == code
    else:
        check_time(params, NOW)


def test_the_signed_text_leaves_out_the_signature() -> None:
    assert rest_payload("b=2&a=1&signature=x", "") == "b=2&a=1"
    assert rest_payload("a=1", "b=2&signature=x") == "a=1b=2"
    assert socket_payload({"b": "2", "signature": "x", "a": "1"}) == "a=1&b=2"
