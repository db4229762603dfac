"""Funding is settled once, when the bar that contains its time opens, before the orders of that bar."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.funding import HOUR_MS, ConstantRates, ListedRates
from forwardtrader.sandbox.venue import SandboxVenue
from tests.sandbox.engine.perpetuals import FLAT, PERPETUAL, perpetual_venue, take
from tests.sandbox.small_market import recorded_events

LONG_HOURS = [FLAT] * 24


def funded(venue: SandboxVenue) -> list[Funded]:
    events = recorded_events(venue)
    while venue.driver.advance():
        pass
    return [event for event in events if isinstance(event, Funded)]


def test_each_eight_hour_mark_is_settled_once(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, LONG_HOURS, funding_bps=100)
    take(venue, Side.BUY, "1")
    events = funded(venue)
    assert [event.at for event in events] == [8 * HOUR_MS, 16 * HOUR_MS, 24 * HOUR_MS]
    assert {event.received for event in events} == {-1}  # one per cent of 100
    assert venue.exchange.payments == events


def test_a_settlement_inside_a_bar_belongs_to_the_bar_that_contains_it_at_the_mark_then(tmp_path: Path) -> None:
    bars = [(100.0, 100.0, 100.0, 100.0), (120.0, 120.0, 120.0, 120.0), (150.0, 150.0, 150.0, 150.0)]
    rates = f"timestamp,rate\n{int(2.5 * HOUR_MS)},0.01\n{3 * HOUR_MS + 1},-0.02\n"
    venue = perpetual_venue(tmp_path, bars, files={"funding": rates})
    take(venue, Side.SELL, "2")
    events = funded(venue)
    assert [(e.at, e.mark, e.received) for e in events] == [
        (2.5 * HOUR_MS, 120, Decimal("2.4")), (3 * HOUR_MS + 1, 150, Decimal(-6)),
    ]  # fmt: skip


def test_what_is_bought_in_the_bar_of_a_settlement_pays_nothing(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, LONG_HOURS, funding_bps=100)
    events: list[Any] = recorded_events(venue)
    for _ in range(7):
        venue.driver.advance()
    assert venue.market_clock() == 8 * HOUR_MS
    take(venue, Side.BUY, "1")
    venue.driver.advance()
    assert not [event for event in events if isinstance(event, Funded)]


def test_rates_between_two_times_leave_out_the_first_and_include_the_last() -> None:
    constant = ConstantRates(Decimal(1), HOUR_MS)
    assert [at for at, _ in constant.between(0, 2 * HOUR_MS)] == [HOUR_MS, 2 * HOUR_MS]
    assert constant.following(HOUR_MS) == (2 * HOUR_MS, 1)
    listed = ListedRates([(5, Decimal(1)), (7, Decimal(2))], 10)
    assert [at for at, _ in listed.between(5, 7)] == [7]
    assert (listed.following(5), listed.following(7)) == ((7, Decimal(2)), (10, Decimal(0)))


def test_a_position_in_another_symbol_pays_nothing(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, LONG_HOURS, funding_bps=100)
    assert PERPETUAL not in venue.exchange.accounts["main"].positions
    assert funded(venue) == []
