"""Which account it is, in a form that reveals no key, and the refusal of another one."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import StartRefused
from forwardtrader.live.venue.identity import key_fingerprint, practice_account, real_account, require_same_account

SPOT = ("BTC/USDT",)
MINE = real_account("binance", "", "my-key", SPOT)


def test_an_account_is_named_by_venue_host_kind_and_a_fingerprint_of_its_key() -> None:
    assert MINE.text == f"binance (spot) at api.binance.com:443, key {MINE.key}"
    assert real_account("binance", "http://127.0.0.1:8123", "my-key", SPOT).host == "127.0.0.1:8123"
    assert practice_account("bybit", ("BTC/USDT:USDT",)).text == "bybit (perpetual) at practice exchange"


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_fingerprint_tells_keys_apart_and_shows_neither(one: str, other: str) -> None:
    assert (key_fingerprint("binance", one) == key_fingerprint("binance", other)) is (one == other)
    assert key_fingerprint("binance", one) != key_fingerprint("bybit", one)
    assert len(key_fingerprint("binance", one)) == 12


def test_the_same_account_goes_on_and_one_of_an_earlier_version_is_adopted() -> None:
    require_same_account(asdict(MINE), MINE, "one")
    require_same_account(None, MINE, "one")


@pytest.mark.parametrize(
    "other",
    [
        replace(MINE, venue="bybit"), replace(MINE, host="127.0.0.1:9"), replace(MINE, key="0" * 12), replace(MINE, kind="perpetual"),
        practice_account("binance", SPOT),
    ],
)  # fmt: skip
def test_another_account_is_refused_in_one_line_that_names_both(other: Any) -> None:
    with pytest.raises(StartRefused) as found:
        require_same_account(asdict(MINE), other, "one")
    said = str(found.value)
    assert MINE.text in said and other.text in said and "nothing was taken over" in said and "\n" not in said
    assert found.value.exit_code == 5


@pytest.mark.parametrize("damaged", [{}, {"venue": "binance"}, {**asdict(MINE), "more": 1}, "binance", [1], 0])
def test_what_cannot_be_compared_is_refused_too(damaged: Any) -> None:
    with pytest.raises(StartRefused):
        require_same_account(damaged, MINE, "one")
