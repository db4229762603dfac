"""The decision for all symbols together: its region without trades, its limits, and that one symbol is decided as its own rule does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forwardtrader.strategies.portfolio.decision import Outlook, is_idle, may_move, targets
from forwardtrader.strategies.portfolio.rule import PortfolioRule
from forwardtrader.strategies.signals import EdgeRule, decide

RULE = PortfolioRule(
    enter=0.0028, leave=0.0, aversion=3.0, cap=0.25, gross=1.0, net=0.6, volatility=0.02, min_change=0.025, slack=0.1,
    renewal=0.01, shrinkage=0.5,
)  # fmt: skip
FINE = replace(RULE, min_change=0.0, slack=0.0)  # trades any amount
WIDE = replace(FINE, cap=9.0, gross=99.0, net=99.0, volatility=9.0)  # no limit is near
GAINS, SCALES, HELD = st.floats(-0.03, 0.03), st.floats(0.002, 0.05), st.floats(-0.25, 0.25)
ONE = st.builds(Outlook, GAINS, SCALES, HELD, shorts=st.just(True), fixed=st.booleans(), barred=st.just(False), cost=st.just(1.0))
OUTLOOKS = st.lists(ONE, min_size=1, max_size=5)


def together(size: int, correlation: float = 0.6) -> list[list[float]]:
    return [[1.0 if i == j else correlation for j in range(size)] for i in range(size)]


def cost(x: float, held: float, rule: PortfolioRule) -> float:
    """What the decision counts for going from `held` to `x`, but for a constant."""
    if held < 0.0:
        return cost(-x, -held, rule)
    return rule.enter * max(0.0, x - held) - rule.leave * (min(max(x, 0.0), held) - held) + rule.enter * max(0.0, -x)


def worth(x: list[float], outlooks: list[Outlook], rule: PortfolioRule, correlation: float = 0.6) -> float:
    rho = together(len(x), correlation)
    risk = sum(rho[i][j] * x[i] * x[j] * outlooks[i].scale * outlooks[j].scale for i in range(len(x)) for j in range(len(x)))
    return sum(one.gain * y - cost(y, one.held, rule) for one, y in zip(outlooks, x, strict=True)) - rule.aversion / 2 * risk


def load(x: list[float], outlooks: list[Outlook], rule: PortfolioRule) -> float:
    rho = together(len(x))
    risk = sum(rho[i][j] * x[i] * x[j] * outlooks[i].scale * outlooks[j].scale for i in range(len(x)) for j in range(len(x)))
    return max(sum(map(abs, x)) / rule.gross, abs(sum(x)) / rule.net, math.sqrt(max(0.0, risk)) / rule.volatility)


@given(OUTLOOKS, st.integers(0, 4), st.floats(-0.3, 0.3))
def test_no_other_exposure_is_worth_more(outlooks: list[Outlook], place: int, step: float) -> None:
    rule = replace(WIDE, leave=0.001)
    found = targets(outlooks, together(len(outlooks)), rule)
    i = place % len(found)
    if outlooks[i].known and not outlooks[i].fixed:
        other = [*found[:i], max(-rule.cap, min(rule.cap, found[i] + step)), *found[i + 1 :]]
        assert worth(other, outlooks, rule) <= worth(found, outlooks, rule) + 1e-9


@given(GAINS, SCALES, HELD, st.floats(0.0, 1.0), st.booleans())
def test_one_symbol_is_decided_as_the_rule_of_one_symbol_decides(
    gain: float, scale: float, held: float, leave: float, shorts: bool
) -> None:
    held = held if shorts else abs(held)
    rule = replace(FINE, leave=leave * FINE.enter, net=1.0, volatility=9.0)
    edge = EdgeRule(
        round_trip=FINE.enter, margin=1.0, leave=leave, share=1.0, premium=0.0, span=1.0, risk_aversion=rule.aversion, min_change=0.0,
        shorts=shorts,
    )  # fmt: skip
    signal = decide(gain, scale, held, rule.cap, edge)
    [found] = targets([Outlook(gain, scale, held, shorts)], [[1.0]], rule)
    assert found == pytest.approx(held if signal is None else signal.exposure, abs=1e-12)


@given(OUTLOOKS)
def test_inside_the_region_nothing_is_traded(outlooks: list[Outlook]) -> None:
    rule = replace(RULE, enter=1.0, leave=1.0)  # no trade is worth that
    calm = [one for one in outlooks if one.known]
    if load([one.held for one in calm], calm, rule) <= 1.0 and all(abs(one.held) <= rule.cap for one in calm):
        assert targets(calm, together(len(calm)), rule) == [one.held for one in calm]


@given(OUTLOOKS)
def test_what_was_traded_is_not_traded_again_on_the_same_forecasts(outlooks: list[Outlook]) -> None:
    free = [one._replace(fixed=False) for one in outlooks]
    once = targets(free, together(len(free)), WIDE)
    again = targets([one._replace(held=x) for one, x in zip(free, once, strict=True)], together(len(free)), WIDE)
    assert again == pytest.approx(once, abs=1e-9)


@given(OUTLOOKS)
def test_a_mirrored_market_is_traded_in_mirror_image(outlooks: list[Outlook]) -> None:
    mirrored = [one._replace(gain=-one.gain, held=-one.held) for one in outlooks]
    found = targets(outlooks, together(len(outlooks)), RULE)
    assert [-x for x in targets(mirrored, together(len(outlooks)), RULE)] == found


@given(OUTLOOKS, st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_the_unit_of_moves_does_not_matter(outlooks: list[Outlook], unit: float) -> None:
    rule = replace(RULE, enter=RULE.enter * unit, aversion=RULE.aversion / unit, volatility=RULE.volatility * unit)
    scaled = [one._replace(gain=one.gain * unit, scale=one.scale * unit) for one in outlooks]
    assert targets(scaled, together(len(outlooks)), rule) == pytest.approx(targets(outlooks, together(len(outlooks)), RULE), abs=1e-9)


@given(OUTLOOKS)
@settings(max_examples=300)
def test_nothing_is_added_beyond_a_limit(outlooks: list[Outlook]) -> None:
    found = targets(outlooks, together(len(outlooks)), RULE)
    held = [one.held for one in outlooks]
    added = [abs(x) > abs(h) or x * h < 0 for x, h in zip(found, held, strict=True)]
    if any(added):
        assert load(found, outlooks, RULE) <= 1.0 + 1e-9
        assert all(abs(x) <= RULE.cap + 1e-12 for x, more in zip(found, added, strict=True) if more)


@given(OUTLOOKS)
@example([Outlook(-0.03, 0.03, -0.25, shorts=True), Outlook(0.0, 0.03, 0.0), Outlook(0.0, 0.03, 2.2e-313, fixed=True)])
def test_what_cannot_be_traded_stays_and_what_has_no_forecast_is_closed(outlooks: list[Outlook]) -> None:
    blind = [one._replace(gain=math.nan) if i % 2 else one for i, one in enumerate(outlooks)]
    found = targets(blind, together(len(blind)), RULE)
    for one, x in zip(blind, found, strict=True):
        assert x == one.held if one.fixed else (one.known or x == 0.0)


@given(OUTLOOKS)
def test_longs_alone_where_nothing_may_be_sold_short(outlooks: list[Outlook]) -> None:
    long = [one._replace(held=abs(one.held), shorts=False) for one in outlooks]
    assert all(x >= 0.0 for x in targets(long, together(len(long)), RULE))


@given(OUTLOOKS)
def test_an_idle_account_is_left_as_it_is(outlooks: list[Outlook]) -> None:
    flat = [one._replace(held=0.0) for one in outlooks]
    if is_idle(flat, RULE):
        assert targets(flat, together(len(flat)), RULE) == [0.0] * len(flat)


def test_after_a_stop_a_symbol_is_left_out() -> None:
    outlooks = [Outlook(0.02, 0.01, 0.0, barred=True), Outlook(0.02, 0.01, 0.0)]
    assert targets(outlooks, together(2), RULE) == [0.0, 0.25]


def test_a_hedge_takes_more_than_either_side_alone() -> None:
    rule = replace(WIDE, aversion=30.0)
    pair = [Outlook(0.01, 0.02, 0.0, shorts=True), Outlook(-0.01, 0.02, 0.0, shorts=True)]
    [alone] = targets(pair[:1], [[1.0]], rule)
    hedged = targets(pair, together(2), rule)
    assert hedged[0] > alone
    assert hedged[0] == pytest.approx(-hedged[1])


NEAR_ENTRY = st.floats(-2.0, 2.0).map(lambda share: share * RULE.enter)
MAY_BE_HELD = st.one_of(st.just(0.0), HELD)
ANY_GAIN = st.one_of(NEAR_ENTRY, GAINS, st.just(math.nan), st.just(0.0))
ANY_SCALE = st.one_of(SCALES, st.sampled_from([math.nan, 0.0]))
ANY = st.builds(
    Outlook, ANY_GAIN, ANY_SCALE, MAY_BE_HELD, shorts=st.booleans(), fixed=st.just(False), barred=st.just(False), cost=st.just(1.0)
)


def moves(outlooks: list[Outlook], rule: PortfolioRule, correlation: float = 0.6) -> bool:
    gains, scales, held = (np.array([[getattr(one, name) for one in outlooks]]) for name in ("gain", "scale", "held"))
    shorts = np.array([one.shorts for one in outlooks])
    return bool(may_move(gains, scales, held, shorts, np.array([together(len(outlooks), correlation)]), rule)[0])


@settings(max_examples=500)
@given(st.lists(ANY, min_size=1, max_size=5), st.sampled_from([RULE, FINE, WIDE, replace(RULE, slack=0.2, gross=0.3, net=0.2)]))
def test_where_nothing_may_move_what_is_held_is_what_is_wanted(outlooks: list[Outlook], rule: PortfolioRule) -> None:
    long_only = [one if one.shorts else one._replace(held=abs(one.held)) for one in outlooks]
    if not moves(long_only, rule):
        assert targets(long_only, together(len(long_only)), rule) == [one.held for one in long_only]


def test_a_position_inside_its_region_may_not_move_and_one_that_is_traded_may() -> None:
    inside = [Outlook(0.001, 0.01, 0.1, shorts=True), Outlook(-0.001, 0.01, -0.1, shorts=True), Outlook(0.0001, 0.01, 0.0)]
    assert not moves(inside, RULE)
    assert moves([*inside[:2], Outlook(0.02, 0.01, 0.0)], RULE)
    assert moves([*inside[:2], Outlook(-0.02, 0.01, 0.0, shorts=True)], RULE) and not moves([*inside[:2], Outlook(-0.02, 0.01, 0.0)], RULE)
    assert moves([Outlook(-0.02, 0.01, 0.1, shorts=True), *inside[1:]], RULE)
    assert moves([Outlook(math.nan, 0.01, 0.1), *inside[1:]], RULE) and not moves([*inside[:2], Outlook(math.nan, 0.01, 0.0)], RULE)
    assert moves(inside, replace(RULE, net=0.1, gross=0.1))
