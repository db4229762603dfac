"""A model of a market that changed learns from the bars since then, where these teach more than a whole window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.retrain import assignment, identity, train
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.walk_forward import LEAST_AFTER_CHANGE, fold_at
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
NAMES = ("return_1_ago", "return_2_ago", "move_6")
BEFORE, AFTER = simulated_bars(24 * 90, reversal=0.6), simulated_bars(24 * 60, seed=1, start="2020-03-31", reversal=-0.6)
PRICES = ["open", "high", "low", "close"]
TURNED = pd.concat([BEFORE, AFTER.assign(**(AFTER[PRICES] * (BEFORE["close"].iloc[-1] / AFTER["open"].iloc[0])))])
STEADY = simulated_bars(24 * 150, reversal=0.6)
CHANGE, BOUNDARY = datetime(2020, 3, 31, tzinfo=UTC), datetime(2020, 4, 22, tzinfo=UTC)


def knobs(path: Path) -> ModelSettings:
    said = {"forecaster": "huber_linear", "features": NAMES, "horizons": (1,), "seeds": 1, "train_window": "80d", "save_path": str(path)}
    return ModelSettings.model_validate(said)


def trained(bars: pd.DataFrame, path: Path, changed: datetime | None) -> ModelCard:
    return train(assignment({"A/USD": bars}, BOUNDARY, knobs(path), HOUR, changed))


def test_where_the_market_turned_nothing_older_is_learned_from(tmp_path: Path) -> None:
    card = trained(TURNED, tmp_path, CHANGE)
    assert card.market_changed == CHANGE
    assert card.train_from == pd.Timestamp(CHANGE).isoformat()
    assert card.model_id != trained(TURNED, tmp_path, None).model_id


def test_after_a_false_alarm_the_model_is_that_of_the_whole_window(tmp_path: Path) -> None:
    card = trained(STEADY, tmp_path, BOUNDARY - timedelta(days=3))
    assert card.market_changed is None
    assert card.model_id == identity({"A/USD": STEADY}, BOUNDARY, knobs(tmp_path), HOUR)


def test_false_alarms_shorten_a_window_no_more_often_than_the_level_says(tmp_path: Path) -> None:
    """Twenty steady markets: one short window is nominal, and six came of means alone."""
    steady = (simulated_bars(24 * 120, seed=seed, reversal=0.2) for seed in range(20))
    cards = [trained(bars, tmp_path / str(seed), BOUNDARY - timedelta(days=12)) for seed, bars in enumerate(steady)]
    assert sum(card.market_changed is not None for card in cards) <= 3  # four are 2 % likely


def test_the_choice_depends_on_nothing_after_the_boundary(tmp_path: Path) -> None:
    for name, bars in {"turned": TURNED, "steady": STEADY}.items():
        known = bars.loc[bars.index < BOUNDARY]
        cards = [trained(each, tmp_path / f"{name}{n}", BOUNDARY - timedelta(days=9)) for n, each in enumerate((bars, known))]
        assert cards[0].model_id == cards[1].model_id


@pytest.mark.parametrize(("age", "first"), [(500, 500), (100, LEAST_AFTER_CHANGE), (10_000, 80 * 24)])
def test_a_change_shortens_a_window_to_no_fewer_bars_than_a_model_needs(tmp_path: Path, age: int, first: int) -> None:
    index, at = pd.DatetimeIndex(STEADY.index), 24 * 120
    boundary = index[at].to_pydatetime()
    fold = fold_at(index, boundary, boundary, knobs(tmp_path), HOUR, 0, boundary - age * HOUR.delta)
    assert fold.train_first == at - first
