"""Binance's public endpoints for perpetuals on loopback, which real ccxt classes talk to: an hour's facts at every hour, made by a rule."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.feeds.fetching.loopback_source import Answer, LoopbackSource, Query, said

SYMBOL = "BTC/USDT:USDT"
HOUR_MS = 3_600_000
KEPT_MS = 30 * 24 * HOUR_MS  # that open interest and ratios are kept


def value_at(ms: int) -> float:
    """A number of its own for each hour."""
    return 1.0 + (ms // HOUR_MS * 7919 % 1000) / 1000.0


class LoopbackFutures:
    """`now` is the venue's clock; later rows do not exist."""

    def __init__(self, source: LoopbackSource, now: datetime) -> None:
        self.now = now
        self.revised: dict[int, float] = {}
        source.routes |= {
            "/fapi/v1/exchangeInfo": lambda _query: said({"symbols": [_listing()]}),
            "/fapi/v1/fundingInfo": lambda _query: said([]),
            "/fapi/v1/fundingRate": self._funding,
            "/fapi/v1/klines": self._klines,
            "/fapi/v1/markPriceKlines": lambda query: self._prices(query, 1.0),
            "/fapi/v1/indexPriceKlines": lambda query: self._prices(query, 1.001),
            "/futures/data/openInterestHist": self._open_interest,
            "/futures/data/globalLongShortAccountRatio": self._ratio,
        }

    @property
    def now_ms(self) -> int:
        return int(self.now.timestamp() * 1000)

    def _hours(self, query: Query, step: int = HOUR_MS) -> list[int]:
        start = -(-int(query["startTime"]) // step) * step
        end = min(int(query.get("endTime", self.now_ms)), self.now_ms)
        return list(range(start, end + 1, step))[: int(query.get("limit", 500))]

    def _value(self, ms: int) -> float:
        return self.revised.get(ms, value_at(ms))

    def _funding(self, query: Query) -> Answer:
        hours = self._hours(query, 8 * HOUR_MS)
        return said([{"symbol": "BTCUSDT", "fundingTime": at + 3, "fundingRate": str(self._value(at) / 1e4)} for at in hours])

    def _klines(self, query: Query) -> Answer:
        return said([_kline(at, 100.0, 40.0, 10.0 * self._value(at)) for at in self._hours(query)])

    def _prices(self, query: Query, times: float) -> Answer:
        return said([_kline(at, 100.0 * self._value(at) ** (times - 1.0) * times, 0.0, 0.0) for at in self._hours(query)])

    def _open_interest(self, query: Query) -> Answer:
        if int(query["startTime"]) < self.now_ms - KEPT_MS:
            return 400, {}, b'{"code":-1130,"msg":"parameter \'startTime\' is invalid."}'
        rows = [{"sumOpenInterest": str(self._value(at)), "sumOpenInterestValue": "1", "timestamp": at} for at in self._hours(query)]
        return said([{"symbol": "BTCUSDT", **row} for row in rows])

    def _ratio(self, query: Query) -> Answer:
        return said([{"symbol": "BTCUSDT", "longShortRatio": str(self._value(at)), "timestamp": at} for at in self._hours(query)])


def _kline(at: int, price: float, volume: float, taken: float) -> list[object]:
    text = str(price)
    return [at, text, text, text, text, str(volume), at + HOUR_MS - 1, str(volume * price), 12, str(taken), "0", "0"]


def _listing() -> dict[str, object]:
    return {
        "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
        "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 3, "deliveryDate": 4133404800000, "onboardDate": 1569398400000,
        "filters": [
            {"filterType": "PRICE_FILTER", "tickSize": "0.10", "minPrice": "1", "maxPrice": "1000000"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "minQty": "0.001", "maxQty": "1000"},
            {"filterType": "MIN_NOTIONAL", "notional": "5"},
        ],
    }  # fmt: skip


NOW = datetime(2024, 3, 1, 12, 30, tzinfo=UTC)
