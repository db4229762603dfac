"""Models that go on from an anchor's: the same from wherever they are asked for, and none where there is nothing to go on from."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.retrain import assignment, identity, main, train
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.models.folds.warm_start import planned_model
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import ModelRegistry
from forwardtrader.models.walk_forward import ANCHOR, anchor, fold_at
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 14, tzinfo=UTC), datetime(2020, 4, 10, tzinfo=UTC)
BARS = simulated_bars(24 * 101)


def knobs(path: Path, **changes: object) -> ModelSettings:
    small = {"horizons": (1,), "units": 4, "seeds": 1, "epochs": 1, "train_window": "20d", "retrain_every": "7d", "anew_every": 3}
    return ModelSettings.model_validate({**small, "context": 16, "trees": 0.0, "save_path": str(path), **changes})


def run(path: Path, bars: pd.DataFrame = BARS, **changes: object) -> WalkForward:
    return walk_forward({"A/USD": bars}, FIRST, LAST, settings=knobs(path, **changes), timeframe=HOUR)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> WalkForward:
    return run(tmp_path_factory.mktemp("models"))


@given(st.integers(0, 20_000), st.integers(1, 9), st.integers(1, 60))
def test_an_anchor_is_the_newest_of_its_kind_and_depends_on_the_moment_alone(hours: int, anew_every: int, days: int) -> None:
    settings = ModelSettings(anew_every=anew_every, retrain_every=timedelta(days=days))
    moment = ANCHOR + timedelta(hours=hours)
    at, span = anchor(moment, settings), settings.retrain_every * anew_every
    assert (at - ANCHOR) % span == timedelta(0)
    assert timedelta(0) <= moment - at < span


def test_models_between_anchors_go_on_from_the_anchor_s(walk: WalkForward) -> None:
    cards = [served.card for served in walk.served]
    anchors = {card.boundary: card.model_id for card in cards if not card.goes_on_from}
    between = [card for card in cards if card.goes_on_from]
    assert anchors and between
    for card in between:
        at = anchor(datetime.fromisoformat(card.boundary), walk.settings).isoformat()
        base = ModelRegistry(Path(walk.settings.save_path)).card(card.goes_on_from)
        assert (base.boundary, base.goes_on_from) == (at, "")
        assert card.goes_on_from == anchors.get(at, base.model_id)


def test_without_the_anchor_s_whole_window_a_model_learns_from_nothing(tmp_path: Path) -> None:
    settings = knobs(tmp_path)
    boundary = anchor(FIRST, settings) + settings.retrain_every
    for spare, base in ((timedelta(days=1), True), (timedelta(days=-5), False)):
        reach = warm_up(Panel.of({"A/USD": BARS}, (1,)).names)
        begin = anchor(boundary, settings) - settings.train_window - spare - reach * HOUR.delta
        panel = Panel.of({"A/USD": BARS.loc[pd.Timestamp(begin) :]}, (1,))
        fold = {"A/USD": fold_at(panel.index["A/USD"], boundary, boundary, settings, HOUR, reach)}
        assert (planned_model(panel, fold, settings, HOUR).base is not None) == base


@pytest.mark.parametrize("anchor_is_there", [True, False])
def test_a_live_retraining_between_anchors_gives_the_model_of_the_backtest_to_the_bit(
    tmp_path: Path, walk: WalkForward, anchor_is_there: bool
) -> None:
    card = next(served.card for served in walk.served if served.card.goes_on_from)
    boundary, settings = datetime.fromisoformat(card.boundary), knobs(tmp_path)
    seen = {"A/USD": BARS.loc[: pd.Timestamp(boundary) - pd.Timedelta("1h")]}
    if anchor_is_there:
        train(assignment(seen, anchor(boundary, settings), settings, HOUR))
    work = assignment(seen, boundary, settings, HOUR)
    assert train(work).goes_on_from == card.goes_on_from
    assert work.model_id == card.model_id
    ours, theirs = ModelRegistry(tmp_path).network(card.model_id), walk.network(card.model_id)
    for mine, other in zip(ours.members, theirs.members, strict=True):
        assert {name: value.tobytes() for name, value in mine.items()} == {name: value.tobytes() for name, value in other.items()}


def test_one_worker_and_two_give_the_same_models_with_and_without_those_trained_before(tmp_path: Path, walk: WalkForward) -> None:
    alone = run(tmp_path, jobs=1)
    pd.testing.assert_frame_equal(alone.frame("A/USD", 1), walk.frame("A/USD", 1))
    uncached = run(Path(walk.settings.save_path), cache=False)
    pd.testing.assert_frame_equal(uncached.frame("A/USD", 1), walk.frame("A/USD", 1))


@pytest.mark.parametrize("factors", [(), ("factor_mood", "factor_funding")])
def test_the_id_of_a_model_needs_no_features(tmp_path: Path, factors: tuple[str, ...]) -> None:
    mood = np.random.default_rng(1).normal(size=(len(BARS), 2))
    seen = {s: BARS.assign(**{name: mood[:, k] + n for k, name in enumerate(factors)}) for n, s in enumerate(("A/USD", "B/USD"))}
    for boundary in (datetime(2020, 3, 14, tzinfo=UTC), datetime(2020, 3, 21, tzinfo=UTC), datetime(2020, 3, 28, tzinfo=UTC)):
        assert identity(seen, boundary, knobs(tmp_path), HOUR) == assignment(seen, boundary, knobs(tmp_path), HOUR).model_id


def test_going_on_is_a_choice(tmp_path: Path, walk: WalkForward) -> None:
    anew = run(tmp_path, anew_every=1)
    assert not any(served.card.goes_on_from for served in anew.served)
    ours, theirs = (w.frame("A/USD", 1)["location"].to_numpy() for w in (anew, walk))
    known = np.isfinite(theirs)
    assert not np.array_equal(ours[known], theirs[known])


def test_a_damaged_anchor_is_trained_again_by_a_backtest_and_by_a_session(tmp_path: Path, walk: WalkForward) -> None:
    run(tmp_path)
    registry, card = ModelRegistry(tmp_path), next(served.card for served in walk.served if served.card.goes_on_from)
    boundary, seen = datetime.fromisoformat(card.boundary), {"A/USD": BARS}
    for again in (lambda: run(tmp_path), lambda: train(assignment(seen, boundary, knobs(tmp_path), HOUR))):
        (tmp_path / card.model_id / "card.json").unlink()
        (tmp_path / card.goes_on_from / "model.keras").write_bytes(b"torn")
        again()
        assert registry.sound_network(card.goes_on_from) is not None
        for mine, other in zip(registry.network(card.model_id).members, walk.network(card.model_id).members, strict=True):
            assert {name: value.tobytes() for name, value in mine.items()} == {name: value.tobytes() for name, value in other.items()}


@pytest.mark.parametrize("file", ["model.keras", "card.json", ""])
def test_whatever_is_damaged_of_an_anchor_or_of_a_model_is_trained_again_and_said(tmp_path: Path, walk: WalkForward, file: str) -> None:
    run(tmp_path)
    registry, card = ModelRegistry(tmp_path), next(served.card for served in walk.served if served.card.goes_on_from)
    for model_id in (card.model_id, card.goes_on_from):
        spoil(tmp_path / model_id, file)
    said: list[str] = []
    wanted = assignment({"A/USD": BARS}, datetime.fromisoformat(card.boundary), knobs(tmp_path), HOUR)
    train(wanted, lambda model_id, _why: said.append(model_id))
    assert said == ([card.model_id, card.goes_on_from] if file else [])
    for model_id in (card.model_id, card.goes_on_from):
        for mine, other in zip(registry.network(model_id).members, walk.network(model_id).members, strict=True):
            assert {name: value.tobytes() for name, value in mine.items()} == {name: value.tobytes() for name, value in other.items()}


def test_a_digit_of_a_card_that_changed_on_the_disk_is_noticed_and_the_model_trained_again(tmp_path: Path, walk: WalkForward) -> None:
    first = run(tmp_path)
    card = first.served[-1].card
    path = tmp_path / card.model_id / "card.json"
    told = json.loads(path.read_text())
    told["train_bars"] += 1
    path.write_text(json.dumps(told))
    assert ModelCard.model_validate_json(path.read_text()) != card
    said: list[str] = []
    walk_forward({"A/USD": BARS}, FIRST, LAST, settings=knobs(tmp_path), timeframe=HOUR, damaged=lambda _id, why: said.append(why))
    assert len(said) == 1 and "was changed after it was saved" in said[0]
    assert ModelRegistry(tmp_path).card(card.model_id).train_bars == card.train_bars


def test_a_card_that_cannot_be_read_beside_kept_forecasts_does_not_end_a_backtest(tmp_path: Path, walk: WalkForward) -> None:
    first = run(tmp_path)
    spoil(tmp_path / first.served[-1].card.model_id, "card.json")
    said: list[str] = []
    again = walk_forward(
        {"A/USD": BARS}, FIRST, LAST, settings=knobs(tmp_path), timeframe=HOUR, damaged=lambda model_id, _why: said.append(model_id)
    )
    assert said == [first.served[-1].card.model_id]
    pd.testing.assert_frame_equal(again.frame("A/USD", 1), walk.frame("A/USD", 1))


def test_the_command_says_what_it_trained_again(tmp_path: Path, walk: WalkForward, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path)
    card = next(served.card for served in walk.served if served.card.goes_on_from)
    BARS.to_parquet(tmp_path / "A-USD.parquet")
    asked = {"candles": {"A/USD": str(tmp_path / "A-USD.parquet")}, "boundary": card.boundary, "timeframe": "1h"}
    (tmp_path / "request.json").write_text(json.dumps({**asked, "settings": knobs(tmp_path).model_dump(mode="json")}))
    for file, trained in (("", True), ("model.keras", True), (None, False)):
        if file is not None:
            spoil(tmp_path / card.model_id, file)
            spoil(tmp_path / card.goes_on_from, file)
        assert main(["--request", str(tmp_path / "request.json")]) == 0
        shown = capsys.readouterr()
        answer, lines = json.loads(shown.out), shown.err.splitlines()
        assert (answer["model_id"], answer["trained"]) == (card.model_id, trained)
        assert list(answer["damaged"]) == ([card.model_id, card.goes_on_from] if file else [])
        assert [line.split()[1] for line in lines] == list(answer["damaged"]) and all("is trained again" in line for line in lines)


def spoil(folder: Path, file: str) -> None:
    """Cut a file of a model short; without a name, take the whole folder away."""
    if not file:
        shutil.rmtree(folder)
        return
    (folder / file).write_bytes((folder / file).read_bytes()[:100])


def test_a_damaged_network_without_forecasts_is_trained_again(tmp_path: Path, walk: WalkForward) -> None:
    first = run(tmp_path)
    folder = tmp_path / first.served[-1].card.model_id
    for file in folder.glob("forecasts-*"):
        file.unlink()
    (folder / "model.keras").write_bytes(b"torn")
    pd.testing.assert_frame_equal(run(tmp_path).frame("A/USD", 1), walk.frame("A/USD", 1))
