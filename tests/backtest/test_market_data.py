"""How much history a run loads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from forwardtrader.backtest.market_data import history_start, load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import load_settings
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import FEATURES, warm_up
from forwardtrader.models.walk_forward import folds, lead_bars

FIRST, HOUR = datetime(2023, 1, 1, tzinfo=UTC), Timeframe.parse("1h")


def test_the_history_holds_the_window_the_anchor_before_it_and_the_warm_up() -> None:
    settings = ModelSettings()
    start = history_start(FIRST, settings, HOUR)
    assert start is not None
    least = settings.train_window + settings.retrain_every * settings.anew_every
    needed = lead_bars(settings, warm_up(tuple(FEATURES))) * timedelta(hours=1)
    assert needed < FIRST - least - start < 1.2 * needed


def test_the_warm_up_of_a_market_that_rests_reaches_further_back(tmp_path: Path) -> None:
    """Stock hours, retrained every week: by the calendar of a market that never closes the window would not be filled."""
    days = pd.bdate_range("2021-01-04", "2023-12-29")
    opens = [pd.Timestamp(day.date()).tz_localize("America/New_York") for day in days]
    index = pd.DatetimeIndex([each + pd.Timedelta(minutes=m) for each in opens for m in range(570, 960, 60)]).tz_convert("UTC")
    close = 100 * np.exp(np.random.default_rng(1).normal(0, 0.004, len(index)).cumsum())
    frame = pd.DataFrame({"open": close, "high": close, "low": close, "close": close, "volume": 1.0}, index=index.rename("timestamp"))
    frame.to_csv(tmp_path / "shares.csv")
    models = {"models.train_window": "365d", "models.retrain_every": "7d", "models.anew_every": 1}
    settings = load_settings(overrides={"feeds.symbols": ["ACME/USD"], **models}, environment={})
    files, last = {"ACME/USD": tmp_path / "shares.csv"}, FIRST + timedelta(days=60)
    request = BacktestRequest(settings=settings, first=FIRST, last=last, files=files, command="")
    history = load_markets(request, FixedClock(datetime(2024, 6, 1, tzinfo=UTC)))["ACME/USD"]
    warm = warm_up(tuple(FEATURES))
    assert folds(history.candles.index, FIRST, last, settings=settings.models, timeframe=HOUR, warm_up=warm)[0].train_first >= warm
    assert history.candles.index.searchsorted(pd.Timestamp(FIRST - settings.models.train_window)) > lead_bars(settings.models, warm)
    assert (history.rules.periods_per_year, history.rules.fee_in_base) == (252, False)


def test_an_expanding_window_takes_all_there_is() -> None:
    assert history_start(FIRST, ModelSettings(expanding=True), HOUR) is None
