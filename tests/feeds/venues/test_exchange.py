"""Exchanges through ccxt: its answers and errors arrive as our own types."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

from forwardtrader.core.errors import TradingError, UnknownSymbol, UnknownTimeframe, UnknownVenue, VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.core.types import OHLCV, MarketRules, Timeframe
from forwardtrader.feeds.venues.exchange import TRANSLATED, CcxtVenue, endpoint_of, is_known, translated
from forwardtrader.feeds.venues.reach import Endpoint
from tests.feeds.loopback_venue import DOWN, NONSENSE, NOT_HERE, TOO_MANY, LoopbackVenue, closed_address, serving
from tests.feeds.made_candles import HOUR, START, made

MARKETS = {"BTC/USDT": made(30), "ETH/USDT": made(30, seed=1), "ETH/BTC": made(30, seed=2)}


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with serving(LoopbackVenue(MARKETS, now=START + timedelta(hours=25, minutes=30))) as venue:
        yield venue


def ccxt_errors() -> set[type[Exception]]:
    from ccxt.base import errors

    return {e for e in vars(errors).values() if inspect.isclass(e) and issubclass(e, errors.BaseError)}


def test_every_error_of_ccxt_is_translated() -> None:
    assert {error.__name__ for error in ccxt_errors()} == TRANSLATED.keys()


def test_each_translation_is_a_line_of_our_own() -> None:
    for error in ccxt_errors():
        ours = translated(error("binance {\n'code': 1}"), "binance")
        assert isinstance(ours, TradingError)
        assert str(ours).startswith("binance ")
        assert "\n" not in str(ours)


def test_trouble_of_the_venues_own_servers_is_no_refusal() -> None:
    import ccxt

    error = ccxt.ExchangeError('bybit {"retCode":10016,"retMsg":"System maintenance.","result":{},"time":1}')
    assert isinstance(translated(error, "bybit"), VenueUnreachable)
    assert isinstance(translated(ccxt.ExchangeError('bybit {"retCode":10001,"retMsg":"Request parameter error."}'), "bybit"), VenueRefused)


def test_a_page_holds_the_rows_from_since_on_with_the_running_bar_last(venue: LoopbackVenue) -> None:
    page = CcxtVenue("binance", base_url=venue.url).page("BTC/USDT", HOUR, START + timedelta(hours=20))
    pd.testing.assert_frame_equal(page[list(OHLCV)], MARKETS["BTC/USDT"].iloc[20:26], check_freq=False, check_exact=True)
    assert page["trades"].tolist() == [3.0] * 6  # what Binance's candles say besides


def test_a_page_beyond_the_end_is_empty(venue: LoopbackVenue) -> None:
    assert len(CcxtVenue("binance", base_url=venue.url).page("BTC/USDT", HOUR, START + timedelta(days=9))) == 0


def test_rules_come_as_exact_decimals(venue: LoopbackVenue) -> None:
    assert CcxtVenue("binance", base_url=venue.url).rules("BTC/USDT") == MarketRules(
        symbol="BTC/USDT",
        base="BTC",
        quote="USDT",
        tick=Decimal("0.05"),
        step=Decimal("0.001"),
        min_size=Decimal("0.002"),
        min_notional=Decimal("7.5"),
        max_market_size=Decimal("120.5"),
        can_short=False,
        fee_in_base=True,
    )


def test_the_markets_are_listed(venue: LoopbackVenue) -> None:
    assert CcxtVenue("binance", base_url=venue.url).symbols() == sorted(MARKETS)


def test_an_unknown_symbol_is_answered_with_the_nearest(venue: LoopbackVenue) -> None:
    with pytest.raises(UnknownSymbol, match=r"binance does not list 'BTC/USTD'; nearest are BTC/USDT"):
        CcxtVenue("binance", base_url=venue.url).page("BTC/USTD", HOUR, START)


def test_an_unknown_timeframe_is_answered_with_those_there_are(venue: LoopbackVenue) -> None:
    with pytest.raises(UnknownTimeframe, match=r"binance has no 7h candles; it has .*1h, 2h"):
        CcxtVenue("binance", base_url=venue.url).page("BTC/USDT", Timeframe.parse("7h"), START)


def test_an_unknown_venue_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownVenue, match=r"no exchange is called 'binnance'; did you mean binance"):
        CcxtVenue("binnance")
    assert is_known("kraken")
    assert not is_known("file")


def test_a_busy_venue_names_the_seconds_to_wait(venue: LoopbackVenue) -> None:
    client = CcxtVenue("binance", base_url=venue.url)
    client.symbols()
    venue.faults.append(TOO_MANY)
    with pytest.raises(VenueBusy) as busy:
        client.page("BTC/USDT", HOUR, START)
    assert busy.value.retry_after_s == 7.0


@pytest.mark.parametrize(("fault", "ours"), [(DOWN, VenueUnreachable), (NOT_HERE, (VenueRefused, VenueUnreachable))])
def test_each_failure_has_its_own_error(venue: LoopbackVenue, fault: tuple[int, dict[str, str], str], ours: type[Exception]) -> None:
    client = CcxtVenue("binance", base_url=venue.url)
    client.symbols()
    venue.faults.append(fault)
    with pytest.raises(ours):
        client.page("BTC/USDT", HOUR, START)


def test_a_login_page_is_no_venue(venue: LoopbackVenue) -> None:
    venue.faults.append(NONSENSE)
    client = CcxtVenue("binance", base_url=venue.url)
    with pytest.raises(VenueUnreachable, match="binance sent"):
        client.rules("BTC/USDT")
    assert client.rules("BTC/USDT").base == "BTC"


def test_a_closed_port_is_unreachable() -> None:
    with pytest.raises(VenueUnreachable, match="binance does not answer"):
        CcxtVenue("binance", base_url=closed_address(), timeout_s=2).symbols()


def test_endpoints_are_known_without_a_request() -> None:
    assert endpoint_of("binance") == Endpoint("api.binance.com", 443)
    assert endpoint_of("bitvavo").port == 443
    assert endpoint_of("bybit", "http://127.0.0.1:8080") == Endpoint("127.0.0.1", 8080)


@pytest.mark.parametrize("name", ["binance", "bybit", "kraken", "coinbase"])
def test_another_address_replaces_every_url_of_the_venue(name: str) -> None:
    client = CcxtVenue(name, base_url="http://127.0.0.1:9")._client
    texts = [url for url in client.urls["api"].values() if isinstance(url, str)]
    assert texts
    assert all(url.startswith("http://127.0.0.1:9") for url in texts)
