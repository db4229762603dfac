"""The rule, question by question, and the alarms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.types import Verdict
from forwardtrader.reports.pages.glossary import GATES
from forwardtrader.reports.verdict import Evidence, judge

GOOD = Evidence(
    years=4.0, bets=200, total_return=0.8, sharpe=1.4, psr=0.997, dsr=0.97, trials=3, timing_p=0.01,
    shifted_p=0.01, shifts=100, shifted_sharpe=0.31, shifted_return=0.12,
    independent_bars=30_000, skill_p=0.001, rank_ic=0.05, ic=0.02, accuracy=0.53, smoothness=0.8,
)  # fmt: skip


def test_all_questions_passed_is_an_edge() -> None:
    found = judge(GOOD)
    assert found.verdict is Verdict.EDGE
    assert len(found.reasons) == 5
    assert found.alarms == ()


@pytest.mark.parametrize(
    ("change", "verdict", "word"),
    [
        ({"independent_bars": 400}, Verdict.NOT_ENOUGH_DATA, "400 independent bars"),
        ({"skill_p": 0.2}, Verdict.NO_EDGE, "do not rank returns"),
        ({"skill_p": float("nan")}, Verdict.NO_EDGE, "p unknown"),
        ({"bets": 0.0}, Verdict.NO_EDGE, "no trade was worth its costs"),
        ({"total_return": -0.1}, Verdict.NO_EDGE, "did not earn money"),
        ({"total_return": 0.0}, Verdict.NO_EDGE, "did not earn money"),
        ({"bets": 6.0}, Verdict.NOT_ENOUGH_DATA, "6 turns"),
        ({"dsr": 0.9}, Verdict.NO_EDGE, "is not beyond the luck of 3 trials"),
        ({"dsr": 0.9, "years": 1.0}, Verdict.NOT_ENOUGH_DATA, "1.0 years"),
        ({"timing_p": 0.3}, Verdict.NO_EDGE, "does not beat random entries"),
        ({"timing_p": float("nan")}, Verdict.NO_EDGE, "could not be compared"),
        ({"shifted_p": 0.3}, Verdict.NO_EDGE, "with them its 1.40 is not beyond that (p 0.300)"),
        ({"shifted_p": float("nan"), "shifts": 0}, Verdict.NO_EDGE, "whether the forecasts earned it is unknown"),
        ({"has_forecasts": False, "years": 1.0}, Verdict.NOT_ENOUGH_DATA, "1.0 years"),
    ],
)
def test_each_question_that_fails_ends_it(change: dict[str, float], verdict: Verdict, word: str) -> None:
    found = judge(replace(GOOD, **change))
    assert found.verdict is verdict
    assert word in " ".join(found.reasons)


NUMBERS = st.one_of(st.just(float("nan")), st.floats(0.0, 1.0))
EVIDENCE = st.builds(
    Evidence,
    years=st.floats(0.1, 9.0), bets=st.floats(0.0, 40.0), total_return=st.floats(-1.0, 3.0),
    sharpe=st.one_of(st.just(float("nan")), st.floats(-3.0, 4.0)), psr=NUMBERS,
    dsr=NUMBERS, trials=st.one_of(st.none(), st.integers(1, 99)), timing_p=NUMBERS, shifted_p=NUMBERS, shifts=st.sampled_from([0, 7, 100]),
    has_forecasts=st.booleans(), independent_bars=st.one_of(st.just(float("nan")), st.floats(0.0, 9999.0)), skill_p=NUMBERS,
    ruined=st.sampled_from(["", "", "", "on 2022-03-02 00:00"]),
)  # fmt: skip


@given(EVIDENCE)
def test_an_edge_has_passed_every_gate_and_the_first_that_fails_decides(evidence: Evidence) -> None:
    found = judge(evidence)
    failed = [gate for gate in found.gates if not gate.passed]
    assert (found.verdict is Verdict.EDGE) == (not failed)
    if failed:
        assert found.verdict is failed[0].otherwise and failed[0].found in found.reasons
    assert {gate.asks for gate in found.gates} <= set(GATES)
    assert not any("nan" in text for text in (*found.reasons, *(gate.found for gate in found.gates)))


@pytest.mark.parametrize(("coverage", "alarmed"), [(0.9, False), (0.86, False), (0.8, True), (0.99, True), (float("nan"), False)])
def test_a_band_that_holds_too_few_or_too_many_outcomes_raises_an_alarm(coverage: float, alarmed: bool) -> None:
    found = judge(replace(GOOD, coverage={"BTC/USDT": coverage})).alarms
    assert [("BTC/USDT" in alarm and "90 %" in alarm) for alarm in found] == [True] * alarmed


def test_a_strategy_without_forecasts_is_judged_by_its_account() -> None:
    unknown = {name: float("nan") for name in ("skill_p", "independent_bars", "rank_ic", "shifted_p")}
    found = judge(replace(GOOD, has_forecasts=False, shifts=0, **unknown))
    assert found.verdict is Verdict.EDGE
    assert not any("forecast" in reason for reason in found.reasons)


def test_a_probability_that_falls_short_is_not_rounded_up_to_what_is_needed() -> None:
    assert "deflated probability 94.99 %, 95% needed" in " ".join(judge(replace(GOOD, dsr=0.94997)).reasons)
    assert "deflated probability 94.2 %, 95% needed" in " ".join(judge(replace(GOOD, dsr=0.942)).reasons)


def test_what_was_earned_without_the_forecasts_is_said_wherever_the_judgement_ends() -> None:
    sentence = "without the forecasts the strategy would have earned +12.0% (Sharpe ratio 0.31, the mean of 100 runs"
    for change in ({}, {"skill_p": 0.2}, {"total_return": -0.1}, {"bets": 6.0}, {"dsr": 0.9}):
        assert judge(replace(GOOD, **change)).reasons[-1].startswith(sentence)


def test_an_account_without_a_sharpe_ratio_is_said_to_have_none() -> None:
    idle = judge(replace(GOOD, sharpe=float("nan"), skill_p=0.2, bets=0.0, shifted_p=1.0, shifted_sharpe=0.0, shifted_return=0.0))
    assert idle.reasons[-1].endswith("with them it has no Sharpe ratio, which is not beyond that (p 1.000)")


def test_uncounted_trials_are_said_and_ask_for_more() -> None:
    unknown = replace(GOOD, trials=None, dsr=float("nan"))
    found = judge(unknown)
    assert found.verdict is Verdict.NO_EDGE
    assert any("trials unknown, DSR not computed" in reason for reason in found.reasons)
    assert judge(replace(unknown, psr=0.9995)).verdict is Verdict.EDGE


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"accuracy": 0.6}, "accuracy 60.0%"),
        ({"ic": 0.12}, "information coefficient 0.120"),
        ({"rank_ic": 0.15}, "information coefficient 0.150"),
        ({"sharpe": 3.4}, "net Sharpe ratio 3.4"),
        ({"smoothness": 0.995}, "almost a straight line"),
    ],
)
def test_what_is_too_good_raises_an_alarm(change: dict[str, float], word: str) -> None:
    found = judge(replace(GOOD, **change))
    assert len(found.alarms) == 1
    assert word in found.alarms[0]
    assert found.alarms[0].endswith("look for a leak first")


def test_an_alarm_does_not_change_the_verdict() -> None:
    assert judge(replace(GOOD, accuracy=0.7)).verdict is Verdict.EDGE


def test_what_is_just_believable_raises_none() -> None:
    assert judge(replace(GOOD, accuracy=0.58, ic=0.10, rank_ic=0.10, sharpe=3.0)).alarms == ()


def test_numbers_that_do_not_exist_raise_no_alarm() -> None:
    nan = float("nan")
    assert judge(replace(GOOD, accuracy=nan, ic=nan, rank_ic=nan, sharpe=nan, smoothness=nan)).alarms == ()


def test_a_smooth_loss_is_no_alarm() -> None:
    assert judge(replace(GOOD, smoothness=0.999, total_return=-0.5)).alarms == ()
