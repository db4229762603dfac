"""The connection of a session: the practice exchange's address, or the real venue's with those that confirm it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import DataKind
from forwardtrader.live.request import read_request
from forwardtrader.live.session.connection import market_pace, open_bridge, supervise_account
from forwardtrader.live.session.sandbox_process import PracticeAddress, PracticeVenue
from forwardtrader.live.session.setup import SessionMarket
from tests.live.market import Script, play, store_on
from tests.live.market import practice as market_of_practice

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


def test_an_entry_that_waited_for_its_turn_when_the_pause_came_is_not_sent(tmp_path: Path) -> None:
    """The symbol is taken by an order whose answer is on its way."""
    request = read_request(["--session", "one", "--set", f"live.sessions_path={tmp_path}", "--symbol", "BTC/USDT"])
    supervisor = SimpleNamespace(switch=lambda: "", interlock=lambda: "", hand_over=lambda _access: None)
    with market_of_practice() as venue:

        def pause(s: Any) -> None:
            supervise_account(request, s.broker.store, supervisor)
            venue.arm("F42", on="place", seconds=0.5)
            price = s.data.close[0]
            s.made = [s.buy(size=0.01, exectype=bt.Order.Limit, price=price * share) for share in (0.5, 0.6)]
            s.broker.entries_blocked = True

        run = play(venue, store_on(venue, run="one", risk=RiskSettings()), Script, 3, acts={1: pause})
        assert [order.getstatusname() for order in run.made] == ["Accepted", "Rejected"]
        assert "the session is paused" in run.made[1].info.refusal
        assert len(venue.orders()) == 1
