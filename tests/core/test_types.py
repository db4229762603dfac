"""Slippage makes a fill worse, whichever side it is on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.types import slipped


@given(st.floats(1e-6, 1e9), st.floats(1e-5, 0.5))
def test_a_buy_pays_more_and_a_sale_gets_less_by_the_same_share(price: float, share: float) -> None:
    bought, sold = slipped(price, share, buys=True), slipped(price, share, buys=False)
    assert sold < price < bought
    assert abs((bought - price) - (price - sold)) <= 1e-9 * price


def test_without_slippage_the_price_stays() -> None:
    assert slipped(100.0, 0.0, buys=True) == slipped(100.0, 0.0, buys=False) == 100.0
