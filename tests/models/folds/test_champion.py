"""A new model takes over, or does not, with the error rate that was promised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forwardtrader.models.folds.champion import EARLIER, LEAST_BARS, contest


def pair(rng: np.random.Generator, n: int, *, better: float = 0.0, horizon: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Losses of two models on the same bars: overlapping outcomes, wild and calm days, the second lower by `better`."""
    shock = rng.standard_normal(n + horizon) * np.exp(0.5 * rng.standard_normal(n + horizon))
    difference = 0.05 * np.convolve(shock, np.ones(horizon), "valid")[:n]
    old = 0.4 + 0.1 * rng.random(n)
    return old, old - difference - better


@pytest.mark.parametrize(("promotion", "wrong"), [("if better", True), ("unless worse", False)])
@pytest.mark.parametrize("n", [96, 336])
def test_equal_models_are_judged_wrongly_as_often_as_stated(promotion: str, wrong: bool, n: int) -> None:
    rng = np.random.default_rng(7)
    verdicts = [contest(*pair(rng, n), horizon=4, promotion=promotion, level=0.05).promoted for _ in range(600)]
    assert np.mean(np.array(verdicts) == wrong) == pytest.approx(0.05, abs=0.03)


@pytest.mark.parametrize("n", [48, 168])
def test_models_that_are_better_for_days_on_end_by_turns_are_equal(n: int) -> None:
    """A trial does not show how long one is better; the bars before it do."""
    rng = np.random.default_rng(5)
    verdicts = []
    for _ in range(1500):
        slow = np.repeat(rng.standard_normal(40), n // 2)[rng.integers(n) :][: (1 + EARLIER) * n]
        old, new = pair(rng, len(slow), horizon=1)
        verdicts.append(contest(old, new - 0.02 * slow, horizon=1, promotion="if better", level=0.05, earlier=EARLIER * n).promoted)
    assert np.mean(verdicts) < 0.065


def test_earlier_losses_count_for_nothing_but_their_scatter() -> None:
    rng = np.random.default_rng(6)
    old, new = pair(rng, 840)
    shifted = np.where(np.arange(840) < 672, new - 9.0, new)
    verdicts = [contest(old, each, horizon=4, promotion="if better", level=0.05, earlier=672) for each in (new, shifted)]
    assert [(v.bars, v.champion_loss, v.challenger_loss) for v in verdicts[1:]] == [(168, old[672:].mean(), new[672:].mean())]
    assert not verdicts[1].promoted


def test_a_clearly_better_model_takes_over_under_both_rules() -> None:
    rng = np.random.default_rng(8)
    for promotion in ("if better", "unless worse"):
        trials = [pair(rng, (1 + EARLIER) * 168, better=0.08) for _ in range(50)]
        told = [contest(*each, horizon=4, promotion=promotion, level=0.05, earlier=EARLIER * 168).promoted for each in trials]
        assert np.mean(told) > 0.9


def test_a_clearly_worse_model_takes_over_under_neither() -> None:
    rng = np.random.default_rng(9)
    for promotion in ("if better", "unless worse"):
        told = [contest(*pair(rng, 168, better=-0.08), horizon=4, promotion=promotion, level=0.05).promoted for _ in range(50)]
        assert np.mean(told) < 0.1


def test_the_reason_gives_the_numbers() -> None:
    told = contest(*pair(np.random.default_rng(1), 168, better=0.08), horizon=4, promotion="if better", level=0.05)
    assert told.reason.startswith("significantly better than the model in force: loss ")
    assert f"{told.challenger_loss:.4f} against {told.champion_loss:.4f} over 168 bars" in told.reason


def test_a_gain_beyond_all_chance_is_not_reported_with_a_p_of_zero() -> None:
    old, new = pair(np.random.default_rng(1), 4000, better=9.0)
    for challenger in (new, old - 1.0):
        told = contest(old, challenger, horizon=4, promotion="if better", level=0.05)
        assert told.promoted
        assert told.p is not None and told.p > 0.0
        assert told.reason.endswith("(p <0.001)")


def test_too_few_bars_leave_the_rule_of_the_calendar() -> None:
    few = np.ones(LEAST_BARS - 1)
    assert contest(few, few * 9, horizon=1, promotion="unless worse", level=0.05).promoted
    assert not contest(few, few / 9, horizon=1, promotion="if better", level=0.05).promoted


def test_the_same_losses_are_neither_better_nor_worse() -> None:
    same = np.random.default_rng(2).random(100)
    assert contest(same, same, horizon=4, promotion="unless worse", level=0.05).promoted
    assert not contest(same, same, horizon=4, promotion="if better", level=0.05).promoted


def test_bars_that_the_champion_lacks_are_left_out() -> None:
    old, new = pair(np.random.default_rng(3), 100)
    holes = old.copy()
    holes[::5] = np.nan
    told = contest(holes, new, horizon=1, promotion="if better", level=0.05)
    expected = contest(np.delete(old, np.s_[::5]), np.delete(new, np.s_[::5]), horizon=1, promotion="if better", level=0.05)
    assert told == expected and told.bars == 80


POISON: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "no numbers at all": lambda losses, _: np.full_like(losses, np.nan),
    "no number at one bar": lambda losses, rng: _planted(losses, rng, np.nan),
    "infinite at one bar": lambda losses, rng: _planted(losses, rng, np.inf),
    "diverged": lambda losses, _: losses * 1e6,
    "huge at one bar": lambda losses, rng: _planted(losses, rng, 1e12),
}


def _planted(losses: np.ndarray, rng: np.random.Generator, value: float) -> np.ndarray:
    out = losses.copy()
    out[rng.integers(len(out))] = value
    return out


@pytest.mark.parametrize("poison", POISON)
@pytest.mark.parametrize("promotion", ["unless worse", "if better"])
@pytest.mark.parametrize("n", [10, 168])
@pytest.mark.parametrize("earlier", [0, EARLIER])
def test_a_poisoned_challenger_is_promoted_in_none_of_a_hundred_trials(poison: str, promotion: Any, n: int, earlier: int) -> None:
    rng, before = np.random.default_rng(11), earlier * n
    for _ in range(100):
        old, new = pair(rng, before + n, better=0.1)
        poisoned = np.concatenate([new[:before], POISON[poison](new[before:], rng)])
        assert not contest(old, poisoned, horizon=4, promotion=promotion, level=0.05, earlier=before).promoted


@pytest.mark.parametrize("value", [np.inf, 1e12])
@pytest.mark.parametrize("promotion", ["unless worse", "if better"])
def test_a_challenger_that_diverged_before_its_trial_is_poisoned_too(promotion: Any, value: float) -> None:
    """What it lost there would make every difference look like chance."""
    rng = np.random.default_rng(12)
    for _ in range(100):
        old, new = pair(rng, 5 * 168, better=0.1)
        new[rng.integers(4 * 168)] = value
        assert not contest(old, new, horizon=4, promotion=promotion, level=0.05, earlier=4 * 168).promoted


@given(arrays(np.float64, 60, elements=st.floats(0.01, 5)), arrays(np.float64, 60, elements=st.floats(0.01, 5)))
def test_being_better_is_the_other_ones_being_worse(a: np.ndarray, b: np.ndarray) -> None:
    better = contest(a, b, horizon=1, promotion="if better", level=0.05).promoted
    other_kept_out = not contest(b, a, horizon=1, promotion="unless worse", level=0.05).promoted
    assert better == other_kept_out
    assert not (better and contest(b, a, horizon=1, promotion="if better", level=0.05).promoted)


@given(arrays(np.float64, 60, elements=st.floats(0.01, 5)), arrays(np.float64, 60, elements=st.floats(0.01, 5)), st.floats(0.0, 1.0))
def test_doing_better_on_every_bar_never_loses_a_promotion(a: np.ndarray, b: np.ndarray, gain: float) -> None:
    for promotion in ("if better", "unless worse"):
        if contest(a, b, horizon=1, promotion=promotion, level=0.05).promoted:
            assert contest(a, b - gain, horizon=1, promotion=promotion, level=0.05).promoted
