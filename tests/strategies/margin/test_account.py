"""The margin account conserves money, liquidates where equity meets maintenance, and never invents a gain."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.types import MarginTier, MarketRules
from forwardtrader.strategies.margin.account import MarginAccount, Stake, split
from forwardtrader.strategies.margin.liquidation import closings, is_due, liquidate, liquidation_price, make_good
from forwardtrader.strategies.margin.tiers import TierTable

TIERS = tuple(
    MarginTier(notional_from=Decimal(start), max_leverage=Decimal(most), maintenance_rate=Decimal(rate), maintenance_amount=Decimal(amount))
    for start, most, rate, amount in ((0, 50, "0.01", 0), (20_000, 10, "0.05", 800), (90_000, 2, "0.25", 18_800))
)
BTC = MarketRules(
    symbol="BTC/USDT:USDT", base="BTC", quote="USDT", settle="USDT", tick=Decimal("0.1"), step=Decimal("0.001"), can_short=True,
    margin_tiers=TIERS,
)  # fmt: skip
ETH = replace(BTC, symbol="ETH/USDT:USDT", base="ETH")

prices = st.floats(0.5, 500.0)
sizes = st.floats(-300.0, 300.0)
changes = st.tuples(st.integers(0, 1), sizes, prices, st.booleans())
settlements = st.tuples(st.integers(0, 1), st.floats(-0.01, 0.01), prices)


def opened(wallet: float = 10_000.0, leverage: float = 1.0) -> MarginAccount:
    account = MarginAccount(wallet, leverage, [Stake.of(BTC), Stake.of(ETH)])
    for stake in account.stakes:
        stake.mark = 100.0
    return account


@given(st.lists(st.one_of(changes, settlements), max_size=30), prices, prices)
def test_money_is_conserved(events: list[tuple[float, ...]], btc: float, eth: float) -> None:
    account = opened()
    moved = 0.0
    for event in events:
        stake = account.stakes[int(event[0])]
        if len(event) == 4:
            before = account.equity()
            fee = abs(event[1]) * event[2] * 0.0005
            account.settle(stake, event[1], event[2], fee, maker=bool(event[3]))
            assert account.equity() - before == pytest.approx(event[1] * (stake.mark - event[2]) - fee, abs=1e-6)
        else:
            moved += account.fund(stake, event[2], event[1])
    account.stakes[0].mark, account.stakes[1].mark = btc, eth
    tally = account.tally
    scale = 1e-9 * (1.0 + sum(abs(event[1] * event[2]) for event in events))
    assert account.wallet == pytest.approx(tally.balance, abs=scale)
    assert account.equity() == pytest.approx(tally.balance + account.unrealised(), abs=scale)
    assert tally.funding_long + tally.funding_short == pytest.approx(moved, abs=scale)


@given(st.floats(0.0, 200_000.0), st.floats(0.0, 200_000.0))
def test_maintenance_is_continuous_and_never_falls(low: float, high: float) -> None:
    table = TierTable.of(TIERS)
    low, high = min(low, high), max(low, high)
    assert table.maintenance(low) <= table.maintenance(high)
    for start in table.starts[1:]:
        assert table.maintenance(start) == pytest.approx(table.maintenance(math.nextafter(start, math.inf)))


@given(size=st.floats(-150.0, 150.0).filter(lambda x: abs(x) > 0.01), wallet=st.floats(500.0, 20_000.0), other=st.floats(-20.0, 20.0))
def test_the_liquidation_price_is_where_equity_meets_the_maintenance_margin(size: float, wallet: float, other: float) -> None:
    account = opened(wallet)
    account.settle(account.stakes[0], size, 100.0, 0.0)
    account.settle(account.stakes[1], other, 100.0, 0.0)
    if is_due(account):
        return
    stake = account.stakes[0]
    price = liquidation_price(account, stake)
    assert price < 100.0 if size > 0.0 else price > 100.0
    if 0.0 < price < math.inf:
        stake.mark = price
        assert account.equity() == pytest.approx(account.maintenance(), abs=1e-6 * wallet)


@given(
    size=st.floats(-200.0, 200.0), other=st.floats(-200.0, 200.0), wallet=st.floats(100.0, 20_000.0), fall=st.floats(0.0, 0.9),
    fee=st.floats(0.0, 0.02),
)  # fmt: skip
def test_a_liquidation_leaves_no_position_and_no_debt(size: float, other: float, wallet: float, fall: float, fee: float) -> None:
    account = opened(wallet)
    account.settle(account.stakes[0], size, 100.0, 0.0)
    account.settle(account.stakes[1], other, 100.0, 0.0)
    first = account.equity()
    due = closings(account, fee, [100.0 * (1.0 - fall if s.size > 0.0 else 1.0 + fall) for s in account.stakes])
    if not due:
        assert account.equity() == first
        return
    assert account.equity() <= account.maintenance()
    for closing in due:
        liquidate(account, closing)
    lacking = make_good(account)
    assert all(stake.size == 0.0 for stake in account.stakes)
    assert account.wallet >= 0.0
    assert not lacking or account.wallet == 0.0
    assert account.wallet == pytest.approx(account.tally.balance, abs=1e-6 * (wallet + abs(size) + abs(other)))


def test_an_account_beyond_bankruptcy_ends_at_zero_and_says_what_the_fund_bore() -> None:
    account = opened(1000.0, leverage=10.0)
    account.settle(account.stakes[0], 90.0, 100.0, 0.0)
    assert closings(account, 0.01, [95.0, 100.0]) == []
    [closing] = closings(account, 0.01, [85.0, 100.0])
    assert (closing.price, closing.fee) == (85.0, pytest.approx(76.5))
    liquidate(account, closing)
    assert make_good(account) == pytest.approx(426.5)
    assert (account.wallet, account.tally.insured, account.tally.liquidations) == (0.0, pytest.approx(426.5), 1)


def test_funding_is_paid_by_longs_and_received_by_shorts() -> None:
    account = opened()
    account.settle(account.stakes[0], 10.0, 100.0, 0.0)
    account.settle(account.stakes[1], -5.0, 100.0, 0.0)
    assert account.fund(account.stakes[0], 110.0, 0.0001) == pytest.approx(-0.11)
    assert account.fund(account.stakes[1], 90.0, 0.0001) == pytest.approx(0.045)
    assert (account.tally.funding_long, account.tally.funding_short) == (pytest.approx(-0.11), pytest.approx(0.045))


@pytest.mark.parametrize(("change", "leverage", "why"), [
    (100.0, 1.0, ""),
    (100.1, 1.0, "not enough free margin: 10,010.00 USDT are needed at leverage 1, and the account has 10,000.00"),
    (-100.1, 1.0, "not enough free margin"),
    (100.1, 2.0, ""),
    (201.0, 20.0, "a position of 20,100.00 USDT is above what BTC/USDT:USDT allows at leverage 20"),
    (1.0, 51.0, "is above what BTC/USDT:USDT allows at leverage 51"),
])  # fmt: skip
def test_what_the_margin_does_not_allow_is_refused_by_its_reason(change: float, leverage: float, why: str) -> None:
    account = opened(leverage=leverage)
    refusal = account.refusal(account.stakes[0], change, 100.0, 0.0)
    assert why in refusal
    assert bool(why) == bool(refusal)


def test_what_only_closes_is_never_refused() -> None:
    account = opened(100.0)
    account.settle(account.stakes[0], 50.0, 100.0, 0.0)
    assert account.refusal(account.stakes[0], 1.0, 100.0, 0.0)
    assert not account.refusal(account.stakes[0], -50.0, 100.0, 0.0)


@given(sizes, sizes)
def test_a_change_is_split_into_what_closes_and_what_opens(size: float, change: float) -> None:
    closed, opened_part = split(size, change)
    assert closed + opened_part == pytest.approx(change)
    assert abs(size + closed) <= abs(size)
    assert not opened_part or abs(size + change) >= abs(size + closed)
