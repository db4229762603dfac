"""A small exchange on loopback that serves candles as Binance and as Bybit do, with faults on order; real ccxt classes talk to it."""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pandas as pd

Fault = tuple[int, dict[str, str], str]  # status, headers, body

TOO_MANY: Fault = (429, {"Retry-After": "7"}, '{"code":-1003,"msg":"Too many requests."}')
DOWN: Fault = (502, {}, "<html>Bad gateway</html>")
NOT_HERE: Fault = (451, {}, '{"code":0,"msg":"Service unavailable from a restricted location."}')
NONSENSE: Fault = (200, {"Content-Type": "text/html"}, "<html>Please log in to this hotel's network</html>")
NOTHING: Fault = (200, {}, "[]")


class LoopbackVenue:
    """Serves `markets` (ccxt symbol to candles); rows after `now` do not exist yet, the row that contains it is the running one."""

    def __init__(self, markets: Mapping[str, pd.DataFrame], *, now: datetime, ends: datetime | None = None) -> None:
        self.markets = {symbol.replace("/", ""): frame for symbol, frame in markets.items()}
        self.symbols = list(markets)
        self.now = now
        self.ends = ends
        self.faults: deque[Fault] = deque()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def answer(self, path: str, query: dict[str, str]) -> Fault:
        self.asked.append((path, query))
        if self.faults:
            return self.faults.popleft()
        if path == "/api/v3/exchangeInfo":
            return 200, {}, json.dumps({"symbols": [_listing(symbol) for symbol in self.symbols]})
        if path == "/api/v3/klines":
            return 200, {}, json.dumps(self._klines(query))
        if path == "/v5/market/instruments-info":
            return 200, {}, _bybit({"category": "spot", "list": [_bybit_listing(symbol) for symbol in self.symbols]})
        if path == "/v5/market/kline":
            return 200, {}, _bybit({"symbol": query["symbol"], "category": "spot", "list": self._bybit_rows(query)})
        return 404, {}, '{"code":-1,"msg":"no such place"}'

    def pages(self) -> list[dict[str, str]]:
        return [query for path, query in self.asked if path.endswith(("klines", "kline"))]

    def _klines(self, query: dict[str, str]) -> list[list[object]]:
        frame = self.markets[query["symbol"]].loc[: pd.Timestamp(self.ends or self.now)].loc[: pd.Timestamp(self.now)]
        limit = int(query.get("limit", 500))
        if "startTime" not in query:
            return [_row(time, row) for time, row in frame.iloc[-limit:].iterrows()]
        since = pd.Timestamp(int(query["startTime"]), unit="ms", tz="UTC")
        return [_row(time, row) for time, row in frame.loc[since:].iloc[:limit].iterrows()]

    def _bybit_rows(self, query: dict[str, str]) -> list[list[object]]:
        """Newest first, at most `limit` rows of the stretch that begins at `start`."""
        same = {"symbol": query["symbol"], "startTime": query["start"], "limit": query["limit"]}
        return [[*row[:6], "1.0"] for row in reversed(self._klines(same))]


def _bybit(result: dict[str, object]) -> str:
    return json.dumps({"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 0})


def _bybit_listing(symbol: str) -> dict[str, object]:
    base, quote = symbol.split("/")
    return {
        "symbol": base + quote,
        "baseCoin": base,
        "quoteCoin": quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "none",
        "lotSizeFilter": {
            "basePrecision": "0.000001",
            "quotePrecision": "0.00000001",
            "minOrderQty": "0.000048",
            "maxOrderQty": "71.73",
            "minOrderAmt": "1",
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": "0.01"},
    }


def _row(time: object, row: pd.Series) -> list[object]:
    opened = int(pd.Timestamp(time).timestamp() * 1000)  # type: ignore[arg-type]
    o, h, low, c, v = (repr(float(value)) for value in row)
    return [opened, o, h, low, c, v, opened + 3_599_999, "1.0", 3, "0.5", "0.5", "0"]


def _listing(symbol: str) -> dict[str, object]:
    base, quote = symbol.split("/")
    return {
        "symbol": base + quote,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.0", "tickSize": "0.05"},
            {"filterType": "LOT_SIZE", "minQty": "0.002", "maxQty": "9000.0", "stepSize": "0.001"},
            {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "120.5", "stepSize": "0.0"},
            {"filterType": "NOTIONAL", "minNotional": "7.5", "applyMinToMarket": True, "maxNotional": "9000000.0"},
        ],
    }


@contextmanager
def serving(venue: LoopbackVenue) -> Iterator[LoopbackVenue]:
    """Run the venue on a free port of this machine while the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            status, headers, body = venue.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
            data = body.encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Say nothing on stderr."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that leaves before its answer is there is none of ours."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    venue.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield venue
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_address() -> str:
    """A URL on this machine where nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_port}"
