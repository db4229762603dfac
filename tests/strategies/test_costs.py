"""Costs as shares of the traded value, and as Backtrader's commission."""

from __future__ import annotations

import pytest

from forwardtrader.strategies.costs import Costs, VenueCommission
from tests.strategies.market import knobs


def test_a_round_trip_pays_fee_slippage_and_half_the_spread_twice() -> None:
    costs = Costs.of(knobs(fee_bps=10, slippage_bps=2, spread_bps=1))
    assert costs.per_side == pytest.approx(0.00125)
    assert costs.round_trip == pytest.approx(0.0025)


@pytest.mark.parametrize(("base_fee", "size", "fee"), [(0.0, 2.0, 0.2), (0.0, -2.0, 0.2), (0.001, 2.0, 0.0), (0.001, -2.0, 0.2)])
def test_a_buy_whose_fee_is_kept_in_the_coin_pays_none_in_quote(base_fee: float, size: float, fee: float) -> None:
    commission = VenueCommission(commission=0.001, base_fee=base_fee)
    assert commission.getcommission(size, 100.0) == pytest.approx(fee)


def test_fractions_of_a_unit_can_be_bought() -> None:
    assert VenueCommission(commission=0.001).getsize(400.0, 100.0) == 0.25
