"""What Bybit's v5 API can be asked, whichever transport brings the question."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.bybit.errors import BybitError, bad, refused
from forwardtrader.sandbox.bybit.params import decimal, integer, read_order, text
from forwardtrader.sandbox.engine.funding import EVERY_MS
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.orders.book import best, side_levels
from forwardtrader.sandbox.orders.listing import last_day
from forwardtrader.sandbox.orders.order import Order
from forwardtrader.sandbox.orders.refusal import OrderRefused, Refusal
from forwardtrader.sandbox.venue import ACCOUNT, Venue

Asked = Mapping[str, Any]
RECENT = 500


class BybitDesk:
    """Answers requests whose signature has been checked; every method returns the `result` part or raises BybitError."""

    def __init__(self, venue: Venue, board: Switchboard) -> None:
        self.venue = venue
        self._exchange = venue.exchange
        self._board = board
        self._symbols = {(form.category(s), form.ident(s)): s for s in venue.exchange.listings}

    # Public

    def time(self, asked: Asked) -> Any:
        now = self.venue.wall_ms()
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def instruments(self, asked: Asked) -> Any:
        category = text(asked, "category")
        leverage = self.venue.settings.leverage
        wanted = asked.get("symbol")
        rows = [
            form.instrument(s, self._exchange.listings[s], leverage)
            for (c, i), s in self._symbols.items()
            if c == category and wanted in (None, "", i) and asked.get("status") in (None, "", "Trading")
        ]
        return {"category": category, "list": rows, "nextPageCursor": ""} if category != "spot" else {"category": category, "list": rows}

    def kline(self, asked: Asked) -> Any:
        """Newest first: the `limit` candles from `start` on, or without it the last ones up to `end`."""
        symbol = self.symbol(asked)
        length = self.interval_ms(text(asked, "interval"))
        start, end = integer(asked, "start"), integer(asked, "end")
        limit = min(integer(asked, "limit") or 200, 1000)
        candles = self._exchange.listings[symbol].candles.candles(length)
        if lag := self._board.fire("F23", symbol):
            candles = candles[: -1 - int(lag.number("bars"))]
        chosen = [c for c in candles if (start is None or c.start >= start) and (end is None or c.start <= end)]
        chosen = chosen[:limit] if start is not None and end is None else chosen[-limit:]
        return {"symbol": form.ident(symbol), "category": form.category(symbol), "list": [form.kline_row(c) for c in reversed(chosen)]}

    def tickers(self, asked: Asked) -> Any:
        category = text(asked, "category")
        wanted = asked.get("symbol")
        if wanted:
            return {"category": category, "list": [self.ticker(self.symbol(asked))]}
        return {"category": category, "list": [self.ticker(s) for (c, _), s in self._symbols.items() if c == category]}

    def order_book(self, asked: Asked) -> Any:
        symbol = self.symbol(asked)
        return self.book(symbol, min(integer(asked, "limit") or 25, 500)) | {"ts": self.venue.market_clock()}

    def funding_history(self, asked: Asked) -> Any:
        symbol = self.symbol(asked)
        rate, now = form.number(self.venue.settings.funding_bps / 10_000), self.venue.market_clock()
        begun = self._exchange.listings[symbol].candles.closed[0].start
        times = list(range(now - now % EVERY_MS, begun, -EVERY_MS))[: min(integer(asked, "limit") or 200, 200)]
        rows = [{"symbol": form.ident(symbol), "fundingRate": rate, "fundingRateTimestamp": str(t)} for t in times]
        return {"category": "linear", "list": rows}

    # Signed

    def query_api(self, asked: Asked) -> Any:
        told = {"id": "1", "note": "practice", "readOnly": 0, "type": 1, "uta": 1, "unified": 0, "userID": 1}
        right = self.venue.settings.withdrawals
        wallet = ["AccountTransfer", *(["Withdraw"] if right == "yes" else [])]
        return told if right == "unanswered" else told | {"permissions": {"Spot": ["SpotTrade"], "Wallet": wallet}}

    def account_info(self, asked: Asked) -> Any:
        return {"unifiedMarginStatus": 6, "marginMode": "REGULAR_MARGIN", "dcpStatus": "OFF", "timeWindow": 0, "isMasterTrader": False}

    def create(self, asked: Asked) -> Any:
        """Only the numbers come back: what became of the order is told by the `order` topic and by queries."""
        symbol = self.symbol(asked)
        wish = read_order(asked, symbol, self._exchange.listings[symbol].last, secrets.token_hex(16))
        made = self._engine(symbol, lambda: self._exchange.place(ACCOUNT, wish))
        return {"orderId": str(made.id), "orderLinkId": str(asked.get("orderLinkId") or "")}

    def cancel(self, asked: Asked) -> Any:
        made = self._order(asked)
        self._engine(made.wish.symbol, lambda: self._exchange.cancel(made))
        return {"orderId": str(made.id), "orderLinkId": made.wish.client_id}

    def cancel_all(self, asked: Asked) -> Any:
        category = text(asked, "category")
        wanted = self.symbol(asked) if asked.get("symbol") else None
        gone = [o for o in self._exchange.register.all_open(ACCOUNT) if form.category(o.wish.symbol) == category]
        gone = [o for o in gone if wanted in (None, o.wish.symbol)]
        for made in gone:
            if made.is_open:
                self._exchange.cancel(made)
        return {"list": [{"orderId": str(o.id), "orderLinkId": o.wish.client_id} for o in gone], "success": "1"}

    def realtime(self, asked: Asked) -> Any:
        """Open orders, and of the closed ones the recent 500 where one is asked for by its id or `openOnly` is 1."""
        named = asked.get("orderId") or asked.get("orderLinkId")
        return self._listed(asked, lambda o: o.is_open or bool(named) or str(asked.get("openOnly")) == "1")

    def history(self, asked: Asked) -> Any:
        return self._listed(asked, lambda o: not o.is_open)

    def executions(self, asked: Asked) -> Any:
        category = text(asked, "category")
        wanted = self.symbol(asked) if asked.get("symbol") else None
        start, end, order_id = integer(asked, "startTime"), integer(asked, "endTime"), asked.get("orderId")
        limit = min(integer(asked, "limit") or 50, 100)
        orders = self._exchange.register.orders
        rows = [
            form.execution(t, orders[t.order_id])
            for t in reversed(self._exchange.register.trades)
            if form.category(t.symbol) == category
            and wanted in (None, t.symbol)
            and (start is None or t.at >= start)
            and (end is None or t.at <= end)
            and order_id in (None, "", str(t.order_id))
        ]
        return {"category": category, "list": rows[:limit], "nextPageCursor": ""}

    def wallet(self, asked: Asked) -> Any:
        told = self.wallet_told()
        if coin := asked.get("coin"):
            told["coin"] = [row for row in told["coin"] if row["coin"] in str(coin).split(",")]
        return {"list": [told]}

    def positions(self, asked: Asked) -> Any:
        wanted = self.symbol(asked) if asked.get("symbol") else None
        account = self._exchange.accounts[ACCOUNT]
        chosen = [s for s in account.positions if wanted in (None, s) and (account.positions[s].size or wanted)]
        return {"category": "linear", "list": [self.position_told(s) for s in chosen], "nextPageCursor": ""}

    def set_leverage(self, asked: Asked) -> Any:
        """All positions have the leverage of the settings; only that one is accepted."""
        if decimal(asked, "buyLeverage") != self.venue.settings.leverage:
            raise bad(f"leverage is fixed at {self.venue.settings.leverage}; start the exchange with another")
        raise BybitError(110043, "Set leverage not modified")

    # Shared with the sockets

    def ticker(self, symbol: str) -> form.Payload:
        listing = self._exchange.listings[symbol]
        now = self.venue.market_clock()
        funding = self.venue.settings.funding_bps / 10_000
        top = best(listing, self.venue.settings.book)
        return form.ticker(symbol, last_day(listing), listing, top, funding, now - now % EVERY_MS + EVERY_MS)

    def book(self, symbol: str, count: int) -> form.Payload:
        listing = self._exchange.listings[symbol]
        bids, asks = (side_levels(listing, self.venue.settings.book, side, count) for side in (Side.BUY, Side.SELL))
        number = max(1, listing.prints)
        return {"s": form.ident(symbol), "b": form.levels(bids), "a": form.levels(asks), "u": number, "seq": number}

    def wallet_told(self) -> form.Payload:
        listings = self._exchange.listings
        marks = {s: x.last for s, x in listings.items() if x.rules.can_short}
        return form.wallet(self._exchange.accounts[ACCOUNT], marks, {s: listings[s].rules.quote for s in marks})

    def position_told(self, symbol: str) -> form.Payload:
        listing = self._exchange.listings[symbol]
        held = self._exchange.accounts[ACCOUNT].position(symbol)
        return form.position(symbol, held, listing.last, self.venue.settings.leverage, self.venue.market_clock())

    def order_told(self, made: Order) -> form.Payload:
        return form.order(made, self.venue.settings.leverage)

    def interval_ms(self, interval: str) -> int:
        """Raises 10001 for an interval that Bybit or this market does not have."""
        base = next(iter(self._exchange.listings.values())).candles.base_ms
        length = form.INTERVALS.get(interval)
        if length is None or length % base:
            raise bad("Interval invalid")
        return length

    def symbol(self, asked: Asked) -> str:
        key = text(asked, "category"), text(asked, "symbol")
        if key not in self._symbols:
            raise refused(Refusal.UNKNOWN_SYMBOL, linear=key[0] == "linear")
        return self._symbols[key]

    def named(self, asked: Asked) -> str:
        """The symbol that a request names, or nothing; for faults that concern one symbol."""
        return self._symbols.get((str(asked.get("category")), str(asked.get("symbol"))), "")

    def _order(self, asked: Asked) -> Order:
        symbol = self.symbol(asked)
        number, link = asked.get("orderId"), asked.get("orderLinkId")
        if not number and not link:
            raise bad("orderId or orderLinkId is required")
        order_id = int(str(number)) if number and str(number).isdecimal() and len(str(number)) < 19 else 0 if number else None
        made: Order = self._engine(symbol, lambda: self._exchange.register.find(ACCOUNT, symbol, order_id, str(link)))
        return made

    def _listed(self, asked: Asked, fits: Callable[[Order], bool]) -> Any:
        category = text(asked, "category")
        wanted = self.symbol(asked) if asked.get("symbol") else None
        number, link = asked.get("orderId"), asked.get("orderLinkId")
        limit = min(integer(asked, "limit") or 20, 50)
        rows = [
            self.order_told(o)
            for o in list(reversed(self._exchange.register.orders.values()))[: RECENT if number or link else None]
            if form.category(o.wish.symbol) == category
            and wanted in (None, o.wish.symbol)
            and number in (None, "", str(o.id))
            and link in (None, "", o.wish.client_id)
            and fits(o)
        ]
        return {"category": category, "list": rows[:limit], "nextPageCursor": ""}

    @staticmethod
    def _engine(symbol: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OrderRefused as refusal:
            raise refused(refusal.reason, linear=":" in symbol) from refusal


@dataclass(frozen=True, slots=True)
class BybitAction:
    """One thing that can be asked; `kind` as faults name it."""

    answer: Callable[[Asked], Any]
    kind: str = "public"
    signed: bool = True


def bybit_actions(desk: BybitDesk) -> dict[tuple[str, str], BybitAction]:
    """Method and path under `/v5/` to action."""
    public = {
        "market/time": desk.time, "market/instruments-info": desk.instruments, "market/tickers": desk.tickers,
        "market/orderbook": desk.order_book, "market/funding/history": desk.funding_history,
    }  # fmt: skip
    return {("GET", path): BybitAction(answer, signed=False) for path, answer in public.items()} | {
        ("GET", "market/kline"): BybitAction(desk.kline, "klines", signed=False),
        ("GET", "user/query-api"): BybitAction(desk.query_api, "account"),
        ("GET", "account/info"): BybitAction(desk.account_info, "account"),
        ("GET", "account/wallet-balance"): BybitAction(desk.wallet, "account"),
        ("GET", "position/list"): BybitAction(desk.positions, "account"),
        ("POST", "position/set-leverage"): BybitAction(desk.set_leverage, "account"),
        ("POST", "order/create"): BybitAction(desk.create, "place"),
        ("POST", "order/cancel"): BybitAction(desk.cancel, "cancel"),
        ("POST", "order/cancel-all"): BybitAction(desk.cancel_all, "cancel"),
        ("GET", "order/realtime"): BybitAction(desk.realtime, "query"),
        ("GET", "order/history"): BybitAction(desk.history, "query"),
        ("GET", "execution/list"): BybitAction(desk.executions, "trades"),
    }
