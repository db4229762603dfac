"""Cross margin: tiers, leverage, and what an account may still use."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.margin import maintenance, tier_of
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue
from tests.sandbox.engine.perpetuals import FLAT, FREE, PERPETUAL, perpetual_venue, take

TIERS = [[0, 50, "0.01"], [1000, 10, "0.02"], [5000, 2, "0.1"]]


@pytest.fixture
def venue(tmp_path: Path) -> SandboxVenue:
    return perpetual_venue(tmp_path, [FLAT] * 5, tiers=TIERS, leverage=10, balances={"USDT": 1000}, **FREE)


def test_the_maintenance_margin_has_no_jump_where_two_tiers_meet(venue: SandboxVenue) -> None:
    rules = venue.exchange.listings[PERPETUAL].rules
    for tier in rules.margin_tiers[1:]:
        at = tier.notional_from
        assert tier_of(rules, at).notional_from < at < tier_of(rules, at + 1).notional_from + 1
        assert at * tier.maintenance_rate - tier.maintenance_amount == maintenance(rules, at, Decimal(1))
    assert maintenance(rules, Decimal(-20), Decimal(100)) == 30  # 1000 at one per cent, 1000 at two
    assert maintenance(rules, Decimal(0), Decimal(100)) == 0


def test_margin_at_the_mark_and_profit_decide_what_is_free(venue: SandboxVenue) -> None:
    account, listing = venue.exchange.accounts[ACCOUNT], venue.exchange.listings[PERPETUAL]
    take(venue, Side.BUY, "10")
    assert account.available("USDT") == 900
    listing.mark_price = Decimal(120)
    assert (venue.margin.equity(account, "USDT"), account.available("USDT"), account.total("USDT")) == (1200, 1080, 1000)
    listing.mark_price = Decimal(90)
    assert account.available("USDT") == 810


def test_a_leverage_above_the_tier_of_the_position_is_refused(venue: SandboxVenue) -> None:
    account = venue.exchange.accounts[ACCOUNT]
    with pytest.raises(OrderRefused) as refused:
        take(venue, Side.BUY, "51")
    assert refused.value.reason is RefusalReason.LEVERAGE
    venue.margin.set_leverage(account, PERPETUAL, Decimal(2))
    with pytest.raises(OrderRefused) as refused:
        take(venue, Side.BUY, "51")
    assert refused.value.reason is RefusalReason.INSUFFICIENT_BALANCE
    take(venue, Side.BUY, "15")
    for leverage, reason in ((20, RefusalReason.LEVERAGE), (51, RefusalReason.LEVERAGE_RANGE), (1, RefusalReason.INSUFFICIENT_BALANCE)):
        with pytest.raises(OrderRefused) as refused:
            venue.margin.set_leverage(account, PERPETUAL, Decimal(leverage))
        assert refused.value.reason is reason
        assert venue.margin.leverage(account, PERPETUAL) == 2


def test_an_account_in_hedge_mode_takes_no_order_without_a_side(venue: SandboxVenue) -> None:
    venue.exchange.accounts[ACCOUNT].mode.hedged = True
    with pytest.raises(OrderRefused) as refused:
        take(venue, Side.BUY, "1")
    assert refused.value.reason is RefusalReason.POSITION_MODE


def test_one_tier_is_enough(venue: SandboxVenue) -> None:
    rules = replace(venue.exchange.listings[PERPETUAL].rules, margin_tiers=venue.exchange.listings[PERPETUAL].rules.margin_tiers[:1])
    assert tier_of(rules, Decimal(10**9)).max_leverage == 50
