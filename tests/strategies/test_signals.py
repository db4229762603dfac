"""The decision: trade only where the edge pays, and never flip-flop."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.signals import ADD, ENTER, LEAVE, NO_MODEL, REDUCE, RISK, EdgeRule, Signal, decide, expected_gain

RULE = EdgeRule(round_trip=0.0025, margin=1.5, leave=0.0, share=1.0, premium=0.0, span=1.0, risk_aversion=1.0, min_change=0.1)
NAN = float("nan")

edges = st.floats(-0.2, 0.2)
scales = st.floats(1e-4, 0.3)
caps = st.floats(0.0, 1.0)
exposures = st.floats(-1.5, 1.5)
rules = st.builds(
    EdgeRule,
    round_trip=st.floats(0, 0.02),
    margin=st.floats(0, 5),
    leave=st.floats(0, 5),
    share=st.floats(0.1, 1),
    premium=st.floats(0, 1),
    span=st.floats(0.1, 20),
    risk_aversion=st.floats(0.1, 50),
    min_change=st.floats(0, 1),
    shorts=st.booleans(),
)


@pytest.mark.parametrize(
    ("location", "held", "cap", "expected"),
    [
        (0.0037, 0.0, 0.5, None),  # 37 bp do not beat 1.5 round trips of 25 bp
        (0.0060, 0.0, 0.5, Signal(0.5, ENTER)),  # (60 - 37.5) bp over a variance of 4 bp is 5.6: the cap binds
        (0.0060, 0.5, 0.5, None),
        (0.0001, 0.5, 0.5, Signal(0.25, REDUCE)),  # 1 bp over 4 bp of variance
        (0.0010, 0.5, 0.5, None),  # too little to enter on, enough to stay for
        (-0.0001, 0.5, 0.5, Signal(0.0, LEAVE)),
        (-0.0001, 0.0, 0.5, None),
        (0.0060, 0.2, 0.5, Signal(0.5, ADD)),
        (0.0060, 0.47, 0.5, None),  # a change of 0.03 is below a tenth of the cap
        (0.0060, 0.5, 0.3, Signal(0.3, RISK)),
        (0.0060, 0.5, 0.0, Signal(0.0, LEAVE)),
        (NAN, 0.5, 0.5, Signal(0.0, NO_MODEL)),
        (NAN, 0.0, 0.5, None),
        (-0.0500, 0.0, 0.5, None),  # spot: no shorts
    ],
)
def test_a_decision_by_hand(location: float, held: float, cap: float, expected: Signal | None) -> None:
    assert decide(location, 0.02, held, cap, RULE) == expected


def test_a_fall_worth_a_round_trip_is_stepped_aside_from_and_nothing_is_added_against_a_forecast() -> None:
    patient = replace(RULE, premium=0.5, span=14.0)  # 100 bp over two weeks: the whole outlook stays good
    assert decide(-0.0037, 0.02, 0.4, 0.4, patient) is None
    assert decide(-0.0038, 0.02, 0.4, 0.4, patient) == Signal(0.0, LEAVE)
    assert decide(-0.0001, 0.02, 0.0, 0.4, patient) is None
    assert decide(0.0001, 0.02, 0.0, 0.4, patient) == Signal(0.4, ENTER)
    assert decide(-0.0001, 0.02, 0.1, 0.4, patient) is None


def test_a_source_without_an_opinion_holds_nothing_whatever_the_premium() -> None:
    patient = replace(RULE, premium=0.5, span=14.0)
    assert decide(0.0, 0.02, 0.0, 0.5, patient) is None
    assert decide(0.0, 0.02, 0.3, 0.5, patient) == Signal(0.0, NO_MODEL)


def test_a_constant_price_is_not_traded() -> None:
    assert decide(0.01, 0.0, 0.0, 0.5, RULE) is None
    assert decide(0.01, 0.0, 0.3, 0.5, RULE) == Signal(0.0, NO_MODEL)


def test_a_premium_for_holding_lets_a_smaller_edge_pay_and_a_bad_forecast_still_ends_it() -> None:
    patient = replace(RULE, premium=0.2, span=14.0)  # 40 bp over two weeks
    assert decide(0.002, 0.02, 0.0, 0.5, RULE) is None
    assert decide(0.002, 0.02, 0.0, 0.4, patient) == Signal(0.4, ENTER)
    assert decide(-0.002, 0.02, 0.35, 0.4, patient) is None
    assert decide(-0.0041, 0.02, 0.4, 0.4, patient) == Signal(0.0, LEAVE)


@given(edges, scales, caps, exposures, rules)
def test_an_equal_forecast_never_causes_a_second_trade(location: float, scale: float, cap: float, held: float, rule: EdgeRule) -> None:
    first = decide(location, scale, held, cap, rule)
    if first is not None:
        second = decide(location, scale, first.exposure, cap, rule)
        if held * first.exposure >= 0 and first.exposure:
            assert second is None
        elif second is not None:  # what a position on the other side kept out is looked at anew once, from flat
            assert first.exposure == 0.0
            assert decide(location, scale, second.exposure, cap, rule) is None


@given(scales, caps, rules, st.floats(0.0, 0.2))
def test_no_forecast_both_enters_and_leaves(scale: float, cap: float, rule: EdgeRule, location: float) -> None:
    entered = decide(location, scale, 0.0, cap, rule)
    if entered is not None and entered.exposure > 0:
        assert decide(location, scale, entered.exposure, cap, rule) is None


@given(edges, scales, caps, exposures, rules)
def test_exposure_stays_within_its_limit(location: float, scale: float, cap: float, held: float, rule: EdgeRule) -> None:
    signal = decide(location, scale, held, cap, rule)
    if signal is not None:
        assert abs(signal.exposure) <= cap
        assert rule.shorts or signal.exposure >= 0


@given(edges, scales, caps, rules)
def test_an_entry_beats_costs_by_its_margin(location: float, scale: float, cap: float, rule: EdgeRule) -> None:
    signal = decide(location, scale, 0.0, cap, rule)
    if signal is not None:
        gain = expected_gain(location, scale, rule)
        assert abs(gain) > rule.margin * rule.round_trip
        assert (signal.exposure > 0) == (gain > 0)


@given(edges, scales, caps, st.floats(0.01, 1.0), rules)
def test_long_and_short_mirror_each_other(location: float, scale: float, cap: float, held: float, rule: EdgeRule) -> None:
    rule = replace(rule, shorts=True, premium=0.0)
    long, short = decide(location, scale, held, cap, rule), decide(-location, scale, -held, cap, rule)
    assert (long is None) == (short is None)
    if long is not None and short is not None:
        assert long.exposure == -short.exposure
        assert long.reason == short.reason
