"""The connection of a session: the practice exchange's address, or the real venue's with those that confirm it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import DataKind
from forwardtrader.live.request import read_request
from forwardtrader.live.session.connection import market_pace, open_bridge
from forwardtrader.live.session.sandbox_process import PracticeAddress, PracticeVenue
from forwardtrader.live.session.setup import SessionMarket

PRACTICE = PracticeVenue(
    PracticeAddress("bybit", "http://127.0.0.1:9", "ws://127.0.0.1:9", "key", "secret", "http://127.0.0.1:9", "token", 1)
)


def market(practice: PracticeVenue | None) -> SessionMarket:
    return SessionMarket(DataKind.REAL, {}, datetime(2024, 1, 1, tzinfo=UTC), SystemClock(), practice)


@pytest.mark.parametrize(("words", "practice", "pace"), [
    ([], None, 1.0), (["--sandbox", "--speed", "lockstep"], PRACTICE, 0.0), (["--sandbox", "--speed", "60"], PRACTICE, 60.0),
])  # fmt: skip
def test_the_market_passes_as_fast_as_its_exchange_plays_it(words: list[str], practice: Any, pace: float) -> None:
    assert market_pace(read_request(words), market(practice)) == pace


def test_a_session_on_the_practice_exchange_is_sent_there_whatever_venue_it_plays() -> None:
    bridge = open_bridge(read_request(["--sandbox", "--exchange", "bybit"]), market(PRACTICE), None)
    assert (bridge.exchange, bridge._base_url, bridge._ws_url) == ("bybit", "http://127.0.0.1:9", "ws://127.0.0.1:9")


def test_the_venues_after_the_first_confirm_its_prices(tmp_path: Path) -> None:
    request = read_request(["--exchange", "binance", "--exchange", "bybit", "--set", 'feeds.confirm_urls=["http://127.0.0.1:9"]'])
    bridge = open_bridge(request, market(None), None)
    assert bridge.exchange == "binance"
    assert [(w.exchange, w.base_url) for w in bridge._witnesses] == [("bybit", "http://127.0.0.1:9")]
