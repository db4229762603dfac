"""Facts of the practice exchange, through the real ccxt classes: what it serves as its venues do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.factors.record import read_record
from forwardtrader.feeds.fetching.opened import collectors
from forwardtrader.sandbox.process import start_sandbox


@pytest.mark.parametrize(
    ("protocol", "symbol", "kind", "step", "count"),
    [("bybit", "BTC/USDT:USDT", "funding", "8h", 2), ("binance", "BTC/USDT", "taker_volume", "1h", 8)],
)
def test_its_facts_are_recorded_as_they_were_known(tmp_path: Path, protocol: str, symbol: str, kind: str, step: str, count: int) -> None:
    with start_sandbox(protocol=protocol, symbols=[symbol], speed="lockstep") as venue:
        said = {"exchange": protocol, "exchange_url": venue.url, "symbols": (symbol,), "factors": [kind], "factor_path": str(tmp_path)}
        feeds, now = FeedSettings.model_validate(said), datetime(2024, 1, 1, 8, 30, tzinfo=UTC)  # of its market
        [found] = collectors(feeds, FixedClock(now))
        added = found.collect(now - timedelta(days=3), live=False)
    table = read_record(Path(found.entry.file))
    assert added == len(table) == count
    assert (table["timestamp"].diff().iloc[1:] == pd.Timedelta(step)).all()
    assert (table["known_at"] > table["timestamp"]).all()
