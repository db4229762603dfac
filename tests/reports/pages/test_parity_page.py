from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.pages.parity_page import Difference, Parity, read_parity, render_parity_page, write_parity
from tests.reports.browser import look_at

EQUAL = Parity(
    name="paper-btc", bars=960, forecasts_equal=True, orders_equal=True, fills_equal=True, compared={"forecasts": 960, "orders": 41}
)
FIRST = Difference(at="2022-03-04T05:00:00Z", what="order size", session="0.1342", replay="0.1341")
DIFFERENT = EQUAL.model_copy(update={"orders_equal": False, "first_difference": FIRST, "differences": [FIRST] * 300})


def test_equal_sessions_say_so(tmp_path: Path) -> None:
    text = write_parity(tmp_path, EQUAL).read_text()
    assert ">Equal<" in text
    assert "Different" not in text
    assert read_parity(tmp_path) == EQUAL


def test_the_first_difference_is_named_with_both_values(tmp_path: Path) -> None:
    text = write_parity(tmp_path, DIFFERENT).read_text()
    assert ">Different<" in text
    assert "First difference at 2022-03-04 05:00 in order size" in text
    assert "0.1341" in text
    assert "The first 200 of 300" in text


@pytest.mark.parametrize("name", ["forecasts_equal", "orders_equal", "fills_equal", "equity_equal"])
def test_one_difference_is_enough_to_be_different(name: str) -> None:
    assert EQUAL.equal
    assert not EQUAL.model_copy(update={name: False}).equal


def test_without_a_comparison_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunUnreadable, match=r"live\.parity"):
        render_parity_page(tmp_path)


def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    found, console = look_at({"parity": write_parity(tmp_path, DIFFERENT)}, tmp_path, 390)
    assert console == []
    assert found["parity"]["content"] <= 390
