"""A user's own features in a session: the child process trains with them, the session serves them, the backtest says the same."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from forwardtrader.core.errors import FingerprintMismatch
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.retraining.stock import ModelStock
from forwardtrader.live.retraining.supply import ModelSupply
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.folds.baseline_walk import baseline_frames
from forwardtrader.models.folds.retrain import identity
from forwardtrader.models.folds.walk import walk_forward
from forwardtrader.models.registry.store import ModelRegistry
from tests.models.bars import heard, simulated_bars

HOUR, SYMBOL = Timeframe.parse("1h"), "A/USD"
FIRST, LAST = datetime(2020, 3, 5, 6, tzinfo=UTC), datetime(2020, 3, 10, tzinfo=UTC)
BARS = simulated_bars(24 * 75)
SOURCE = """
import numpy as np
import forwardtrader as ft
from forwardtrader.models.port.base_forecaster import BaseForecaster


@ft.feature(warm_up=300)
def trend(bars):
    day = bars.resample("1d")
    return 10.0 * day.align(np.log(day.close / ft.window_mean(day.close, 10)))


@ft.feature(warm_up=24)
def squeeze(bars):
    span = ft.window_max(bars.high, 24) - ft.window_min(bars.low, 24)
    return np.where(span > 0, (bars.high - bars.low) / np.where(span > 0, span, 1.0), 0.0)


class Ridge(BaseForecaster):
    def fit(self, panel):
        self.weights_ = np.linalg.solve(panel.X.T @ panel.X + np.eye(panel.X.shape[1]), panel.X.T @ panel.y)
        return self

    def predict(self, panel):
        panel.column("squeeze")  # by the name that its user gave it
        return (panel.X * self.weights_).sum(axis=1)
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "session_features.py"
    path.write_text(SOURCE)
    yield path
    sys.modules.pop("session_features", None)


@pytest.fixture
def settings(file: Path) -> ModelSettings:
    chosen = {"features": ("move_24", "session_features.py:*"), "forecaster": "session_features.py:Ridge", "horizons": (1, 4)}
    return ModelSettings.model_validate({**chosen, "train_window": "40d", "retrain_every": "7d", "save_path": str(file.parent / "models")})


def test_what_a_session_forecasts_with_own_features_is_what_its_backtest_forecasts(settings: ModelSettings, tmp_path: Path) -> None:
    told: list[str] = []

    def notify(kind: str, *_: object, **facts: Any) -> None:
        told.append(f"{kind} {facts}")

    first = int(BARS.index.searchsorted(pd.Timestamp(FIRST)))
    supply = ModelSupply(
        (SYMBOL,), settings, 4, HOUR, folder=tmp_path / "paper", candles=lambda: {SYMBOL: BARS.iloc[:first]}, notify=notify,
    )  # fmt: skip
    supply.open(BARS.index[first].to_pydatetime())  # trains in a child process
    assert supply.card is not None and [short_name(name) for name in supply.card.features] == ["move_24", "trend", "squeeze"]
    source = supply.sources[SYMBOL]
    rows = range(first, first + 30)
    by_bar = [source.on_bar(heard(BARS, row, source.warm_up)) for row in rows]
    again = [source.latest(BARS.iloc[: row + 1]) for row in rows]
    walk = walk_forward({SYMBOL: BARS}, FIRST, LAST, settings=settings, timeframe=HOUR)
    frame = walk.frame(SYMBOL, 4).iloc[rows]
    assert [f.location for f in by_bar if f] == [f.location for f in again if f] == frame["location"].tolist()
    fitted = baseline_frames(walk, ("momentum", "reversal", "ridge"), 1, ModelRegistry(Path(settings.save_path)))
    assert list(fitted) == ["momentum", "ridge"]  # reversal is made of a feature that was not chosen
    assert {f.model_id for f in by_bar if f} == {supply.card.model_id} == set(frame["model_id"]) and told == []


def test_another_code_of_a_feature_is_another_model(settings: ModelSettings, file: Path) -> None:
    before = identity({SYMBOL: BARS}, FIRST, settings, HOUR)
    assert before == identity({SYMBOL: BARS}, FIRST, settings.model_copy(update={"features": ("move_24", f"{file}:*")}), HOUR)
    assert before != identity({SYMBOL: BARS}, FIRST, settings.model_copy(update={"features": ("session_features.py:*",)}), HOUR)
    sys.modules.pop("session_features")
    file.write_text(SOURCE.replace("10.0 *", "20.00 *"))
    assert before != identity({SYMBOL: BARS}, FIRST, settings, HOUR)


def test_a_model_of_other_code_is_not_served_and_the_alert_says_why(settings: ModelSettings, tmp_path: Path) -> None:
    """The file is edited while a session runs: its child process trains with the new code, which the session does not have."""
    stock = ModelStock(settings, HOUR, folder=tmp_path / "paper", candles=lambda: {SYMBOL: BARS}, notify=lambda *_, **__: None)
    (tmp_path / "session_features.py").write_text(SOURCE.replace("10.0 *", "30.00 *"))
    made = stock.trainings.begin(datetime(2020, 3, 5, tzinfo=UTC), awaited=True).finish()
    assert ModelRegistry(Path(settings.save_path)).card(made).features[0] == "move_24"
    with pytest.raises(FingerprintMismatch, match="trained with other code of the feature trend; put the code back as it was"):
        stock.card(made)
