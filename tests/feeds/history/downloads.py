"""Downloads from the loopback venue into a store, without waiting."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from forwardtrader.core.clock import FixedClock
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.history.pager import Download, TimeRange
from forwardtrader.feeds.venues.exchange import CcxtVenue
from tests.feeds.loopback_venue import LoopbackVenue
from tests.feeds.made_candles import HOUR, START, made

KEY = CandleKey("binance", "BTC/USDT", HOUR)
BARS = made(2600)
NOW = START + timedelta(hours=2500, minutes=20)
CLOCK = FixedClock(NOW)
ALL = TimeRange(START, NOW)
CACHE = timedelta(minutes=60)


class Pauses(list[float]):
    """A sleep that only remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def over_http(venue: LoopbackVenue, store: CandleStore, pauses: Pauses | None = None) -> Download:
    return Download(CcxtVenue("binance", base_url=venue.url), KEY, store, CLOCK, sleep=pauses if pauses is not None else Pauses())


def same(store: CandleStore, wanted: pd.DataFrame, key: CandleKey = KEY) -> None:
    pd.testing.assert_frame_equal(store.load(key), wanted, check_freq=False, check_exact=True)
