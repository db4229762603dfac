"""Drift is called when losses rise, and seldom when they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.models.online.drift import (
    LEAST_BLOCKS,
    DriftRule,
    Reference,
    Watch,
    block_means,
    blocks_between,
    change_point,
    first_drift,
    is_drift,
    reference,
    step,
    threshold,
)

RULE = DriftRule.of(100, 0.5)
USUAL = Reference(0.0, 0.2, 10_000)


def losses(rng: np.random.Generator, n: int, *, worse: float = 0.0, carry: float = 0.0) -> np.ndarray:
    """Means of blocks whose logarithms have spread 0.2, `worse` of such spreads above usual, each like the one before by `carry`."""
    noise = rng.standard_normal(n)
    for k in range(1, n):
        noise[k] = carry * noise[k - 1] + math.sqrt(1.0 - carry * carry) * noise[k]
    return np.exp(0.2 * (noise + worse))


@pytest.mark.parametrize("carry", [0.0, 0.4])
def test_false_alarms_come_no_more_often_than_stated(carry: float) -> None:
    """The reference is estimated from 120 blocks, as it is in life."""
    rng = np.random.default_rng(3)
    waits = []
    for _ in range(150):
        told = losses(rng, 120 + 600, carry=carry)
        usual = reference(told[:120])
        assert usual is not None
        found = first_drift(told[120:], usual, RULE)
        waits.append(600 if found is None else found + 1)
    assert np.mean(waits) >= 100


def test_with_a_known_reference_the_time_between_false_alarms_is_that_stated() -> None:
    rng = np.random.default_rng(4)
    waits = [first_drift(losses(rng, 3000), USUAL, RULE) for _ in range(300)]
    assert np.mean([3000 if w is None else w + 1 for w in waits]) == pytest.approx(100, rel=0.2)


@pytest.mark.parametrize(("worse", "within"), [(1.0, 20), (1.5, 10), (3.0, 4)])
def test_a_planted_drift_is_found_within_so_many_blocks(worse: float, within: int) -> None:
    rng = np.random.default_rng(5)
    found = []
    for _ in range(100):
        usual = reference(losses(rng, 120))
        assert usual is not None
        at = first_drift(losses(rng, 200, worse=worse), usual, RULE)
        found.append(199 if at is None else at)
    assert np.quantile(found, 0.9) < within


def test_where_the_change_came_is_found_beside_the_alarm() -> None:
    rng = np.random.default_rng(8)
    missed = []
    for _ in range(100):
        told = np.concatenate([losses(rng, 60), losses(rng, 60, worse=2.0)]).tolist()
        at = first_drift(told, USUAL, DriftRule.of(100_000, 0.5))
        assert at is not None
        missed.append(change_point(told[: at + 1], USUAL) - 60)
    assert abs(np.median(missed)) <= 1
    assert np.mean(np.abs(missed) <= 5) > 0.9


def test_a_model_that_does_better_than_usual_raises_no_alarm() -> None:
    assert first_drift(losses(np.random.default_rng(6), 2000, worse=-1.0), USUAL, RULE) is None


def test_one_terrible_block_is_not_a_drift() -> None:
    rule = DriftRule.of(365, 0.5)
    told = np.ones(100)
    told[40] = 1e9
    assert first_drift(told, USUAL, rule) is None


def test_too_short_a_reference_is_none() -> None:
    assert reference(np.ones(LEAST_BLOCKS - 1)) is None
    assert reference(np.full(100, 0.5)) is None  # nothing to standardise by
    assert reference(np.full(100, np.nan)) is None


@given(st.floats(2, 1e6), st.floats(0.1, 2.0))
def test_the_threshold_inverts_the_time_between_alarms(blocks: float, slack: float) -> None:
    found = threshold(blocks, slack)
    if found > 1e-9:
        assert blocks_between(found, slack) == pytest.approx(blocks, rel=1e-6)
        assert threshold(blocks * 2, slack) > found


@given(st.lists(st.floats(0.01, 10), max_size=60), st.integers(0, 60))
def test_the_test_goes_on_from_its_state_as_if_it_had_never_stopped(told: list[float], cut: int) -> None:
    watch = Watch()
    states = []
    for loss in told:
        watch = step(watch, loss, USUAL, RULE)
        states.append(watch)
    again = Watch() if cut == 0 or not states else states[min(cut, len(states)) - 1]
    for loss in told[again.blocks :]:
        again = step(again, loss, USUAL, RULE)
    assert again == watch
    calls = [n for n, state in enumerate(states) if is_drift(state, RULE)]
    assert first_drift(told, USUAL, RULE) == (calls[0] if calls else None)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=60), st.floats(1.0, 5.0))
def test_worse_losses_never_delay_an_alarm(told: list[float], factor: float) -> None:
    before, after = first_drift(told, USUAL, RULE), first_drift([loss * factor for loss in told], USUAL, RULE)
    assert before is None or (after is not None and after <= before)


@given(st.integers(0, 50), st.integers(2, 10), st.integers(0, 12))
def test_blocks_are_means_of_whole_spans_of_time(n: int, bars: int, complete: int) -> None:
    told = np.arange(n, dtype=np.float64)
    means = block_means(told * 3600, told, bars * 3600, complete)
    whole = [k for k in range(complete) if k * bars < n]
    assert means == [(k, told[k * bars : (k + 1) * bars].mean()) for k in whole]


def test_a_gap_in_the_bars_moves_no_block() -> None:
    at = np.array([0.0, 1.0, 6.0, 7.0]) * 3600
    assert block_means(at, np.array([1.0, 3.0, 5.0, 7.0]), 2 * 3600, 4) == [(0, 2.0), (3, 6.0)]
