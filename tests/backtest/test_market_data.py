"""How much history a run loads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from forwardtrader.backtest.market_data import history_start
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import FEATURES, warm_up
from forwardtrader.models.walk_forward import lead_bars

FIRST, HOUR = datetime(2023, 1, 1, tzinfo=UTC), Timeframe.parse("1h")


def test_the_history_holds_the_window_the_anchor_before_it_and_the_warm_up() -> None:
    settings = ModelSettings()
    start = history_start(FIRST, settings, HOUR)
    assert start is not None
    least = settings.train_window + settings.retrain_every * settings.anew_every
    needed = lead_bars(settings, warm_up(tuple(FEATURES))) * timedelta(hours=1)
    assert needed < FIRST - least - start < 1.2 * needed


def test_an_expanding_window_takes_all_there_is() -> None:
    assert history_start(FIRST, ModelSettings(expanding=True), HOUR) is None
