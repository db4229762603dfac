"""Public access to exchanges through ccxt: past candles and market rules. Errors of ccxt are translated here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import log
from forwardtrader.core.errors import TradingError, UnknownSymbol, UnknownTimeframe, UnknownVenue, VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.core.types import MarginTier, MarketRules, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.venues.base_volume import lists_tiers_in_money, with_base_volume
from forwardtrader.feeds.venues.bounded_session import mount_bounded
from forwardtrader.feeds.venues.contracts import refuse_unusual, settle_currency
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.feeds.venues.perpetuals import hours_of, listed_tiers
from forwardtrader.feeds.venues.port import unknown_symbol
from forwardtrader.feeds.venues.reach import Endpoint
from forwardtrader.feeds.venues.taker_volume import counts_takers, with_takers

# Hosts of common venues, so that a machine without network need not import ccxt to find them.
_HOSTS: Final = {
    "binance": "api.binance.com",
    "binanceus": "api.binance.us",
    "binanceusdm": "fapi.binance.com",
    "bitfinex": "api-pub.bitfinex.com",
    "bitstamp": "www.bitstamp.net",
    "bybit": "api.bybit.com",
    "coinbase": "api.coinbase.com",
    "gemini": "api.gemini.com",
    "kraken": "api.kraken.com",
    "kucoin": "api.kucoin.com",
    "okx": "www.okx.com",
}
_PAGE_BARS: Final = {
    "binance": 1000, "binanceus": 1000, "binanceusdm": 1000, "bybit": 1000, "coinbase": 300, "kraken": 720, "okx": 100,
    "kucoin": 1500,
}  # fmt: skip
_PAGE_RATES: Final = 100
# Translation of ccxt errors for read-only requests; orders have a table of their own.
TRANSLATED: Final[dict[str, type[TradingError]]] = {
    **dict.fromkeys(("BadSymbol", "ContractUnavailable"), UnknownSymbol),
    **dict.fromkeys(("RateLimitExceeded", "DDoSProtection"), VenueBusy),
    **dict.fromkeys(
        (
            "BadResponse", "ChecksumError", "ExchangeNotAvailable", "InvalidNonce", "InvalidProxySettings", "NetworkError", "NullResponse",
            "OnMaintenance", "OperationFailed", "RequestTimeout",
        ),
        VenueUnreachable,
    ),
    **dict.fromkeys(
        (
            "AccountNotEnabled", "AccountSuspended", "AddressPending", "ArgumentsRequired", "AuthenticationError", "BadRequest",
            "BaseError", "CancelPending", "DuplicateOrderId", "ExchangeClosedByUser", "ExchangeError", "InsufficientFunds",
            "InvalidAddress", "InvalidOrder", "ManualInteractionNeeded", "MarginModeAlreadySet", "MarketClosed", "NoChange", "NotSupported",
            "OperationRejected", "OrderImmediatelyFillable", "OrderNotCached", "OrderNotFillable", "OrderNotFound", "PermissionDenied",
            "RestrictedLocation", "UnsubscribeError",
        ),
        VenueRefused,
    ),
}  # fmt: skip
# An answer that is valid JSON but not what ccxt's parser expects ends in one of these.
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, IndexError)

T = TypeVar("T")


class CcxtVenue:
    """One exchange of ccxt, rate limited, without keys. Nothing is sent before the first request.

    Args:
        base_url: scheme and host to talk to instead of the exchange's own, e.g. a practice exchange on this machine.
        price: which price its candles are of: "mark", or "" for the last.

    Raises:
        UnknownVenue: ccxt has no exchange of that name.
    """

    def __init__(self, name: str, *, timeout_s: float = 10.0, base_url: str = "", price: str = "") -> None:
        import ccxt

        require_known(name)
        self._client: Any = with_base_volume(with_takers(getattr(ccxt, name)))(
            {"enableRateLimit": True, "timeout": int(timeout_s * 1000), "requests_trust_env": not base_url}
        )
        self._client.session.max_redirects = 0
        mount_bounded(self._client.session, timeout_s)
        if base_url:
            self._client.urls["api"] = _redirected(self._client.urls["api"], base_url.rstrip("/"))
        self._of_marks = partial(CcxtVenue, name, timeout_s=timeout_s, base_url=base_url, price="mark")
        self._params = {"price": price} if price else {}
        self._kind = ""  # of markets that are loaded, where the venue lists spot and perpetuals apart
        self.name = name
        self.page_bars = _PAGE_BARS.get(name, 500)

    def page(self, symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame:
        """As `feeds.venues.port.Venue.page`."""
        self._market(symbol)
        if str(timeframe) not in (self._client.timeframes or {}):
            raise UnknownTimeframe(f"{self.name} has no {timeframe} candles; it has {', '.join(self._client.timeframes or {})}")
        since_ms = int(since.timestamp() * 1000)
        table = self.klines(symbol, timeframe, since_ms, self.page_bars)
        if self._params:
            table[:, 5] = 0.0
        known = self.counts_takers and not self._params
        return candles.from_arrays(table[:, 0], *table[:, 1 : 8 if known else 6].T)

    @property
    def counts_takers(self) -> bool:
        """Whether `klines` has the volume that takers bought, and the number of trades."""
        return counts_takers(self.name)

    def klines(self, symbol: str, timeframe: Timeframe, since_ms: int, limit: int) -> NDArray[np.float64]:
        """Candles as [open time in ms UTC, open, high, low, close, volume, bought by takers, trades]; NaN where it is unknown."""
        rows = self.ask(symbol, lambda client: client.fetch_ohlcv(symbol, str(timeframe), since_ms, limit, self._params))
        return np.array([[*row, None, None][:8] for row in rows], dtype=np.float64).reshape(-1, 8)

    def of_marks(self) -> CcxtVenue:
        """The same venue, whose pages are candles of the mark price without volume."""
        return self._of_marks()

    def funding_page(self, symbol: str, since: datetime, until: datetime) -> pd.Series[float]:
        """All funding rates settled in [since, until), oldest first, by time of settlement. Raises as `page`."""
        self._market(symbol)
        rates = self._rates(symbol, int(since.timestamp() * 1000), int(until.timestamp() * 1000) - 1)
        times = pd.to_datetime(list(rates), unit="ms", utc=True)
        return pd.Series(list(rates.values()), index=times.round("min"), name="rate", dtype=np.float64)

    def _rates(self, symbol: str, first: int, last: int) -> dict[int, float]:
        """Rates by settlement time, from `first` to `last`. One answer has the oldest of them or the newest, as venues differ."""
        if first > last:
            return {}
        rows = self._request(lambda: self._client.fetch_funding_rate_history(symbol, first, _PAGE_RATES, {"until": last}))
        found = {int(row["timestamp"]): float(row["fundingRate"]) for row in rows if first <= row["timestamp"] <= last}
        if len(found) < _PAGE_RATES:
            return found
        return self._rates(symbol, first, min(found) - 1) | found | self._rates(symbol, max(found) + 1, last)

    def serves(self, *abilities: str) -> bool:
        """Whether ccxt says of the venue that it can do all this, such as `fetchOpenInterestHistory`."""
        return all(self._client.has.get(ability) is True for ability in abilities)

    def ask(self, symbol: str, call: Callable[[Any], T]) -> T:
        """The answer to any other request about a symbol, made with the client of ccxt. Raises as `page`."""
        self._market(symbol)
        return self._request(lambda: call(self._client))

    def rules(self, symbol: str) -> MarketRules:
        """As `feeds.venues.port.Venue.rules`; of a perpetual with its leverage table and funding interval where those are public."""
        self._market(symbol)
        rules = client_rules(self._client, symbol, self.name)
        if not rules.is_perpetual:
            return rules
        tiers, hours = self._tiers(symbol), self._funding_hours(symbol)
        return replace(rules, margin_tiers=tiers or rules.margin_tiers, funding_hours=hours or rules.funding_hours)

    def symbols(self, kind: str = "spot") -> list[str]:
        """All listed symbols of a kind ("spot" or "linear"), sorted; all there are where the venue lists them together."""
        self._load(kind)
        return sorted(self._client.symbols)

    def _tiers(self, symbol: str) -> tuple[MarginTier, ...]:
        """The venue's leverage table; empty where it is shown to account holders only, as Binance's, or counts contracts."""
        if self._client.has.get("fetchMarketLeverageTiers") is not True or not lists_tiers_in_money(self.name):
            return ()
        try:
            return listed_tiers(self._request(lambda: self._client.fetch_market_leverage_tiers(symbol)))
        except VenueRefused:
            return ()

    def _funding_hours(self, symbol: str) -> int:
        """Hours between settlements, where they differ from what is usual and the venue says so in a list of its own."""
        if self._client.has.get("fetchFundingIntervals") is not True:
            return 0
        listed = self._request(lambda: self._client.fetch_funding_intervals())
        return hours_of((listed.get(symbol) or {}).get("interval"))

    def _load(self, kind: str) -> None:
        if self.name.startswith("binance") or self.name == "bybit":
            options = {"fetchMarkets": {"types": [kind]}, "fetchCurrencies": False, "fetchMargins": False}
            self._client.options = self._client.deep_extend(self._client.options, options)
            self._request(lambda: self._client.load_markets(self._kind not in ("", kind)))
            self._kind = kind
        else:
            self._request(self._client.load_markets)

    def _market(self, symbol: str) -> dict[str, Any]:
        refuse_unusual(symbol)
        self._load("linear" if settle_currency(symbol) else "spot")
        markets: dict[str, dict[str, Any]] = self._client.markets or {}
        if not markets:  # e.g. the login page of a network, parsed as an answer
            self._client.markets = None
            raise VenueUnreachable(f"{self.name} sent no list of markets")
        if symbol not in markets:
            raise UnknownSymbol(unknown_symbol(symbol, markets, self.name))
        return markets[symbol]

    def _request(self, call: Callable[[], T]) -> T:
        import ccxt

        try:
            return call()
        except ccxt.BaseError as error:
            raise translated(error, self.name, getattr(self._client, "last_response_headers", None)) from error
        except UNREADABLE as error:
            raise VenueUnreachable(f"{self.name} sent an answer that cannot be read ({type(error).__name__})") from error


# Trouble of the venue's own servers, maintenance included, that ccxt takes for a refusal: Bybit's.
_SERVER_TROUBLE: Final = ('"retCode":10016,',)


def translated(error: Exception, venue: str, headers: Any = None) -> TradingError:
    """Our error for one of ccxt, by the nearest class of `TRANSLATED`."""
    kind = next(TRANSLATED[base.__name__] for base in type(error).__mro__ if base.__name__ in TRANSLATED)
    if any(sign in str(error) for sign in _SERVER_TROUBLE):
        kind = VenueUnreachable
    reason = log.redact(" ".join(str(error).split()))[:160]
    if kind is VenueBusy:
        return VenueBusy(f"{venue} asks for fewer requests ({reason})", _retry_after(headers))
    if kind is VenueUnreachable:
        return VenueUnreachable(f"{venue} does not answer ({type(error).__name__}: {reason})")
    return kind(f"{venue} refused ({type(error).__name__}: {reason})")


def is_known(name: str) -> bool:
    """Whether ccxt has an exchange of that name."""
    if name in _HOSTS:
        return True
    import ccxt

    return name in ccxt.exchanges


def require_known(name: str) -> None:
    """Raise `UnknownVenue`, naming the nearest, unless ccxt has an exchange `name`."""
    if is_known(name):
        return
    import ccxt

    near = difflib.get_close_matches(name.lower(), ccxt.exchanges, n=3, cutoff=0.5)
    hint = f"; did you mean {', '.join(near)}?" if near else "; see https://docs.ccxt.com for the names"
    raise UnknownVenue(f"no exchange is called {name!r}{hint}")


def endpoint_of(name: str, base_url: str = "") -> Endpoint:
    """The endpoint of the venue's public API."""
    if base_url:
        return Endpoint.of_url(base_url)
    if name in _HOSTS:
        return Endpoint(_HOSTS[name], 443)
    import ccxt

    client = getattr(ccxt, name)()
    url = next(_texts(client.urls["api"]))
    return Endpoint.of_url(url.replace("{hostname}", client.hostname or ""))


def client_rules(client: Any, symbol: str, venue: str) -> MarketRules:
    """The rules of a symbol of `venue` from a ccxt client that has loaded its markets."""
    import ccxt

    return rules_of(client.markets[symbol], venue, ticks=client.precisionMode == ccxt.TICK_SIZE)


def rules_of(market: dict[str, Any], venue: str, *, ticks: bool) -> MarketRules:
    """The rules of a ccxt market of `venue`; `ticks`: its precision is given as tick sizes, not as digits."""
    return _rules_of(market, market_rules(market["symbol"], venue), ticks=ticks)


def _retry_after(headers: Any) -> float | None:
    seconds = (headers or {}).get("Retry-After")
    return float(seconds) if seconds and re.fullmatch(r"\d+(\.\d+)?", seconds) else None


def _redirected(urls: Any, base_url: str) -> Any:
    if isinstance(urls, dict):
        return {name: _redirected(url, base_url) for name, url in urls.items()}
    return re.sub(r"^https?://[^/]+", base_url, urls) if isinstance(urls, str) else urls


def _texts(urls: Any) -> Any:
    for url in urls.values() if isinstance(urls, dict) else [urls]:
        if isinstance(url, dict):
            yield from _texts(url)
        else:
            yield url


def _rules_of(market: dict[str, Any], usual: MarketRules, *, ticks: bool) -> MarketRules:
    """Rules from a ccxt market; what it leaves out is taken from `usual`. Amounts of a perpetual, there in contracts, become base units."""
    limits, precision = market.get("limits") or {}, market.get("precision") or {}
    amount, cost = limits.get("amount") or {}, limits.get("cost") or {}
    most = (limits.get("market") or {}).get("max")
    contract = _decimal(market.get("contractSize"), Decimal(1)) if usual.is_perpetual else Decimal(1)
    known = replace(
        usual,
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        tick=_grid(precision.get("price"), usual.tick, ticks),
        step=_grid(precision.get("amount"), usual.step / contract, ticks) * contract,
        min_size=_decimal(amount.get("min"), Decimal(0)) * contract,
        min_notional=_decimal(cost.get("min"), Decimal(0)),
        max_market_size=_decimal(most, Decimal(0)) * contract or None,
        contract_size=contract,
    )
    return _as_perpetual(known, market) if usual.is_perpetual else known


def _as_perpetual(rules: MarketRules, market: dict[str, Any]) -> MarketRules:
    """With fees and the funding interval of a ccxt market, where it says them."""
    interval = str((market.get("info") or {}).get("fundingInterval", ""))  # Bybit's, in minutes
    return replace(
        rules,
        maker_fee=_decimal(market.get("maker"), rules.maker_fee or Decimal(0)),
        taker_fee=_decimal(market.get("taker"), rules.taker_fee or Decimal(0)),
        funding_hours=int(interval) // 60 if interval.isdigit() else rules.funding_hours,
    )


def _grid(value: Any, usual: Decimal, ticks: bool) -> Decimal:
    if value is None:
        return usual
    return _decimal(value, usual) if ticks else Decimal(1).scaleb(-int(value))


def _decimal(value: Any, usual: Decimal) -> Decimal:
    return usual if value is None else Decimal(format(Decimal(str(value)), "f"))
