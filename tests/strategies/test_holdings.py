"""How much of an execution closes a trade, and how much opens one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.holdings import trade_parts


@pytest.mark.parametrize(
    ("before", "size", "known", "is_flat", "parts"),
    [
        (0.0, 1.0, False, False, (0.0, 1.0)),  # a first buy opens
        (1.0, 1.0, True, False, (0.0, 1.0)),  # more of it
        (0.1, 1.0, False, False, (0.0, 1.1)),  # dust of an earlier trade is opened with the next buy
        (2.0, -1.0, True, False, (-1.0, 0.0)),  # a part is closed
        (2.0, -1.9, True, True, (-2.0, 0.0)),  # what is left is dust: all of it is closed
        (1.0, -3.0, True, False, (-1.0, -2.0)),  # turned to the other side
    ],
)
def test_an_execution_is_split_by_what_it_does_to_the_trade(
    before: float, size: float, known: bool, is_flat: bool, parts: tuple[float, float]
) -> None:
    assert trade_parts(before, size, known=known, is_flat=is_flat) == pytest.approx(parts)


@given(st.floats(-10, 10), st.floats(-10, 10).filter(bool))
def test_the_parts_of_an_execution_in_a_known_trade_add_up_to_it(before: float, size: float) -> None:
    closed, opened = trade_parts(before, size, known=True, is_flat=False)
    assert closed + opened == pytest.approx(size)
