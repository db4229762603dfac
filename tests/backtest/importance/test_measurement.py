"""What features add: a planted one is found, useless ones are shown to be useless, alone, in groups, and by training without them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.backtest.importance.measurement import groups_of, importance_of
from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.checks.null_market import planted_market
from forwardtrader.models.features.catalogue import FEATURES, GROUPS
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from forwardtrader.reports.sections.importance import Contribution, ImportanceSection
from tests.backtest.importance.own import Threaded
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
OWN = "tests.backtest.importance.own"
NAMES = ("volume_now", "day_1_sin", "week_cos", "move_6", "return_1_ago", "upper_wick", "volatility_6", f"{OWN}:last_digits")
DAYS = (62, 112)


def trained(
    path: Path, name: str = "Quick", *, ic: float = 0.3, seed: int = 0, names: Sequence[str] = NAMES, symbols: int = 1
) -> WalkForward:
    """Forecasts of markets whose next return depends on their volume, and on nothing else, with that correlation."""
    candles = {
        f"{'ABC'[k]}/USD": planted_market(simulated_bars(24 * DAYS[1], seed=seed + 50 * k), ic, seed + 50 * k).bars for k in range(symbols)
    }
    small: dict[str, Any] = {"horizons": (1,), "train_window": "40d", "retrain_every": "14d", "anew_every": 1, "save_path": str(path)}
    knobs = ModelSettings.model_validate(small | {"forecaster": f"{OWN}:{name}", "features": list(names)})
    return walk_forward(candles, *span(candles["A/USD"].index), settings=knobs, timeframe=HOUR)


def span(index: Any) -> tuple[datetime, datetime]:
    return index[24 * DAYS[0]].to_pydatetime(), index[-1].to_pydatetime()


def measured(walk: WalkForward, *, draws: int = 1, refit: bool = False) -> ImportanceSection:
    return importance_of(walk, *span(walk.panel.index["A/USD"]), HOUR, refit=refit, progress=lambda done, total: None, draws=draws)


def named(rows: Sequence[Contribution], name: str) -> Contribution:
    return next(row for row in rows if row.name == name)


def test_of_many_markets_the_planted_feature_is_found_and_the_others_are_not(tmp_path: Path) -> None:
    found = [measured(trained(tmp_path, seed=seed)) for seed in range(4)]
    assert all(section.features[0].name == "volume_now" and section.features[0].adds for section in found)
    others = [row for section in found for row in section.features[1:]]
    assert sum(row.adds for row in others) <= 1 and len(others) == 28  # at 5 % in each of four tables
    groups = [row for section in found for row in section.groups]
    assert {row.name for row in groups if row.adds} == {"volume"}
    assert all("own last_digits" in section.sentence and "volume" not in section.sentence for section in found)


def test_where_nothing_is_to_be_known_nothing_adds(tmp_path: Path) -> None:
    found = [measured(trained(tmp_path, ic=0.0, seed=seed)) for seed in range(3)]
    assert sum(any(row.adds for row in section.features) for section in found) <= 1
    assert all((row.loss_ci or (0, 0))[0] <= (row.loss or 0.0) for section in found for row in section.features)


def test_a_forecaster_that_reads_one_feature_owes_nothing_to_any_other(tmp_path: Path) -> None:
    section = measured(trained(tmp_path, "Single"), draws=2)
    assert section.features[0].name == "volume_now" and section.features[0].adds
    for row in [*section.features[1:], *(row for row in section.groups if row.name != "volume")]:
        assert (row.loss, row.loss_ci, row.p, row.rank_ic, row.rank_ic_ci) == (0.0, (0.0, 0.0), 1.0, 0.0, (0.0, 0.0))


def test_training_without_a_group_agrees_and_fails_for_that_group_alone(tmp_path: Path) -> None:
    section = measured(trained(tmp_path), refit=True)
    assert [row.name for row in section.refit if row.adds] == ["volume"]
    assert not named(section.refit, "own last_digits").adds and not section.left_out
    assert named(section.refit, "volume").statistic > 3.0  # type: ignore[operator]
    lacking = measured(trained(tmp_path, "Single", names=NAMES[:2]), refit=True)
    assert "there is no feature volume_now" in lacking.left_out["volume"] and [row.name for row in lacking.refit] == ["calendar"]
    assert named(lacking.refit, "calendar").loss == 0.0 and not named(lacking.refit, "calendar").adds


def test_what_ignores_its_features_owes_nothing_and_nothing_can_be_left_out_of_one_group(tmp_path: Path) -> None:
    section = measured(trained(tmp_path, "Blind", names=("volume_now",)), refit=True)
    assert section.sentence == "No group of features adds anything that can be told from chance."
    assert section.left_out == {"volume": "no other feature would be left"}


def test_several_symbols_are_one_observation_a_bar_and_the_same_seed_says_the_same(tmp_path: Path) -> None:
    walk = trained(tmp_path, symbols=2, names=NAMES[:4])
    section = measured(walk, refit=True)
    assert section.refit[0].name == "volume" and named(section.refit, "volume").rank_ic > 0.1  # type: ignore[operator]
    assert section.bars == 24 * (DAYS[1] - DAYS[0]) - 1 and section.features[0].name == "volume_now"
    assert measured(walk).features == section.features and measured(walk, draws=2).features != section.features


def test_too_few_bars_are_refused(tmp_path: Path) -> None:
    walk = trained(tmp_path, names=NAMES[:2])
    late = walk.panel.index["A/USD"][-100].to_pydatetime()
    with pytest.raises(TooLittleHistory, match="fewer than the 250"):
        importance_of(walk, late, span(walk.panel.index["A/USD"])[1], HOUR, refit=False, progress=lambda done, total: None)


def test_every_feature_of_the_catalogue_is_in_one_group_and_every_group_has_some() -> None:
    found = groups_of(tuple(FEATURES))
    assert set(found) == set(GROUPS) and sum(map(len, found.values())) == len(FEATURES)
    outside = groups_of(("factor_mood:standing", "factor_mood:change_1", "factor_rates:standing", "squeeze@1a2b"))
    assert outside == {"factor mood": (0, 1), "factor rates": (2,), "own squeeze": (3,)}


def test_folds_are_done_side_by_side_with_the_bits_of_folds_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = trained(tmp_path, "Threaded", names=NAMES[:3])
    two, one = (replace(walk, settings=walk.settings.model_copy(update={"jobs": jobs})) for jobs in (2, 1))
    in_turn = measured(one)
    monkeypatch.setattr(Threaded, "meeting", threading.Barrier(2))
    assert measured(two) == in_turn
    assert len(Threaded.came) == 2
