"""Facts of candles that the store holds: taker volume and number of trades, downloaded or imported from a venue's files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from forwardtrader.core.rooms.factor import OF_CANDLES, FactorSettings, step_of
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.factors.record import Fetched
from forwardtrader.feeds.fetching.port import Page
from forwardtrader.feeds.fetching.venue_facts import of_candles
from forwardtrader.feeds.venues.port import stored_under


@dataclass(frozen=True)
class StoredCandles:
    """One kind of fact, in the stored candles of its venue and symbol."""

    store: CandleStore
    key: CandleKey
    kind: str

    def page(self, since: datetime, now: datetime) -> Page:
        """As `Source.page`; all there is.

        Raises:
            StoreDamaged: the stored file is broken.
        """
        stored = self.store.read(self.key)
        if stored is None or stored.flow is None:
            return Page(Fetched.of([]))
        closed = pd.Timestamp(now) - self.key.timeframe.delta
        flow = stored.flow.loc[pd.Timestamp(since) : closed].dropna()
        volume = stored.candles["volume"].loc[flow.index]
        times = pd.DatetimeIndex(flow.index).as_unit("ms").asi8.astype(np.float64)
        points = of_candles(self.kind, times, np.stack([volume.to_numpy(), *(flow[name].to_numpy() for name in flow.columns)]))
        return Page(Fetched.of([(at * 1_000_000, value, 0) for at, value in points.items()]))


def stored_source(entry: FactorSettings, feeds: FeedSettings) -> StoredCandles | None:
    """The source of a located entry in the store; None for kinds that no candle holds."""
    if entry.kind not in OF_CANDLES:
        return None
    url = feeds.exchange_url if entry.exchange == feeds.exchange else ""
    step = Timeframe.parse(step_of(Timeframe.parse(feeds.timeframe).seconds))
    return StoredCandles(CandleStore(feeds.store_path), CandleKey(stored_under(entry.exchange, url), entry.symbol, step), entry.kind)
