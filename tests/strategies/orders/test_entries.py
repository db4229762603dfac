"""The choice between resting and the market, and what a bar fills of an order that rests."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.orders.entries import EntryRule, Then, crosses, left_for_market, part_filled, volume_objection
from tests.strategies.market import BTC, PERP, knobs

PERPETUAL = replace(PERP, settle="USDT", maker_fee=Decimal("0.0002"))
MAKER = {"entry": "maker", "fee_bps": 5.0, "slippage_bps": 2.0, "spread_bps": 1.0}


def rule(**changes: object) -> EntryRule:
    found = EntryRule.of(knobs(**{**MAKER, **changes}), PERPETUAL, 4)
    assert found is not None
    return found


def test_every_entry_goes_to_the_market_by_default() -> None:
    assert EntryRule.of(knobs(), PERPETUAL, 4) is None


def test_what_resting_saves_is_the_difference_of_fees_the_slippage_and_half_the_spread() -> None:
    assert rule().saved == pytest.approx((5.0 - 2.0 + 2.0 + 0.5) / 1e4)
    assert rule(maker_fee_bps=-1.0).saved == pytest.approx((5.0 + 1.0 + 2.0 + 0.5) / 1e4)
    spot = EntryRule.of(knobs(**MAKER), BTC, 4)
    assert spot is not None
    assert spot.saved == pytest.approx(2.5e-4)  # nobody said that spot has another fee for makers


@pytest.mark.parametrize(("deadline", "reach"), [(1, 0.25), (2, 0.5), (4, 1.0), (9, 1.0)])
def test_a_small_expected_move_rests_and_a_large_one_goes_to_the_market(deadline: int, reach: float) -> None:
    chosen = rule(entry_deadline=deadline)
    at = chosen.saved / reach
    assert chosen.rests(0.99 * at, buys=True)
    assert not chosen.rests(1.01 * at, buys=True)
    assert chosen.rests(-0.99 * at, buys=False)
    assert not chosen.rests(-1.01 * at, buys=False)
    assert chosen.rests(-0.1, buys=True)  # a hedge that the forecast is against loses nothing by waiting


def test_it_rests_half_the_spread_from_the_close_and_a_tick_at_least() -> None:
    assert rule(spread_bps=10.0).limit(20_000.0, BTC, buys=True) == pytest.approx(19_990.0)
    assert rule(spread_bps=10.0).limit(20_000.0, BTC, buys=False) == pytest.approx(20_010.0)
    assert rule(spread_bps=0.0).limit(20_000.0, BTC, buys=True) == pytest.approx(19_999.99)


@pytest.mark.parametrize(
    ("buys", "worst", "filled"),
    [(True, 100.0, 0.0), (True, 99.99, 2.0), (True, 90.0, 2.0), (False, 100.0, 0.0), (False, 100.01, 2.0), (False, 99.0, 0.0)],
)
def test_only_a_price_beyond_the_limit_by_a_tick_fills(buys: bool, worst: float, filled: float) -> None:
    assert part_filled(100.0, 2.0, worst, 1e9, BTC, buys=buys) == filled


@given(limit=st.integers(2, 10**7), ticks=st.integers(-3, 3))
def test_floats_on_the_grid_do_not_move_the_line(limit: int, ticks: int) -> None:
    price, low = float(Decimal(limit) * BTC.tick), float(Decimal(limit - ticks) * BTC.tick)
    assert bool(part_filled(price, 1.0, low, 1e9, BTC, buys=True)) == (ticks >= 1)


@given(rest=st.integers(1, 10**9), room=st.floats(0, 1e5) | st.just(float("nan")))
def test_a_bar_fills_no_more_than_its_share_and_all_that_is_left_as_it_is(rest: int, room: float) -> None:
    left = float(Decimal(rest) * BTC.step)
    units = part_filled(100.0, left, 90.0, room, BTC, buys=True)
    assert units == left or (0.0 <= units <= room and units < left) or (np.isnan(room) and units == 0.0)


def test_what_is_left_for_the_market_is_what_the_venue_takes_at_once() -> None:
    assert left_for_market(0.00002, 20_000.0, BTC) == 0  # worth less than the smallest order
    assert left_for_market(0.123456, 20_000.0, BTC) == Decimal("0.12345")
    assert left_for_market(0.5, 20_000.0, replace(BTC, max_market_size=Decimal("0.2"))) == Decimal("0.2")


def test_a_post_only_order_crosses_where_the_market_is_at_its_limit_or_beyond() -> None:
    assert crosses(100.0, 100.0, buys=True) and crosses(100.0, 99.0, buys=True) and not crosses(100.0, 100.01, buys=True)
    assert crosses(100.0, 100.0, buys=False) and crosses(100.0, 101.0, buys=False) and not crosses(100.0, 99.99, buys=False)


def test_a_volume_that_is_unknown_is_told_where_something_fills_by_it() -> None:
    none, some = {"BTC/USDT": np.zeros(3)}, {"BTC/USDT": np.array([0.0, 1.0])}
    assert volume_objection(knobs(), none) == volume_objection(knobs(entry="maker"), some) == ""
    assert "BTC/USDT: the volume is unknown, by which strategies.entry maker fills" in volume_objection(knobs(entry="maker"), none)
    assert "limit_fills through" in volume_objection(knobs(limit_fills="through"), {"BTC/USDT": np.full(2, np.nan)})


@pytest.mark.parametrize("bad", [{"entry": "twap"}, {"entry_deadline": 0}, {"entry_then": "wait"}, {"volume_share": 0.0}])
def test_a_policy_that_is_none_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        knobs(**bad)


def test_what_follows_is_named_as_in_the_settings() -> None:
    assert rule(entry_then="give_up").then is Then.GIVE_UP
