"""The panel forecaster through whole folds: any order of symbols, gaps, a late start, a dead symbol, and nothing of the future."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.walk import WalkForward, walk_forward
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FIRST, LAST = datetime(2020, 3, 14, tzinfo=UTC), datetime(2020, 3, 28, tzinfo=UTC)
SMALL = {"n_estimators": 12, "own_estimators": 6, "min_data_in_leaf": 100, "own_min_data_in_leaf": 50}


def market() -> dict[str, pd.DataFrame]:
    """Three symbols, one with gaps and one that starts late."""
    frames = {name: simulated_bars(24 * 88, seed=k, reversal=0.25) for k, name in enumerate(("B/USD", "A/USD", "C/USD"))}
    frames["A/USD"] = frames["A/USD"][np.random.default_rng(0).random(24 * 88) >= 0.03]
    frames["C/USD"] = frames["C/USD"].iloc[24 * 20 :]
    return frames


def run(path: Path, frames: dict[str, pd.DataFrame], **changes: object) -> WalkForward:
    given = {"forecaster": "panel", "params": SMALL, "horizons": (1,), "train_window": "40d", "retrain_every": "7d", "save_path": str(path)}
    return walk_forward(frames, FIRST, LAST, settings=ModelSettings.model_validate(given | changes), timeframe=HOUR)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> WalkForward:
    return run(tmp_path_factory.mktemp("models"), market())


def location(walk: WalkForward, symbol: str) -> pd.Series:
    return walk.frame(symbol, 1)["location"].dropna()


def test_the_order_of_the_symbols_changes_no_location(walk: WalkForward, tmp_path: Path) -> None:
    other = run(tmp_path, dict(reversed(market().items())))
    for symbol in market():
        assert len(location(walk, symbol))
        pd.testing.assert_series_equal(location(other, symbol), location(walk, symbol), check_exact=True)


def test_a_dead_symbol_hardly_changes_anything(walk: WalkForward, tmp_path: Path) -> None:
    dead = market()["B/USD"].iloc[: 24 * 10]
    other = run(tmp_path, market() | {"D/USD": dead})
    for symbol in market():
        pd.testing.assert_series_equal(location(other, symbol), location(walk, symbol), check_exact=True)


def test_what_comes_later_changes_nothing_before(walk: WalkForward, tmp_path: Path) -> None:
    moment = pd.Timestamp("2020-03-24 05:00", tz="UTC")
    other = run(tmp_path, {symbol: frame[frame.index <= moment] for symbol, frame in market().items()})
    for symbol in market():
        short = location(other, symbol)
        assert short.index[-1] == location(walk, symbol).index.intersection(short.index)[-1]
        pd.testing.assert_series_equal(short, location(walk, symbol).loc[: short.index[-1]], check_exact=True)


def test_all_symbols_are_forecast_and_the_signal_that_is_there_is_found(walk: WalkForward) -> None:
    found = []
    for symbol in market():
        frame = walk.frame(symbol, 1).dropna()
        assert (frame["q05"] <= frame["q50"]).all() and (frame["q50"] <= frame["q95"]).all()
        found.append(frame["location"].corr(frame["realised"], method="spearman"))
    assert np.mean(found) > 0.05
