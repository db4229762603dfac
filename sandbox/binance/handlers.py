"""Request handlers of Binance's spot API, shared by REST and WebSocket API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from forwardtrader.core.types import Side
from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.binance import market_format as market
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.params import Params, read_order
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.read_lags import AccountReads
from forwardtrader.sandbox.orders.book import best, side_levels
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.listing import DAY_MS, Listing, last_day
from forwardtrader.sandbox.orders.order import ExchangeOrder, OrderType
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue

LONGEST_PAGE: Final = 1000
PLACE: Final = "place"


class BinanceHandlers:
    """Handlers of authenticated requests. Every method raises ApiError as the venue would."""

    is_perpetual = False

    def __init__(self, venue: SandboxVenue, board: Switchboard, reads: AccountReads, limits: Callable[[], list[dict[str, object]]]) -> None:
        self.venue = venue
        self._board = board
        self._reads = reads
        self._limits = limits
        self.symbols = form.idents(venue.exchange.listings, perpetual=self.is_perpetual)

    # Public

    def ping(self, params: Params) -> Any:
        return {}

    def time(self, params: Params) -> Any:
        return {"serverTime": self.venue.wall_ms()}

    def exchange_info(self, params: Params) -> Any:
        listings = self.venue.exchange.listings
        wanted = params.text("symbol")
        params.ignore("symbols", "permissions", "showPermissionSets", "symbolStatus")
        chosen = [self.symbol(wanted)] if wanted else list(self.symbols.values())
        return {
            "timezone": "UTC",
            "serverTime": self.venue.wall_ms(),
            "rateLimits": self._limits(),
            "exchangeFilters": [],
            "symbols": [market.symbol_described(symbol, listings[symbol], self.venue.settings.most_open) for symbol in chosen],
        }

    def klines(self, params: Params) -> Any:
        listing = self._listing(params)
        interval = params.needed("interval")
        length = self.interval_ms(interval)
        start, end = params.integer("startTime"), params.integer("endTime")
        limit = min(params.integer("limit") or 500, LONGEST_PAGE)
        params.ignore("timeZone")
        candles = listing.candles.candles(length)
        if lag := self._board.fire("F23", listing.rules.symbol):
            candles = candles[: -1 - int(lag.number("bars"))]
        return [market.kline_row(c, length) for c in page(candles, start, end, limit)]

    def ticker_day(self, params: Params) -> Any:
        return self._for_one_or_all(params, self.day_ticker)

    def ticker_book(self, params: Params) -> Any:
        return self._for_one_or_all(params, self.book_ticker)

    def ticker_price(self, params: Params) -> Any:
        listings = self.venue.exchange.listings
        return self._for_one_or_all(params, lambda s: {"symbol": form.ident(s), "price": form.number(listings[s].last)})

    def average_price(self, params: Params) -> Any:
        listing = self._listing(params)
        return {"mins": 5, "price": form.number(listing.last), "closeTime": self.venue.market_clock()}

    def depth(self, params: Params) -> Any:
        listing = self._listing(params)
        count = min(params.integer("limit") or 100, 5000)
        book = self.venue.settings.book
        bids, asks = (side_levels(listing, book, side, count) for side in (Side.BUY, Side.SELL))
        return {
            "lastUpdateId": max(1, listing.prints),
            "bids": [[form.number(level.price), form.number(level.size)] for level in bids],
            "asks": [[form.number(level.price), form.number(level.size)] for level in asks],
        }

    # Signed

    def account(self, params: Params) -> Any:
        params.ignore("omitZeroBalances")
        settings = self.venue.settings
        maker, taker = (Decimal(str(bps)) / 10_000 for bps in (settings.maker_fee_bps, settings.taker_fee_bps))
        rights = self.venue.rights
        answer = form.account_queried(self._reads.account(), self.venue.market_clock(), maker, taker)
        return answer | {"canTrade": rights.trading}

    def place(self, params: Params) -> Any:
        if not self.venue.rights.trading:
            raise errors.BAD_KEY
        symbol = self.symbol(params.needed("symbol"))
        kind = params.text("newOrderRespType")
        if kind not in (None, "ACK", "RESULT", "FULL"):
            raise errors.invalid_data("newOrderRespType")
        order = self.translated(lambda: self.venue.exchange.place(ACCOUNT, read_order(params, symbol, self.generated_id())))
        if self.venue.settings.order_answers == "ids":
            kind = "ACK"
        shape = kind or ("FULL" if order.request.type in (OrderType.MARKET, OrderType.LIMIT) else "ACK")
        return {"ACK": form.order_acknowledged, "RESULT": form.order_result, "FULL": form.order_full}[shape](order)

    def place_test(self, params: Params) -> Any:
        params.ignore("computeCommissionRates")
        read_order(params, self.symbol(params.needed("symbol")), self.generated_id())
        return {}

    def cancel(self, params: Params) -> Any:
        order = self._order(params, errors.CANCEL)
        cancel_id = params.client_id("newClientOrderId") or self.generated_id()
        params.ignore("cancelRestrictions")
        params.finish()
        return form.order_canceled(self.translated(lambda: self.venue.exchange.cancel(order, cancel_id), errors.CANCEL))

    def cancel_all(self, params: Params) -> Any:
        symbol = self.symbol(params.needed("symbol"))
        orders = [o for o in self.venue.exchange.order_index.all_open(ACCOUNT) if o.request.symbol == symbol]
        if not orders:
            raise ApiError(-2011, "Unknown order sent.")
        for order in orders:
            if order.is_open:
                self.venue.exchange.cancel(order, self.generated_id())
        return [form.order_canceled(order) for order in orders]

    def query(self, params: Params) -> Any:
        order = self._order(params, errors.QUERY)
        return form.order_queried(self.translated(lambda: self._reads.order(order), errors.QUERY))

    def open_orders(self, params: Params) -> Any:
        wanted = params.text("symbol")
        symbol = self.symbol(wanted) if wanted else None
        wanted_symbols = [symbol] if symbol else list(self.symbols.values())
        return [form.order_queried(o) for o in self._reads.open_orders() if o.request.symbol in wanted_symbols]

    def all_orders(self, params: Params) -> Any:
        symbol = self.symbol(params.needed("symbol"))
        first, limit = params.integer("orderId"), self._page(params)
        start, end = span(params)
        orders = [o for o in self._reads.orders() if o.request.symbol == symbol and within(o.placed_at, start, end)]
        if first is not None:
            orders = [o for o in orders if o.id >= first]
        chosen = orders[:limit] if first is not None or start is not None else orders[-limit:]
        return [form.order_queried(o) for o in chosen]

    def my_trades(self, params: Params) -> Any:
        symbol = self.symbol(params.needed("symbol"))
        order_id, first = params.integer("orderId"), params.integer("fromId")
        start, end = span(params)
        limit = self._page(params)
        trades = [t for t in self._reads.trades() if t.symbol == symbol and within(t.at, start, end)]
        if order_id is not None:
            trades = [t for t in trades if t.order_id == order_id]
        if first is not None:
            trades = [t for t in trades if t.id >= first]
        chosen = trades[:limit] if first is not None or start is not None else trades[-limit:]
        orders = self.venue.exchange.order_index.orders
        return [form.trade_queried(t, orders[t.order_id].list_id) for t in chosen]

    def _page(self, params: Params) -> int:
        """The most rows of this answer."""
        longest = self.venue.settings.page_limit or LONGEST_PAGE
        return min(params.integer("limit") or 500, longest)

    # Shared with the market sockets

    def day_ticker(self, symbol: str) -> form.Payload:
        listing = self.venue.exchange.listings[symbol]
        return market.day_ticker(symbol, last_day(listing), listing, self._best(listing), self.venue.market_clock())

    def book_ticker(self, symbol: str) -> form.Payload:
        return market.book_ticker(symbol, *self._best(self.venue.exchange.listings[symbol]))

    def generated_id(self) -> str:
        """A client order id for a request without one."""
        return self.venue.host.token(11)

    def interval_ms(self, interval: str) -> int:
        """Length of an interval in milliseconds. Raises -1120 if Binance or this market does not have it."""
        if not self.has_interval(interval):
            raise ApiError(-1120, "Invalid interval.")
        return market.INTERVALS[interval]

    def has_interval(self, interval: str) -> bool:
        base = next(iter(self.venue.exchange.listings.values())).candles.base_ms
        return interval in market.INTERVALS and market.INTERVALS[interval] % base == 0

    def _best(self, listing: Listing) -> Any:
        return best(listing, self.venue.settings.book)

    def symbol(self, name: str) -> str:
        if name not in self.symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return self.symbols[name]

    def _listing(self, params: Params) -> Listing:
        return self.venue.exchange.listings[self.symbol(params.needed("symbol"))]

    def _for_one_or_all(self, params: Params, describe: Callable[[str], form.Payload]) -> Any:
        name = params.text("symbol")
        params.ignore("symbols", "type", "symbolStatus")
        return describe(self.symbol(name)) if name else [describe(symbol) for symbol in self.symbols.values()]

    def _order(self, params: Params, doing: str) -> ExchangeOrder:
        symbol = self.symbol(params.needed("symbol"))
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        if order_id is None and client_id is None:
            raise ApiError(-1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")
        order: ExchangeOrder = self.translated(lambda: self.venue.exchange.order_index.find(ACCOUNT, symbol, order_id, client_id), doing)
        return order

    @staticmethod
    def translated(act: Callable[[], Any], doing: str = "") -> Any:
        try:
            return act()
        except OrderRefused as refusal:
            raise errors.refused(refusal.reason, doing) from refusal


@dataclass(frozen=True, slots=True)
class BinanceAction:
    """A request type: its handler, rate limit weight, kind as faults name it, and what authenticates it."""

    answer: Callable[[Params], Any]
    weight: int
    kind: str = "public"
    signed: bool = False
    keyed: bool = False  # needs the key without a signature

    @property
    def is_order(self) -> bool:
        return self.kind == PLACE


def within(at: int, start: int | None, end: int | None) -> bool:
    return (start is None or at >= start) and (end is None or at <= end)


def span(params: Params) -> tuple[int | None, int | None]:
    """Start and end of a query of orders or executions. Raises -1127 where more than a day lies between them."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise ApiError(-1127, "More than 24 hours between startTime and endTime.")
    return start, end


def page(candles: list[Candle], start: int | None, end: int | None, limit: int) -> list[Candle]:
    """One page as Binance cuts it: the first `limit` candles from `start` on, or without it the last ones."""
    if start is None and end is None:
        return candles[-limit:]
    chosen = [c for c in candles if within(c.start, start, end)]
    return chosen[:limit] if start is not None else chosen[-limit:]


def rest_actions(handlers: BinanceHandlers) -> dict[tuple[str, str], BinanceAction]:
    """Method and path under `/api/v3/` to action."""
    return {
        ("GET", "ping"): BinanceAction(handlers.ping, 1),
        ("GET", "time"): BinanceAction(handlers.time, 1),
        ("GET", "exchangeInfo"): BinanceAction(handlers.exchange_info, 20),
        ("GET", "klines"): BinanceAction(handlers.klines, 2, "klines"),
        ("GET", "uiKlines"): BinanceAction(handlers.klines, 2, "klines"),
        ("GET", "ticker/24hr"): BinanceAction(handlers.ticker_day, 2),
        ("GET", "ticker/bookTicker"): BinanceAction(handlers.ticker_book, 2),
        ("GET", "ticker/price"): BinanceAction(handlers.ticker_price, 2),
        ("GET", "avgPrice"): BinanceAction(handlers.average_price, 2),
        ("GET", "depth"): BinanceAction(handlers.depth, 5),
        ("GET", "account"): BinanceAction(handlers.account, 20, "account", signed=True),
        ("POST", "order"): BinanceAction(handlers.place, 1, "place", signed=True),
        ("POST", "order/test"): BinanceAction(handlers.place_test, 1, "test", signed=True),
        ("GET", "order"): BinanceAction(handlers.query, 4, "query", signed=True),
        ("DELETE", "order"): BinanceAction(handlers.cancel, 1, "cancel", signed=True),
        ("GET", "openOrders"): BinanceAction(handlers.open_orders, 6, "orders", signed=True),
        ("DELETE", "openOrders"): BinanceAction(handlers.cancel_all, 1, "cancel", signed=True),
        ("GET", "allOrders"): BinanceAction(handlers.all_orders, 20, "orders", signed=True),
        ("GET", "myTrades"): BinanceAction(handlers.my_trades, 20, "trades", signed=True),
    }


def socket_actions(handlers: BinanceHandlers) -> dict[str, BinanceAction]:
    """WebSocket API method to action; subscriptions belong to the connection and are handled there."""
    rest = rest_actions(handlers)
    names = {
        "ping": ("GET", "ping"), "time": ("GET", "time"), "exchangeInfo": ("GET", "exchangeInfo"), "klines": ("GET", "klines"),
        "depth": ("GET", "depth"), "ticker.24hr": ("GET", "ticker/24hr"), "ticker.price": ("GET", "ticker/price"),
        "ticker.book": ("GET", "ticker/bookTicker"), "avgPrice": ("GET", "avgPrice"), "account.status": ("GET", "account"),
        "order.place": ("POST", "order"), "order.test": ("POST", "order/test"), "order.cancel": ("DELETE", "order"),
        "order.status": ("GET", "order"), "openOrders.status": ("GET", "openOrders"), "openOrders.cancelAll": ("DELETE", "openOrders"),
        "allOrders": ("GET", "allOrders"), "myTrades": ("GET", "myTrades"),
    }  # fmt: skip
    return {name: rest[key] for name, key in names.items()}
