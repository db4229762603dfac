"""The mark follows a series of its own, else the last price with a basis."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from forwardtrader.core.types import Side
from forwardtrader.sandbox.venue import ACCOUNT
from tests.sandbox.engine.perpetuals import FLAT, FREE, PERPETUAL, perpetual_venue, take


def test_a_series_moves_the_mark_and_where_it_lacks_a_bar_the_last_price_stands_in(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT] * 4, files={"mark": [(101.0, 103.0, 100.0, 102.0)] * 2}, **FREE)
    listing = venue.exchange.listings[PERPETUAL]
    take(venue, Side.BUY, "1")
    assert listing.mark == 101
    assert venue.margin.equity(venue.exchange.accounts[ACCOUNT], "USDT") == 10_001
    venue.driver.advance()
    assert listing.mark == 101
    venue.driver.advance()
    assert listing.mark == listing.last == 100


def test_a_basis_is_added_to_every_price_of_the_market(tmp_path: Path) -> None:
    venue = perpetual_venue(tmp_path, [FLAT] * 2, mark_basis_bps=-100, **FREE)
    listing = venue.exchange.listings[PERPETUAL]
    assert listing.mark == 99
    venue.driver.set_price(PERPETUAL, Decimal(200), Decimal(1))
    assert listing.mark == 198
