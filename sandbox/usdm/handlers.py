"""Request handlers of Binance USD-M's markets and orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from forwardtrader.core.types import MarginTier
from forwardtrader.sandbox.binance import errors as codes
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.handlers import BinanceHandlers, page, within
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.orders.order import ExchangeOrder
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.usdm import format as form
from forwardtrader.sandbox.usdm import market_format as market
from forwardtrader.sandbox.usdm.errors import translated
from forwardtrader.sandbox.usdm.params import read_order
from forwardtrader.sandbox.venue import ACCOUNT

WEEK_MS: Final = 7 * 86_400_000


class UsdmHandlers(BinanceHandlers):
    """Handlers of perpetuals; market data has spot's form where nothing else is said. Every method raises ApiError as the venue would."""

    is_perpetual = True

    # Markets

    def exchange_info(self, params: Params) -> Any:
        listings, most = self.venue.exchange.listings, self.venue.settings.most_open
        return {
            "timezone": "UTC",
            "serverTime": self.venue.wall_ms(),
            "rateLimits": self._limits(),
            "exchangeFilters": [],
            "assets": [],
            "symbols": [market.symbol_described(s, listings[s], most) for s in self.symbols.values()],
        }

    def mark_klines(self, params: Params) -> Any:
        listing, length = self._listing(params), self.interval_ms(params.needed("interval"))
        start, end = params.integer("startTime"), params.integer("endTime")
        candles = page(self.venue.marks.past(listing, length), start, end, min(params.integer("limit") or 500, 1500))
        return [market.mark_row(candle, length) for candle in candles]

    def premium_index(self, params: Params) -> Any:
        return self._for_one_or_all(params, self._premium)

    def funding_info(self, params: Params) -> Any:
        listings = self.venue.exchange.listings
        return [
            {"symbol": name, "adjustedFundingRateCap": "0.03", "adjustedFundingRateFloor": "-0.03", "disclaimer": False,
             "fundingIntervalHours": listings[symbol].rules.funding_hours}
            for name, symbol in self.symbols.items()
        ]  # fmt: skip

    def funding_rates(self, params: Params) -> Any:
        """The rates of the past: from a time on, or the newest, oldest first."""
        symbol, now = self.symbol(params.needed("symbol")), self.venue.market_clock()
        listing, start = self.venue.exchange.listings[symbol], params.integer("startTime")
        end, limit = params.integer("endTime"), min(params.integer("limit") or 100, 1000)
        began = max(listing.candles.closed[0].start, start or 0)
        rates = list(self.venue.funding.rates[symbol].between(began - 1, min(now, now if end is None else end)))
        chosen = rates[-limit:] if start is None else rates[:limit]
        return [market.funding_rate(symbol, at, rate, listing.mark) for at, rate in chosen]

    def leverage_brackets(self, params: Params) -> Any:
        wanted = params.text("symbol")
        chosen = [self.symbol(wanted)] if wanted else list(self.symbols.values())
        return [market.brackets(symbol, self._tiers(symbol)) for symbol in chosen]

    def _premium(self, symbol: str) -> form.Payload:
        listing, now = self.venue.exchange.listings[symbol], self.venue.market_clock()
        at, rate = self.venue.funding.rates[symbol].following(now)
        return market.premium_index(symbol, listing, rate, at, now)

    def _tiers(self, symbol: str) -> tuple[MarginTier, ...]:
        return self.venue.exchange.listings[symbol].rules.margin_tiers

    # Orders

    def place(self, params: Params) -> Any:
        symbol = self.may_trade(params)
        kind = params.text("newOrderRespType") or "ACK"
        if kind not in ("ACK", "RESULT"):
            raise codes.invalid_data("newOrderRespType")
        request = read_order(params, symbol, self.generated_id(), hedged=self.is_hedged)
        made = translated(lambda: self.venue.exchange.place(ACCOUNT, request))
        shown = form.order_queried(made)
        if kind == "ACK" or self.venue.settings.order_answers == "ids":
            return shown | {"status": "NEW", "executedQty": "0", "cumQuote": "0", "avgPrice": "0.00"}
        return shown

    def cancel(self, params: Params) -> Any:
        order = self._order(params, codes.CANCEL)
        params.finish()
        return form.order_queried(translated(lambda: self.venue.exchange.cancel(order), codes.CANCEL))

    def cancel_all(self, params: Params) -> Any:
        """Orders only; conditional ones have a request of their own."""
        self.take_off(self.symbol(params.needed("symbol")), lambda order: not form.is_waiting(order))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def query(self, params: Params) -> Any:
        order = self._order(params, codes.QUERY)
        return form.order_queried(translated(lambda: self._reads.order(order), codes.QUERY))

    def open_orders(self, params: Params) -> Any:
        return [form.order_queried(o) for o in self.resting(params) if not form.is_waiting(o)]

    def all_orders(self, params: Params) -> Any:
        first = params.integer("orderId")
        return [form.order_queried(o) for o in self.listed(params, first, lambda o: o.id, lambda o: not form.is_waiting(o))]

    def my_trades(self, params: Params) -> Any:
        symbol = self.symbol(params.needed("symbol"))
        order_id, first = params.integer("orderId"), params.integer("fromId")
        start, end = week(params)
        limit = self._page(params)
        trades = [t for t in self._reads.trades() if t.symbol == symbol and within(t.at, start, end)]
        trades = [t for t in trades if order_id in (None, t.order_id) and t.id >= (first or 0)]
        return [form.trade_queried(t) for t in (trades[:limit] if first is not None or start is not None else trades[-limit:])]

    # Shared with the Algo Service

    @property
    def is_hedged(self) -> bool:
        return self.venue.exchange.accounts[ACCOUNT].mode.hedged

    def may_trade(self, params: Params) -> str:
        """The symbol of a request that trades. Raises -2015 for a key that may not."""
        if not self.venue.rights.trading:
            raise codes.BAD_KEY
        return self.symbol(params.needed("symbol"))

    def resting(self, params: Params) -> list[ExchangeOrder]:
        """The open orders of one symbol, or of all perpetuals."""
        wanted = params.text("symbol")
        chosen = [self.symbol(wanted)] if wanted else list(self.symbols.values())
        return [order for order in self._reads.open_orders() if order.request.symbol in chosen]

    def listed(
        self, params: Params, first: int | None, id_of: Callable[[ExchangeOrder], int], fits: Callable[[ExchangeOrder], bool]
    ) -> list[ExchangeOrder]:
        """One page of a symbol's orders, oldest first: from an id or a time on, or the newest."""
        symbol, (start, end), limit = self.symbol(params.needed("symbol")), week(params), self._page(params)
        orders = [o for o in self._reads.orders() if o.request.symbol == symbol and within(o.placed_at, start, end) and fits(o)]
        orders = [o for o in orders if first is None or id_of(o) >= first]
        return orders[:limit] if first is not None or start is not None else orders[-limit:]

    def take_off(self, symbol: str, fits: Callable[[ExchangeOrder], bool]) -> None:
        for order in self.venue.exchange.order_index.all_open(ACCOUNT):
            if order.request.symbol == symbol and order.is_open and fits(order):
                self.venue.exchange.cancel(order)

    def _order(self, params: Params, doing: str) -> ExchangeOrder:
        symbol = self.symbol(params.needed("symbol"))
        order_id, client_id = params.integer("orderId"), params.text("origClientOrderId")
        if order_id is None and client_id is None:
            raise ApiError(-1102, "Mandatory parameter 'orderId' was not sent, was empty/null, or malformed.")
        return translated(lambda: self._found(symbol, order_id, client_id), doing)

    def _found(self, symbol: str, order_id: int | None, client_id: str | None) -> ExchangeOrder:
        order = self.venue.exchange.order_index.find(ACCOUNT, symbol, order_id, client_id)
        if form.is_waiting(order):
            raise OrderRefused(RefusalReason.UNKNOWN_ORDER)
        return order


def week(params: Params) -> tuple[int | None, int | None]:
    """Start and end of a query. Raises -4166 where more than seven days lie between them."""
    start, end = params.integer("startTime"), params.integer("endTime")
    if start is not None and end is not None and end - start > WEEK_MS:
        raise ApiError(-4166, "Search window is restricted to recent 90 days only.")
    return start, end
