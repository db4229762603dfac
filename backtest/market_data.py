"""The candles of every symbol of a run, with the history its first models learn from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from backtest.request import BacktestRequest
from core.clock import Clock
from core.errors import InvalidDates
from core.settings import ModelSettings
from core.types import Timeframe
from feeds.history import History, load_history
from models.features import FEATURES, warm_up

# Room for outages and, with daily bars, for weekends and holidays.
SLACK: Final = 1.1
DAILY_SLACK: Final = 1.6


def load_markets(request: BacktestRequest, clock: Clock) -> dict[str, History]:
    """The history of each symbol from the first training bar up to the last traded one.

    Raises:
        InvalidDates: a symbol has no bar in the days to trade.
    """
    feeds = request.settings.feeds
    start = history_start(request.first, request.settings.models, Timeframe.parse(feeds.timeframe))
    markets = {
        symbol: load_history(feeds, symbol, start=start, end=request.last, clock=clock, file=request.files.get(symbol))
        for symbol in feeds.symbols
    }
    for symbol, history in markets.items():
        newest = history.candles.index[-1]
        if newest < pd.Timestamp(request.first):
            raise InvalidDates(
                f"{symbol} ends at {newest:%Y-%m-%d %H:%M} in {history.source}; choose a --from before that, or get newer candles"
            )
    return markets


def history_start(first: datetime, settings: ModelSettings, timeframe: Timeframe) -> datetime | None:
    """Open of the first bar worth having; None for all there is."""
    if settings.expanding:
        return None
    slack = DAILY_SLACK if timeframe.seconds >= 86400 else SLACK
    bars = warm_up(tuple(FEATURES)) + settings.context + max(settings.horizons) + settings.embargo + settings.deployment_lag
    # The boundary in force on the first day may lie up to one retraining span before it.
    return first - settings.train_window - settings.retrain_every - timedelta(seconds=bars * timeframe.seconds * slack)
