"""Outcomes have a say in who is in force: the same in any cut of history, and nothing changes where nothing was asked for."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward, PromotionCommand, online_walk_forward
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from forwardtrader.models.registry.promotion_log import Author, PromotionAction
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 4, 25, tzinfo=UTC)
BREAK = pd.Timestamp("2020-04-04", tz="UTC")
NAMES = ("return_1_ago", "return_2_ago", "move_6", "volatility_24", "close_in_bar", "day_1_sin")
QUIET = simulated_bars(24 * 116, reversal=0.25)
EARLY = {"early": True, "reference": "35d", "false_alarms_every": "200d"}


def broken(bars: pd.DataFrame) -> pd.DataFrame:
    """For ten days from `BREAK` on each is wilder than the one before, which no trailing volatility keeps up with."""
    later = bars.index >= BREAK
    growth = np.where(later, 1.35 ** np.clip((bars.index - BREAK) / pd.Timedelta("1D"), 0.0, 10.0), 1.0)
    returns = np.diff(np.log(bars["close"].to_numpy()), prepend=np.log(bars["close"].iloc[0])) * growth
    close = bars["close"].iloc[0] * np.exp(np.cumsum(returns))
    opened = np.concatenate([[close[0]], close[:-1]])
    wick = 1.0 + 0.001 * growth
    return bars.assign(open=opened, close=close, high=np.maximum(opened, close) * wick, low=np.minimum(opened, close) / wick)


BROKEN = broken(QUIET)


def knobs(path: Path) -> ModelSettings:
    small = {"horizons": (1, 4), "units": 4, "seeds": 1, "epochs": 1, "train_window": "40d", "retrain_every": "14d", "context": 16}
    return ModelSettings.model_validate({**small, "save_path": str(path)})


def scheduled(path: Path, bars: pd.DataFrame, last: datetime = LAST) -> WalkForward:
    return walk_forward({"A/USD": bars}, FIRST, last, settings=knobs(path), timeframe=HOUR, features=NAMES)


def lived(walk: WalkForward, *, last: datetime = LAST, orders: tuple[PromotionCommand, ...] = (), **learning: object) -> OnlineWalkForward:
    wish = LearningSettings.model_validate(learning)
    told = online_walk_forward(walk, FIRST, last, learning=wish, timeframe=HOUR, commands=orders)
    assert isinstance(told, OnlineWalkForward)
    return told


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def calm(home: Path) -> WalkForward:
    return scheduled(home, QUIET)


@pytest.fixture(scope="module")
def wild(home: Path) -> WalkForward:
    return scheduled(home, BROKEN)


def test_where_nothing_is_asked_for_nothing_is_done(calm: WalkForward) -> None:
    assert online_walk_forward(calm, FIRST, LAST, learning=LearningSettings(intervals=False), timeframe=HOUR) is calm
    assert online_walk_forward(calm, FIRST, LAST, learning=LearningSettings(freeze=True), timeframe=HOUR) is calm
    other = replace(calm, settings=calm.settings.model_copy(update={"forecaster": "huber_linear"}))
    assert online_walk_forward(other, FIRST, LAST, learning=LearningSettings(), timeframe=HOUR) is other


def test_intervals_alone_leave_what_is_traded_by_as_it_is(wild: WalkForward) -> None:
    frames = [lived(wild, **learning).frame("A/USD", 4) for learning in ({}, {"adaptive": True})]
    whole = wild.frame("A/USD", 4)
    traded, bands = ["location", "scale", "p_up", "model_id"], ["q05", "q25", "q50", "q75", "q95"]
    pd.testing.assert_frame_equal(frames[0][traded], whole[traded], check_exact=True)
    pd.testing.assert_frame_equal(frames[0][bands], frames[1][bands], check_exact=True)
    assert (frames[0]["q95"] != whole["q95"]).sum() > 500
    assert (frames[1]["location"] != whole["location"]).sum() > 500


def test_the_calendar_alone_gives_the_plain_walk_forward(calm: WalkForward) -> None:
    """With a drift test so strict that it never calls, every decision is the calendar's."""
    told = lived(calm, early=True, slack=50.0, intervals=False)
    pd.testing.assert_frame_equal(told.frame("A/USD", 4), calm.frame("A/USD", 4))
    assert [d.by for d in told.decisions] == [Author.CALENDAR] * len(calm.served)
    assert [d.boundary for d in told.decisions] == [s.fold["A/USD"].boundary for s in calm.served]


def test_where_nothing_changes_nothing_is_called_early(calm: WalkForward) -> None:
    told = lived(calm, **EARLY, intervals=False)
    assert not [d for d in told.decisions if d.by is Author.DRIFT]
    pd.testing.assert_frame_equal(told.frame("A/USD", 4), calm.frame("A/USD", 4))


def test_a_planted_break_calls_a_boundary_within_a_week(wild: WalkForward) -> None:
    drifts = [d for d in lived(wild, **EARLY).decisions if d.by is Author.DRIFT]
    assert drifts
    first = drifts[0]
    assert first.boundary is not None and BREAK < first.boundary <= BREAK + timedelta(days=7)
    assert first.since == first.boundary + timedelta(hours=1)
    assert first.reason.startswith("drift: loss ")


def test_the_early_model_speaks_from_its_due_bar_on(wild: WalkForward) -> None:
    told = lived(wild, **EARLY)
    drift = next(d for d in told.decisions if d.by is Author.DRIFT)
    frame = told.frame("A/USD", 4)
    assert frame["model_id"].loc[drift.since] == drift.card.model_id != wild.frame("A/USD", 4)["model_id"].loc[drift.since]
    assert frame["model_id"].loc[drift.since - timedelta(hours=1)] == drift.other
    assert datetime.fromisoformat(drift.card.train_to) < drift.boundary
    assert next(s.card.reason for s in told.served if s.card.model_id == drift.card.model_id) == drift.reason


@pytest.mark.parametrize(
    "learning", [EARLY, {**EARLY, "trial": 48, "promotion": "if better"}, {"trial": 48}], ids=["early", "both", "trial"]
)
def test_later_bars_change_no_decision_made_before_them(home: Path, wild: WalkForward, learning: dict[str, object]) -> None:
    whole = lived(wild, **learning)
    for day in (7, 12, 16, 20):
        moment = BREAK.to_pydatetime() + timedelta(days=day, hours=5)
        shorter = lived(scheduled(home, BROKEN.loc[: moment - timedelta(hours=1)], moment), last=moment, **learning)
        known = [d for d in whole.decisions if d.since < moment]
        assert [d for d in shorter.decisions if d.since < moment] == known
        frames = [w.frame("A/USD", 4).drop(columns="realised").loc[: moment - timedelta(hours=1)] for w in (shorter, whole)]
        pd.testing.assert_frame_equal(*frames)


def test_bar_by_bar_gives_the_bits_of_all_at_once(wild: WalkForward) -> None:
    told = lived(wild, **EARLY, trial=24)
    source = WalkForwardSource(told, "A/USD", 4, HOUR)
    batch = source.batch(BROKEN)
    for decision in told.decisions:
        row = BROKEN.index.get_loc(decision.since)
        if row < source.warm_up:
            continue
        said = source.latest(BROKEN.iloc[row - source.warm_up + 1 : row + 1])
        assert said is not None
        assert (said.location, said.quantiles[0], said.model_id) == tuple(batch.iloc[row][["location", "q05", "model_id"]])


def test_a_trial_delays_and_compares(calm: WalkForward) -> None:
    told = lived(calm, trial=48)
    for decision in told.decisions[1:]:
        assert decision.boundary is not None
        assert decision.since == decision.boundary + timedelta(hours=49)
        assert "over 48 bars (p " in decision.reason
    kept = {d.other for d in told.decisions if d.action is PromotionAction.KEPT}
    assert kept.isdisjoint(set(told.frame("A/USD", 4)["model_id"]))


def test_networks_that_cannot_be_read_beside_their_forecasts_are_trained_again(home: Path, wild: WalkForward, tmp_path: Path) -> None:
    """The plain walk is served from the forecasts kept beside them; only who judges models asks for the networks."""
    shutil.copytree(home, tmp_path / "models")
    own = replace(wild, settings=knobs(tmp_path / "models"))
    for served in wild.served[1:]:
        (tmp_path / "models" / served.card.model_id / "model.keras").write_bytes(b"torn")
    said: list[str] = []
    told = online_walk_forward(
        own, FIRST, LAST, learning=LearningSettings(trial=48), timeframe=HOUR, damaged=lambda model_id, _why: said.append(model_id)
    )
    assert said
    pd.testing.assert_frame_equal(told.frame("A/USD", 4), lived(wild, trial=48).frame("A/USD", 4))


def test_a_model_refused_leaves_the_old_one_in_force(calm: WalkForward) -> None:
    told = lived(calm, trial=48, promotion="if better", level=1e-9)
    assert {d.action for d in told.decisions[1:]} == {PromotionAction.KEPT}
    first = told.decisions[0].card.model_id
    frame = told.frame("A/USD", 4).loc[FIRST:LAST]
    assert set(frame["model_id"]) == {first}
    assert frame["location"].notna().all()


def test_a_persons_word_is_heard_again(calm: WalkForward) -> None:
    first = calm.served[0].card.model_id
    since = calm.served[1].fold["A/USD"].boundary + timedelta(days=3)
    told = lived(calm, orders=(PromotionCommand(since, first, PromotionAction.ROLLED_BACK, "worse"),))
    frame = told.frame("A/USD", 4)
    assert frame["model_id"].loc[since] == first != frame["model_id"].loc[since - timedelta(hours=1)]
    assert next(d for d in told.decisions if d.by is Author.PERSON).reason == "worse"


@pytest.mark.parametrize("adaptive", [False, True])
def test_corrected_forecasts_are_the_same_bar_by_bar(wild: WalkForward, adaptive: bool) -> None:
    told = lived(wild, **EARLY, adaptive=adaptive)
    plain = lived(wild, **EARLY, intervals=False)
    source = WalkForwardSource(told, "A/USD", 4, HOUR)
    batch = source.batch(BROKEN)
    rows = range(BROKEN.index.get_loc(BREAK), BROKEN.index.get_loc(BREAK) + 60)
    for row in rows:
        said = source.latest(BROKEN.iloc[row - source.warm_up + 1 : row + 1])
        assert said is not None
        assert (said.location, *said.quantiles, said.p_up) == tuple(
            batch.iloc[row][["location", "q05", "q25", "q50", "q75", "q95", "p_up"]]
        )
    assert (told.frame("A/USD", 4)["q95"] != plain.frame("A/USD", 4)["q95"]).sum() > 500
    assert told.decisions == plain.decisions


@pytest.mark.parametrize("adaptive", [False, True])
def test_later_bars_change_no_corrected_forecast(home: Path, wild: WalkForward, adaptive: bool) -> None:
    moment = BREAK.to_pydatetime() + timedelta(days=9, hours=5)
    known = scheduled(home, BROKEN.loc[: moment - timedelta(hours=1)], moment)
    whole, shorter = lived(wild, adaptive=adaptive), lived(known, last=moment, adaptive=adaptive)
    frames = [w.frame("A/USD", 1).drop(columns="realised").loc[: moment - timedelta(hours=1)] for w in (shorter, whole)]
    pd.testing.assert_frame_equal(*frames)
