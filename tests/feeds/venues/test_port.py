"""The port to venues: the in-memory venue, names of stored candles, hints for unknown symbols."""

from __future__ import annotations

import pytest

from forwardtrader.core.errors import UnknownSymbol
from forwardtrader.feeds.venues.port import MemoryVenue, is_practice, stored_under, unknown_symbol
from tests.feeds.made_candles import HOUR, made

BARS = made(10)


def test_a_page_begins_at_the_requested_bar_and_has_a_length() -> None:
    venue = MemoryVenue("binance", {"BTC/USDT": BARS}, page_bars=3)
    page = venue.page("BTC/USDT", HOUR, BARS.index[4].to_pydatetime())
    assert list(page.index) == list(BARS.index[4:7])
    assert venue.rules("BTC/USDT").base == "BTC"


def test_an_unknown_symbol_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownSymbol, match="nearest are BTC/USDT"):
        MemoryVenue("binance", {"BTC/USDT": BARS}).page("BTC/USTD", HOUR, BARS.index[0].to_pydatetime())


@pytest.mark.parametrize(
    ("symbol", "hint"), [("BTC/UDST", "nearest are BTC/USDT"), ("SOL/EUR", "nearest are SOL/USDC"), ("x", "written like BTC/USDT")]
)
def test_the_hint_names_similar_symbols_or_the_same_base(symbol: str, hint: str) -> None:
    assert hint in unknown_symbol(symbol, ["BTC/USDT", "ETH/USDT", "SOL/USDC"], "binance")


def test_candles_of_a_practice_exchange_never_have_the_name_of_the_venue() -> None:
    name = stored_under("binance", "http://127.0.0.1:8123")
    assert (name, is_practice(name)) == ("practice_binance_127.0.0.1_8123", True)
    assert stored_under("binance") == stored_under("binance", "https://api.example.org") == "binance"
    assert not is_practice("binance")
