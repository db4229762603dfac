"""A session's models over the bars of a market that breaks: decision for decision and bit for bit what the backtest says."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ForecasterFailed, InvalidSetting, NotTrained, TrainingDiverged
from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.live.retraining.supply import ModelSupply
from forwardtrader.live.retraining.worker import ChildTrainings, TrainingsHere
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.online.online_walk_forward import OnlineWalkForward, PromotionCommand, online_walk_forward
from forwardtrader.models.registry.command import promote, rollback
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionLog
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.online.test_online_walk_forward import BREAK, BROKEN

HOUR = Timeframe.parse("1h")
SYMBOL = "A/USD"
FIRST = datetime(2020, 4, 2, 7, tzinfo=UTC)
LAST = datetime(2020, 4, 14, 5, tzinfo=UTC)
NOW = datetime(2024, 1, 1, tzinfo=UTC)
UNTOUCHED = "{}-untouched"  # what the backtest left there, before any session
EARLY = {"early": True, "reference": "35d", "false_alarms_every": "200d"}


@dataclass
class Session:
    """What a live session does with its models, bar by bar, without the rest of it."""

    folder: Path
    settings: ModelSettings
    learning: LearningSettings
    bars: pd.DataFrame = field(default_factory=lambda: BROKEN)
    closed: int = 0
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    said: list[Forecast | None] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))

    def start(self) -> None:
        """Also after a crash: nothing of the process before is left but its files."""
        first = int(self.bars.index.searchsorted(pd.Timestamp(FIRST)))
        self.closed = max(self.closed, first)
        trainings = TrainingsHere(self.settings, HOUR, self.candles, lambda model_id, _why: self.mended.append(model_id))
        self.supply = ModelSupply(
            (SYMBOL,), self.settings, 4, HOUR, folder=self.folder, candles=self.candles, notify=self.notify, learning=self.learning,
            clock=self.clock, trainings=trainings,
        )  # fmt: skip
        self.supply.open(self.bars.index[self.closed].to_pydatetime())

    def candles(self) -> Mapping[str, pd.DataFrame]:
        return {SYMBOL: self.bars.iloc[: self.closed]}

    def notify(self, kind: str, level: str = "warning", **facts: Any) -> None:
        self.told.append((kind, facts))

    def live(self, until: datetime) -> Session:
        end = int(self.bars.index.searchsorted(pd.Timestamp(until)))
        while self.closed < end:
            self.closed += 1
            seen = self.bars.iloc[: self.closed]
            self.said.append(self.supply.sources[SYMBOL].latest(seen))
            self.supply.bar_closed(seen.index[-1].to_pydatetime())
            self.supply.collect(seen.index[-1].to_pydatetime() + HOUR.delta, wait=True)
        return self


def knobs(path: Path) -> ModelSettings:
    small = {"horizons": (1, 4), "units": 4, "seeds": 1, "epochs": 1, "train_window": "40d", "retrain_every": "7d", "context": 16}
    return ModelSettings.model_validate({**small, "save_path": str(path)})


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    return knobs(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def walk(settings: ModelSettings) -> WalkForward:
    found = walk_forward({SYMBOL: BROKEN}, FIRST, LAST, settings=settings, timeframe=HOUR)
    shutil.copytree(settings.save_path, UNTOUCHED.format(settings.save_path))
    return found


@pytest.fixture
def own(settings: ModelSettings, walk: WalkForward, tmp_path: Path) -> ModelSettings:
    """The models of the calendar in a registry of the test's own, where they may be damaged."""
    shutil.copytree(UNTOUCHED.format(settings.save_path), tmp_path / "models")
    return knobs(tmp_path / "models")


def session(folder: Path, settings: ModelSettings, **learning: object) -> Session:
    begun = Session(folder / "paper", settings, LearningSettings.model_validate(learning))
    begun.start()
    return begun


def assert_equal(lived: Session, walk: WalkForward, orders: tuple[PromotionCommand, ...] = ()) -> None:
    told = online_walk_forward(walk, FIRST, LAST, learning=lived.learning, timeframe=HOUR, commands=orders)
    frame = told.frame(SYMBOL, 4).loc[FIRST : LAST - HOUR.delta]
    names = ["location", "scale", "q05", "q25", "q50", "q75", "q95", "p_up", "model_id"]
    rows = [(f.location, f.scale, *f.quantiles, f.p_up, f.model_id) for f in lived.said if f is not None]
    pd.testing.assert_frame_equal(pd.DataFrame(rows, columns=names, index=frame.index), frame[names], check_dtype=False, rtol=0, atol=0)
    if isinstance(told, OnlineWalkForward) and told.decisions:
        own = PromotionLog(lived.folder).entries()
        expected = [(d.action, d.by, d.card.model_id, d.other, d.since) for d in told.decisions[1:] if d.since <= LAST]
        assert [(e.action, e.by, e.model_id, e.other, e.since) for e in own[1:] if e.since and e.since <= LAST] == expected


@pytest.mark.parametrize(
    "learning",
    [
        *({}, EARLY, {**EARLY, "trial": 30}, {"trial": 30, "promotion": "if better"}, {**EARLY, "adaptive": True}),
        {**EARLY, "guard": 60, "level": 0.4},
    ],
    ids=["calendar", "early", "early and trial", "trial", "early and adaptive", "early and guarded"],
)
def test_a_session_says_what_its_replay_says(tmp_path: Path, settings: ModelSettings, walk: WalkForward, learning: dict[str, Any]) -> None:
    lived = session(tmp_path, settings, **learning).live(LAST)
    assert_equal(lived, walk)
    if learning.get("early"):
        [drift, *_] = [facts for kind, facts in lived.told if kind == "drift"]
        assert datetime.fromisoformat(drift["boundary"]) > BREAK and "usually" in drift["reason"]


@dataclass(frozen=True)
class Failing:
    """A training that comes to nothing, and what starts it."""

    error: Exception
    boundary: datetime = NOW
    is_done: bool = True

    def begin(self, boundary: datetime, changed: datetime | None = None, *, awaited: bool = False) -> Failing:
        return replace(self, boundary=boundary)

    def finish(self) -> str:
        raise self.error

    def stop(self) -> None:
        """It has ended already."""


@pytest.mark.parametrize("kind", [NotTrained, TrainingDiverged, ForecasterFailed])
def test_a_training_that_fails_leaves_the_model_in_force_and_is_told(
    tmp_path: Path, settings: ModelSettings, walk: WalkForward, kind: type[Exception]
) -> None:
    lived = session(tmp_path, settings)
    before = lived.supply.card
    lived.supply.stock.trainings = Failing(kind("Mine, fold 2020-04-04 of A/USD: the training diverged"))
    lived.live(FIRST + timedelta(days=8))
    [told] = [facts for kind, facts in lived.told if kind == "training_failed"]
    assert "diverged" in told["reason"]
    assert lived.supply.card == before


@pytest.mark.parametrize("after_h", [1, pytest.param(60, marks=pytest.mark.slow), 120, 149, pytest.param(171, marks=pytest.mark.slow), 200])
def test_a_restart_at_any_bar_changes_nothing(tmp_path: Path, settings: ModelSettings, walk: WalkForward, after_h: int) -> None:
    lived = session(tmp_path, settings, **EARLY, trial=30, adaptive=True).live(FIRST + timedelta(hours=after_h))
    lived.start()
    assert_equal(lived.live(LAST), walk)


def test_decisions_stand_in_the_registry_and_are_told(tmp_path: Path, settings: ModelSettings) -> None:
    lived = session(tmp_path, settings, trial=30).live(LAST)
    shared = [e for e in ModelRegistry(Path(settings.save_path)).promotions.entries() if e.session == "paper"]
    own = PromotionLog(lived.folder).entries()
    assert own and shared[-len(own) :] == own
    told = [facts["reason"] for kind, facts in lived.told if kind in ("model_promoted", "model_kept")]
    assert told == [e.reason for e in own[1:]]
    assert all("over 30 bars" in reason for reason in told)


def test_a_person_promotes_and_rolls_back_while_the_session_runs(tmp_path: Path, walk: WalkForward) -> None:
    """In a registry of its own: what is ordered there holds in every session."""
    settings = knobs(tmp_path / "models")
    registry, clock = ModelRegistry(tmp_path / "models"), FixedClock(NOW + timedelta(days=1))
    earlier = TrainingsHere(settings, HOUR, lambda: {SYMBOL: BROKEN}).begin(FIRST - timedelta(days=9)).finish()
    lived = session(tmp_path, settings, early=True, slack=90.0).live(FIRST + timedelta(hours=20))
    before = lived.supply.card
    promote(registry, earlier, "it did well once", clock)
    lived.live(FIRST + timedelta(hours=30))
    assert lived.supply.card is not None and lived.supply.card.model_id == earlier
    clock.at += timedelta(hours=1)
    lived.start()
    rollback(registry, "it does not now", clock)
    lived.live(FIRST + timedelta(hours=32))
    assert lived.supply.card == before
    lived.live(LAST)
    orders = tuple(
        PromotionCommand(e.since, e.model_id, e.action, e.reason)
        for e in PromotionLog(lived.folder).entries()
        if e.by is Author.PERSON and e.since
    )
    assert [(o.since, o.action) for o in orders] == [
        (FIRST + timedelta(hours=21), PromotionAction.PROMOTED),
        (FIRST + timedelta(hours=31), PromotionAction.ROLLED_BACK),
    ]
    home = walk_forward({SYMBOL: BROKEN}, FIRST, LAST, settings=settings, timeframe=HOUR)
    assert_equal(lived, home, orders)


def test_an_order_that_cannot_be_obeyed_is_told(tmp_path: Path) -> None:
    settings = knobs(tmp_path / "models")
    lived = session(tmp_path, settings)
    registry = ModelRegistry(tmp_path / "models")
    card = registry.cards()[0]
    far = card.model_copy(update={"model_id": "far", "horizons": (1, 2)})
    (tmp_path / "models" / "far").mkdir()
    (tmp_path / "models" / "far" / "card.json").write_text(far.model_dump_json())
    promote(registry, "far", "a mistake", FixedClock(NOW + timedelta(days=1)))
    lived.live(FIRST + timedelta(hours=2))
    assert [facts["reason"] for kind, facts in lived.told if kind == "order_refused"] == [
        "model far cannot be in force here: it does not forecast 4 bars ahead"
    ]
    assert lived.supply.card == card


@pytest.mark.parametrize("file", ["model.keras", "trees.npz", "card.json"])
def test_a_damaged_model_is_trained_again_with_one_line(tmp_path: Path, own: ModelSettings, walk: WalkForward, file: str) -> None:
    lived = session(tmp_path, own).live(FIRST + timedelta(hours=5))
    assert lived.supply.card is not None
    path = tmp_path / "models" / lived.supply.card.model_id / file
    path.write_bytes(path.read_bytes()[:100])
    lived.start()
    [told] = [facts for kind, facts in lived.told if kind == "model_damaged"]
    assert file in told["reason"] and told["mended"] == "it is trained again"
    assert_equal(lived.live(LAST), walk)


def test_a_model_whose_files_are_gone_is_trained_again_and_goes_on_where_it_stood(
    tmp_path: Path, own: ModelSettings, walk: WalkForward
) -> None:
    """Also one that was called early: the calendar alone would not bring it back."""
    lived = session(tmp_path, own, **EARLY)
    while not any(e.by is Author.DRIFT and e.action is PromotionAction.PROMOTED for e in PromotionLog(lived.folder).entries()):
        lived.live(lived.bars.index[lived.closed].to_pydatetime() + HOUR.delta)
    assert lived.supply.card is not None
    shutil.rmtree(tmp_path / "models" / lived.supply.card.model_id)
    lived.start()
    assert [facts["reason"] for kind, facts in lived.told if kind == "model_damaged"] == ["its files are gone"]
    assert_equal(lived.live(LAST), walk)


@pytest.mark.parametrize(
    "file", ["model.keras", pytest.param("trees.npz", marks=pytest.mark.slow), pytest.param("card.json", marks=pytest.mark.slow), ""]
)
def test_a_damaged_model_that_a_boundary_finds_is_trained_again(tmp_path: Path, own: ModelSettings, walk: WalkForward, file: str) -> None:
    """What another session left, and what those between two anchors go on from: while the session runs, or trains."""
    lived = session(tmp_path, own).live(FIRST + timedelta(hours=5))
    assert lived.supply.card is not None
    held = [card.model_id for card in ModelRegistry(tmp_path / "models").cards() if card.model_id != lived.supply.card.model_id]
    assert len(held) > 1
    for model_id in held:
        spoil(tmp_path / "models" / model_id, file)
    assert_equal(lived.live(LAST), walk)
    assert sorted(lived.mended) == (sorted(held) if file else [])
    assert not [facts for kind, facts in lived.told if kind == "training_failed"]


def test_a_child_says_what_it_trained_again(tmp_path: Path, own: ModelSettings, walk: WalkForward) -> None:
    card = next(served.card for served in walk.served if served.card.goes_on_from)
    spoil(tmp_path / "models" / card.model_id, "card.json")
    spoil(tmp_path / "models" / card.goes_on_from, "model.keras")
    said: dict[str, str] = {}
    trainings = ChildTrainings(own, HOUR, tmp_path, lambda: {SYMBOL: BROKEN}, said.__setitem__)
    assert trainings.begin(datetime.fromisoformat(card.boundary), awaited=True).finish() == card.model_id
    assert list(said) == [card.model_id, card.goes_on_from] and "model.keras" in said[card.goes_on_from]


def test_past_models_that_outcomes_are_held_against_are_trained_again_too(tmp_path: Path, own: ModelSettings, walk: WalkForward) -> None:
    lived = session(tmp_path, own, adaptive=True).live(FIRST + timedelta(days=9))
    past = PromotionLog(lived.folder).entries()[0].model_id
    assert lived.supply.card is not None and past != lived.supply.card.model_id
    spoil(tmp_path / "models" / past, "model.keras")
    lived.start()
    assert_equal(lived.live(LAST), walk)


def test_a_model_that_is_lost_while_it_is_tried_is_at_hand(tmp_path: Path, own: ModelSettings, walk: WalkForward) -> None:
    lived = session(tmp_path, own, trial=30).live(FIRST + timedelta(days=5))
    for card in ModelRegistry(tmp_path / "models").cards():
        spoil(tmp_path / "models" / card.model_id, "model.keras")
    assert_equal(lived.live(LAST), walk)


def spoil(folder: Path, file: str) -> None:
    """Cut a file of a model short; without a name, take the whole folder away."""
    if not file:
        shutil.rmtree(folder)
        return
    (folder / file).write_bytes((folder / file).read_bytes()[:100])


def test_a_new_session_does_not_end_at_a_damaged_model_of_another_one(tmp_path: Path, own: ModelSettings, walk: WalkForward) -> None:
    first = session(tmp_path / "first", own)
    assert first.supply.card is not None
    (tmp_path / "models" / first.supply.card.model_id / "model.keras").write_bytes(b"")
    second = session(tmp_path / "second", own)
    assert [kind for kind, _ in second.told] == ["model_damaged"]
    assert_equal(second.live(LAST), walk)


def test_an_order_for_a_damaged_model_is_refused(tmp_path: Path) -> None:
    settings = knobs(tmp_path / "models")
    registry = ModelRegistry(tmp_path / "models")
    earlier = TrainingsHere(settings, HOUR, lambda: {SYMBOL: BROKEN}).begin(FIRST - timedelta(days=9)).finish()
    lived = session(tmp_path, settings)
    before = lived.supply.card
    (tmp_path / "models" / earlier / "model.keras").write_bytes(b"")
    promote(registry, earlier, "it did well once", FixedClock(NOW + timedelta(days=1)))
    lived.live(FIRST + timedelta(hours=2))
    assert ["damaged" in facts["reason"] for kind, facts in lived.told if kind == "order_refused"] == [True]
    assert lived.supply.card == before


def test_a_horizon_that_is_not_forecast_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"strategies.horizon 24 is not among models.horizons \(1, 4\)"):
        ModelSupply((SYMBOL,), knobs(tmp_path), 24, HOUR, folder=tmp_path, candles=dict, notify=print)
