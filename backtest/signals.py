"""The candles of a run as features see them."""

from __future__ import annotations

import pandas as pd

from forwardtrader.feeds.history.needs import History
from forwardtrader.models.signal_bars import SignalBars


def signal_bars(history: History) -> SignalBars:
    """The bars of other venues that features see where the traded one could not be trusted."""
    return SignalBars() if history.venues is None else SignalBars.of(history.venues.signals)


def seen(history: History) -> pd.DataFrame:
    """The candles with these bars in place of their own."""
    return signal_bars(history).seen(history.candles)
