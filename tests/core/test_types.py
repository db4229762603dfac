"""Slippage makes a fill worse, whichever side it is on; spans of time are read as they were written."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import format_span, parse_span, slipped


@given(st.floats(1e-6, 1e9), st.floats(1e-5, 0.5))
def test_a_buy_pays_more_and_a_sale_gets_less_by_the_same_share(price: float, share: float) -> None:
    bought, sold = slipped(price, share, buys=True), slipped(price, share, buys=False)
    assert sold < price < bought
    assert abs((bought - price) - (price - sold)) <= 1e-9 * price


def test_without_slippage_the_price_stays() -> None:
    assert slipped(100.0, 0.0, buys=True) == slipped(100.0, 0.0, buys=False) == 100.0


@given(st.timedeltas(min_value=timedelta(0)))
def test_a_span_is_read_back_as_it_was_written(span: timedelta) -> None:
    assert parse_span(format_span(span)) == span


def test_a_span_is_written_in_whole_units_as_large_as_can_be() -> None:
    told = {timedelta(0): "0d", timedelta(days=14): "14d", timedelta(minutes=90): "90m", timedelta(seconds=2): "2s"}
    told |= {timedelta(seconds=61): "61s", timedelta(milliseconds=1500): "1500ms", timedelta(microseconds=1): "1us"}
    assert {span: format_span(span) for span in told} == told


@pytest.mark.parametrize("text", ["-1d", "1.5h", "2 h", "h", "", "9999999999d", "9" * 400 + "h", "9" * 5000 + "h"])
def test_what_is_no_span_of_time_is_one_line(text: str) -> None:
    with pytest.raises(InvalidSetting, match="span of time") as caught:
        parse_span(text)
    assert "\n" not in str(caught.value)
