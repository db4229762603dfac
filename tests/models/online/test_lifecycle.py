"""The rules of who is in force, on planted losses: who is called when, who takes over, and that a restart changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.online.lifecycle import Decision, LifecycleRules, ModelLifecycle, TrainingCall
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.promotion_log import Author, PromotionAction

HOUR = timedelta(hours=1)
FIRST = datetime(2022, 1, 10, 5, tzinfo=UTC)
BREAK = FIRST + timedelta(days=20)


def card(boundary: datetime) -> ModelCard:
    return ModelCard(
        model_id=f"{boundary:%m%d%H}", symbols=("A",), timeframe="1h", horizons=(1,), features=("move_6",), boundary=boundary.isoformat(),
        train_from="", train_to="", train_bars=1, seeds=(0,), train_loss=0.5, seconds=1.0, reason="", calibrations={"A": (Calibration(),)},
        code_version="",
    )  # fmt: skip


@dataclass
class Market:
    """Losses that follow a plan: usual ones with noise of their own hour, `worse` times as large from `BREAK` on for models of before."""

    worse: float = 1.0
    seed: int = 0

    def losses(self, of: ModelCard, first: datetime, last: datetime, coming: datetime) -> pd.Series:
        end = min(last, coming - HOUR)  # a forecast of one bar ahead is known at the close of the bar after
        hours = np.arange((first - FIRST) // HOUR, max((end - FIRST) // HOUR, (first - FIRST) // HOUR))
        noise = np.random.default_rng(self.seed).standard_normal(400)[hours // 24 + 200]
        values = 0.25 * np.exp(0.3 * noise) * np.where((hours >= (BREAK - FIRST) // HOUR) & (self._old(of)), self.worse, 1.0)
        return pd.Series(values, index=pd.Timestamp(FIRST) + pd.to_timedelta(hours, unit="h"))

    @staticmethod
    def _old(of: ModelCard) -> bool:
        return datetime.fromisoformat(of.boundary) <= BREAK


def rules(**learning: Any) -> LifecycleRules:
    models = ModelSettings(horizons=(1,), retrain_every=timedelta(days=60))
    return LifecycleRules(models, LearningSettings.model_validate(learning), Timeframe.parse("1h"))


def begun(of: LifecycleRules) -> ModelLifecycle:
    boundary = of.scheduled(FIRST - HOUR)
    return ModelLifecycle(of, card(boundary), FIRST, boundary)


def go_on(lifecycle: ModelLifecycle, market: Market | Rivals, first: datetime, bars: int) -> list[Decision]:
    """Live through bars; every model called is trained at once."""
    made: list[Decision] = []
    for n in range(bars):
        coming = first + (n + 1) * HOUR
        lifecycle.calls(coming, lambda _card, _first: market)  # type: ignore[arg-type,return-value]
        ready = [c for c in lifecycle.pending if lifecycle.is_ready(c, coming)]
        made += [lifecycle.decide(c, card(c.boundary), coming, lambda _card, _first: market) for c in ready]  # type: ignore[arg-type,return-value]
        rolled_back = lifecycle.guard(coming, lambda _card, _first: market)  # type: ignore[arg-type,return-value]
        made += [] if rolled_back is None else [rolled_back]
    return made


EARLY = {"early": True, "false_alarms_every": "365d"}


def test_a_break_is_found_within_days_and_the_new_model_takes_over() -> None:
    made = go_on(begun(rules(**EARLY)), Market(worse=2.5), FIRST, 24 * 40)
    drift = next(d for d in made if d.by is Author.DRIFT)
    assert drift.boundary is not None and BREAK < drift.boundary <= BREAK + timedelta(days=5)
    assert drift.since == drift.boundary + HOUR and drift.action is PromotionAction.PROMOTED


def test_a_break_is_found_once_and_models_of_the_new_market_follow_each_time_there_is_twice_as_much_of_it() -> None:
    lifecycle = begun(rules(**EARLY))
    made = go_on(lifecycle, Market(worse=2.5), FIRST, 24 * 75)
    early = [d for d in made if d.by is Author.DRIFT]
    assert [("usually" in d.reason) for d in early] == [True] + [False] * (len(early) - 1)
    [changed] = {d.changed for d in early}
    assert changed is not None and abs(changed - BREAK) <= timedelta(days=2)
    ages = [(d.boundary - changed) / HOUR for d in early if d.boundary is not None]
    assert ages[1:] == [2 * age for age in ages[:-1]] and len(ages) >= 3
    [scheduled] = [d for d in made if d.by is Author.CALENDAR and d.boundary is not None and d.boundary > BREAK]
    assert scheduled.changed == changed


def test_windows_that_no_longer_reach_back_to_the_change_are_whole_again() -> None:
    of = rules(**EARLY)
    lifecycle = ModelLifecycle(of, card(FIRST), FIRST, of.scheduled(FIRST), changed=FIRST - timedelta(days=40))
    calls = [c for n in range(24 * 800) for c in lifecycle.calls(FIRST + n * HOUR, lambda _card, _first: Market())]  # type: ignore[arg-type,return-value]
    assert {c.changed is None for c in calls if c.boundary - of.models.train_window > FIRST - timedelta(days=40)} == {True}
    assert {c.changed is None for c in calls if c.boundary - of.models.train_window < FIRST - timedelta(days=40)} == {False}


def test_where_nothing_changes_drift_is_called_about_once_a_year_or_less() -> None:
    """Twelve markets of 58 days are 1.9 years: two calls are promised, five would be too many in 19 of 20 such tests."""
    made = [d for seed in range(12) for d in go_on(begun(rules(**EARLY)), Market(seed=seed), FIRST, 24 * 58)]
    assert ["usually" in d.reason for d in made if d.by is Author.DRIFT].count(True) < 5


def test_a_trial_promotes_the_model_that_knows_the_new_market() -> None:
    made = go_on(begun(rules(**EARLY, trial=72, promotion="if better")), Market(worse=2.5), FIRST, 24 * 35)
    [drift] = [d for d in made if d.by is Author.DRIFT]
    assert drift.boundary is not None and drift.action is PromotionAction.PROMOTED and drift.since == drift.boundary + 73 * HOUR
    assert "significantly better" in drift.reason


def test_a_trial_keeps_the_old_model_where_the_new_one_is_no_better() -> None:
    lifecycle = begun(rules(trial=72, promotion="if better"))
    made = go_on(lifecycle, Market(), FIRST, 24 * 58)
    assert [d.action for d in made] == [PromotionAction.KEPT]
    assert made[0].other != made[0].card.model_id == lifecycle.card.model_id


@dataclass
class Rivals:
    """Losses of two models: usual ones, those of models of a later boundary `worse` times as large, or no numbers."""

    worse: float
    seed: int = 0

    def losses(self, of: ModelCard, first: datetime, last: datetime, coming: datetime) -> pd.Series:
        hours = np.arange((first - FIRST) // HOUR, max((min(last, coming - HOUR) - FIRST) // HOUR, (first - FIRST) // HOUR))
        is_new = datetime.fromisoformat(of.boundary) > FIRST
        noise = np.random.default_rng([self.seed, is_new]).standard_normal(3000)[hours]
        values = 0.25 * np.exp(0.3 * noise) * (self.worse if is_new else 1.0)
        return pd.Series(values, index=pd.Timestamp(FIRST) + pd.to_timedelta(hours, unit="h"))


GUARD = {"guard": 24 * 5}


@pytest.mark.parametrize(
    ("worse", "days", "reason"), [(1.3, 5, "significantly worse"), (1e4, 1, "diverged"), (float("nan"), 1, "no number")]
)
def test_a_model_that_fails_its_guard_period_gives_way_to_the_one_before_it(worse: float, days: int, reason: str) -> None:
    lifecycle = begun(rules(**GUARD))
    old = lifecycle.card
    promoted, rolled_back, *_ = go_on(lifecycle, Rivals(worse), FIRST, 24 * 75)
    assert (rolled_back.action, rolled_back.by, rolled_back.card, rolled_back.other) == (
        PromotionAction.ROLLED_BACK, Author.GUARD, old, promoted.card.model_id,
    )  # fmt: skip
    assert rolled_back.since == promoted.since + timedelta(days=days, hours=1)
    assert reason in rolled_back.reason


def test_equal_models_are_rolled_back_no_more_often_than_the_level_says() -> None:
    ended = [go_on(begun(rules(**GUARD)), Rivals(1.0, seed), FIRST, 24 * 75)[1:2] for seed in range(100)]
    assert sum(d.action is PromotionAction.ROLLED_BACK for made in ended for d in made) <= 9  # 5 of 100 are nominal, 10 are 3 % likely


def test_what_a_person_ordered_is_not_rolled_back() -> None:
    lifecycle = begun(rules(**GUARD))
    lifecycle.apply_command(PromotionAction.PROMOTED, card(FIRST + HOUR), "because", FIRST + HOUR)
    assert all(d.by is not Author.GUARD for d in go_on(lifecycle, Rivals(1e4), FIRST + HOUR, 24 * 10))


def test_nothing_is_rolled_back_while_another_model_waits_for_its_decision() -> None:
    of, now = rules(**GUARD), FIRST + timedelta(days=9)
    lifecycle = ModelLifecycle(of, card(FIRST + HOUR), FIRST + HOUR, of.scheduled(FIRST), before=card(FIRST))
    waiting = TrainingCall(now, Author.CALENDAR, "scheduled")
    lifecycle.pending.append(waiting)
    assert lifecycle.guard(now, lambda _card, _first: Rivals(1.3)) is None  # type: ignore[arg-type,return-value]
    lifecycle.give_up(waiting, FIRST + HOUR)
    rolled_back = lifecycle.guard(now, lambda _card, _first: Rivals(1.3))  # type: ignore[arg-type,return-value]
    assert rolled_back is not None and rolled_back.card == card(FIRST)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 24 * 70), st.sampled_from([1.0, 1.3, 1e4]))
def test_a_guard_period_goes_on_after_a_restart(stop: int, worse: float) -> None:
    of, market, bars = rules(**GUARD), Rivals(worse), 24 * 75
    whole = go_on(begun(of), market, FIRST, bars)
    made = go_on(begun(of), market, FIRST, stop)
    newest = made[-1] if made else None
    scheduled = max([d.boundary for d in made if d.by is Author.CALENDAR and d.boundary], default=begun(of).scheduled)
    before = begun(of).card if newest is not None and newest.action is PromotionAction.PROMOTED else None
    again = ModelLifecycle(of, newest.card if newest else begun(of).card, newest.since if newest else FIRST, scheduled, before=before)
    assert made + go_on(again, market, FIRST + (stop - 1) * HOUR, bars - stop + 1) == whole


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 24 * 35), st.sampled_from([0, 72]), st.sampled_from([1.0, 2.5]))
def test_taken_up_again_from_its_decisions_it_goes_on_as_if_it_had_never_stopped(stop: int, trial: int, worse: float) -> None:
    of, market, bars = rules(**EARLY, trial=trial), Market(worse=worse), 24 * 36
    whole = go_on(begun(of), market, FIRST, bars)
    before = begun(of)
    made = go_on(before, market, FIRST, stop)
    scheduled = max([d.boundary for d in made if d.by is Author.CALENDAR and d.boundary], default=begun(of).scheduled)
    newest = made[-1] if made else None
    again = ModelLifecycle(
        of, newest.card if newest else begun(of).card, newest.since if newest else FIRST, scheduled,
        changed=newest.changed if newest else None,
    )  # fmt: skip
    assert made + go_on(again, market, FIRST + (stop - 1) * HOUR, bars - stop + 1) == whole


@settings(max_examples=30)
@given(st.integers(0, 250_000), st.integers(0, 400), st.sampled_from(["15m", "1h", "4h"]))
def test_a_model_is_never_due_before_its_boundary_and_always_on_the_grid(hour: int, trial: int, timeframe: str) -> None:
    of = LifecycleRules(ModelSettings(), LearningSettings(trial=trial), Timeframe.parse(timeframe))
    moment = datetime(2001, 1, 1, tzinfo=UTC) + hour * HOUR
    boundary = of.scheduled(moment)
    due = of.due(boundary)
    assert boundary <= moment < boundary + of.models.retrain_every
    assert due > boundary and (due - datetime(2000, 1, 1, tzinfo=UTC)) % of.timeframe.delta == timedelta(0)
    assert due - of.aligned(boundary) == (1 + trial) * of.timeframe.delta


def test_a_training_that_fails_leaves_the_model_in_force() -> None:
    lifecycle = begun(rules())
    coming = lifecycle.next_boundary
    [call] = lifecycle.calls(coming, lambda _card, _first: Market())  # type: ignore[arg-type,return-value]
    before = lifecycle.card
    lifecycle.give_up(call, coming)
    assert lifecycle.pending == [] and lifecycle.card == before
    assert lifecycle.next_boundary == coming + lifecycle.rules.models.retrain_every


def test_a_persons_word_holds_from_the_next_bar_on() -> None:
    lifecycle = begun(rules())
    wanted = card(FIRST - timedelta(days=90))
    told = lifecycle.apply_command(PromotionAction.PROMOTED, wanted, "I think so", FIRST + HOUR)
    assert (told.by, told.since, lifecycle.card) == (Author.PERSON, FIRST + HOUR, wanted)


def test_a_model_that_forecasts_nothing_in_its_trial_never_takes_over() -> None:
    @dataclass
    class Silent(Market):
        """New models have no losses, as those whose forecasts are no numbers."""

        def losses(self, of: ModelCard, first: datetime, last: datetime, coming: datetime) -> pd.Series:
            found = super().losses(of, first, last, coming)
            return found if of.boundary <= FIRST.isoformat() else found.iloc[:0]

    made = go_on(begun(rules(trial=48)), Silent(), FIRST, 24 * 130)
    assert len(made) >= 2
    assert {decision.action for decision in made} == {PromotionAction.KEPT}
