"""Funding is settled once at each eight-hour mark, and accounts without margin are closed out."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.funding import EVERY_MS
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue
from tests.sandbox.small_market import FLAT, recorded_events, venue_of

PERPETUAL = "BTC/USDT:USDT"
LONG_HOURS = [FLAT] * 24


def perpetual_venue(folder: Path, bars: Any, **settings: Any) -> SandboxVenue:
    market = folder / "hours.csv"
    rows = [f"{n * 3_600_000},{','.join(map(str, bar))},1000" for n, bar in enumerate([FLAT, *bars])]
    market.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    given = {"protocol": "bybit", "symbols": [PERPETUAL], "timeframe": "1h", "market": [str(market)], "funding_bps": 100} | settings
    return venue_of(folder, [], **given)


def open_long(venue: SandboxVenue, size: str) -> None:
    request = NewOrder(symbol=PERPETUAL, side=Side.BUY, type=OrderType.MARKET, size=Decimal(size), client_id="long")
    venue.exchange.place(ACCOUNT, request)


def test_each_eight_hour_mark_is_settled_once(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, LONG_HOURS)
    open_long(venue, "1")
    events = recorded_events(venue)
    while venue.driver.advance():
        pass
    funded = [event for event in events if isinstance(event, Funded)]
    assert [event.at for event in funded] == [EVERY_MS, 2 * EVERY_MS, 3 * EVERY_MS]
    assert {event.received for event in funded} == {-1}  # one per cent of 100


def test_an_account_below_its_maintenance_margin_is_closed_out(tmp_path: Path) -> None:
    crash = [FLAT, FLAT, (100.0, 100.0, 50.0, 50.0), (50.0, 51.0, 49.0, 50.0), FLAT]
    venue = perpetual_venue(tmp_path, crash, balances={"USDT": 200}, funding_bps=0)
    open_long(venue, "10")
    position = venue.exchange.accounts[ACCOUNT].position(PERPETUAL)
    while venue.driver.advance() and position.size:
        pass
    assert position.size == 0
    assert venue.exchange.accounts[ACCOUNT].available("USDT") == 0
