"""Recorded streams are replayed as they were traded."""

from __future__ import annotations

from pathlib import Path

import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.sandbox.engine.events import Printed
from tests.real_data import real_candles
from tests.sandbox.small_market import recorded_events, venue_of


def test_a_recorded_stream_is_traded_as_it_was(tmp_path: Path) -> None:
    path = real_candles("binance_spot_BTCUSDT_ws_20240808.txt.gz")
    venue = venue_of(tmp_path, [], market=[str(path)], history=1, ticks_per_bar=200, fills="book")
    facts = recorded_events(venue)
    while venue.driver.advance():
        pass
    [*bars] = venue.exchange.listings["BTC/USDT"].candles.closed
    prints = [f for f in facts if isinstance(f, Printed)]
    assert len(bars) == 7  # the last one begins with the minute after the recording
    assert len(prints) > 600
    assert all(61_000 < f.price < 63_000 for f in prints)
    assert sum(f.size for f in prints) == sum(b.volume for b in bars[1:])


@pytest.mark.parametrize("text", ["", "1 {}\n", '1 {"e":"trade"}\n', "\x00"])
def test_a_file_that_is_no_recorded_stream_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "stream.txt").write_text(text)
    with pytest.raises(CandleFileInvalid, match=r"stream\.txt"):
        venue_of(tmp_path, [], market=[str(tmp_path / "stream.txt")])
