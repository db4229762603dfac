"""Position mode, margin mode and leverage of an account for perpetuals: what is asked, what is set, and what is refused."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.errors import StartRefused
from forwardtrader.live.venue.account_mode import AccountMode, read_mode, require_one_way_cross, set_leverage
from forwardtrader.live.venue.retry import VenueQueries

SYMBOL = "BTC/USDT:USDT"


class Venue:
    """The few calls that are made, as ccxt answers them; `keeps` is the leverage that it has whatever it is asked for."""

    id, requests_sent, last_response_headers = "bybit", 0, None

    def __init__(
        self, *, hedged: bool = False, margin: str = "cross", leverage: str = "10", keeps: str = "", is_direct: bool = False
    ) -> None:
        self.hedged, self.margin, self.leverage, self.keeps = hedged, margin, leverage, keeps
        self.has = {"fetchPositionMode": is_direct}
        self.asked: list[Any] = []

    async def fetch_margin_mode(self, symbol: str) -> Any:
        return {"marginMode": self.margin}

    async def fetch_position_mode(self, symbol: str) -> Any:
        return {"hedged": self.hedged}

    async def fetch_positions(self, symbols: Any, params: Any) -> Any:
        return [{"info": {"positionIdx": side}} for side in ((1, 2) if self.hedged else (0,))]

    async def fetch_leverage(self, symbol: str) -> Any:
        return {"longLeverage": int(float(self.leverage)), "info": {"leverage": self.leverage}}

    async def set_leverage(self, leverage: float, symbol: str) -> Any:
        self.asked.append(leverage)
        self.leverage = self.keeps or str(leverage)


def prepared(venue: Any, leverage: str) -> AccountMode:
    async def run() -> AccountMode:
        queries = VenueQueries(venue, 0.0)
        mode = await read_mode(venue, queries, [SYMBOL])
        require_one_way_cross(mode)
        await set_leverage(venue, queries, mode, Decimal(leverage))
        return mode

    return asyncio.run(run())


def test_a_leverage_is_set_only_where_it_is_another_one() -> None:
    venue = Venue(leverage="1.5")
    prepared(venue, "1.5")
    assert venue.asked == []
    prepared(venue, "3")
    prepared(venue, "2.5")
    assert venue.asked == [3, 2.5] and isinstance(venue.asked[0], int)


@pytest.mark.parametrize("is_direct", [True, False])
def test_hedge_mode_and_isolated_margin_are_refused_and_nothing_is_set(is_direct: bool) -> None:
    for venue, line in ((Venue(hedged=True, is_direct=is_direct), "one-way"), (Venue(margin="isolated", is_direct=is_direct), "cross")):
        with pytest.raises(StartRefused, match=line) as refused:
            prepared(venue, "3")
        assert (refused.value.exit_code, venue.asked) == (5, [])


def test_a_venue_that_keeps_another_leverage_is_refused() -> None:
    with pytest.raises(StartRefused, match="says leverage 10, not 3"):
        prepared(Venue(keeps="10"), "3")


def test_the_mode_is_one_line_for_a_person() -> None:
    assert prepared(Venue(), "10").text == f"one-way positions, cross margin, leverage {SYMBOL} 10x"
