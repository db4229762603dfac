"""Request handlers of Bybit's v5 API, shared by REST and sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.bybit.disconnection import LONGEST_S, SHORTEST_S, DisconnectionProtection
from forwardtrader.sandbox.bybit.errors import DENIED, bad, refused
from forwardtrader.sandbox.bybit.params import integer, read_order, text
from forwardtrader.sandbox.bybit.positions import BybitPositions, funding_execution
from forwardtrader.sandbox.faults.catalogue import Switchboard
from forwardtrader.sandbox.faults.read_lags import ORDER, ORDERS, AccountReads
from forwardtrader.sandbox.faults.request_faults import STATUS, RequestFaults
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.book import best, side_levels
from forwardtrader.sandbox.orders.listing import last_day
from forwardtrader.sandbox.orders.order import ZERO, ExchangeOrder, NewOrder
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue

BybitParams = Mapping[str, Any]
RECENT = 500


class BybitHandlers:
    """Handlers of authenticated requests; every method returns the `result` part or raises BybitError."""

    def __init__(self, venue: SandboxVenue, board: Switchboard, faults: RequestFaults, reads: AccountReads) -> None:
        self.venue = venue
        self._faults = faults
        self._reads = reads
        self.protection = DisconnectionProtection(venue)
        self._exchange = venue.exchange
        self._board = board
        self._symbols = {(form.category(s), form.ident(s)): s for s in venue.exchange.listings}
        self.positions = BybitPositions(venue, {form.ident(s): s for s in venue.exchange.listings if form.category(s) == "linear"}, reads)

    # Public

    def time(self, params: BybitParams) -> Any:
        now = self.venue.wall_ms()
        return {"timeSecond": str(now // 1000), "timeNano": str(now * 1_000_000)}

    def instruments(self, params: BybitParams) -> Any:
        category = text(params, "category")
        wanted = params.get("symbol")
        rows = [
            form.instrument(s, self._exchange.listings[s])
            for (c, i), s in self._symbols.items()
            if c == category and wanted in (None, "", i) and params.get("status") in (None, "", "Trading")
        ]
        return {"category": category, "list": rows, "nextPageCursor": ""} if category != "spot" else {"category": category, "list": rows}

    def kline(self, params: BybitParams) -> Any:
        """Newest first: the `limit` candles from `start` on, or without it the last ones up to `end`."""
        symbol = self.symbol(params)
        length = self.interval_ms(text(params, "interval"))
        start, end = integer(params, "start"), integer(params, "end")
        limit = min(integer(params, "limit") or 200, 1000)
        candles = self._exchange.listings[symbol].candles.candles(length)
        if lag := self._board.fire("F23", symbol):
            candles = candles[: -1 - int(lag.number("bars"))]
        chosen = [c for c in candles if (start is None or c.start >= start) and (end is None or c.start <= end)]
        chosen = chosen[:limit] if start is not None and end is None else chosen[-limit:]
        return {"symbol": form.ident(symbol), "category": form.category(symbol), "list": [form.kline_row(c) for c in reversed(chosen)]}

    def mark_kline(self, params: BybitParams) -> Any:
        """Newest first, as `kline`: of contracts, and of bars that are over."""
        symbol = self.symbol(params)
        if form.category(symbol) == "spot":
            raise bad("category invalid")
        start, end = integer(params, "start"), integer(params, "end")
        limit = min(integer(params, "limit") or 200, 1000)
        candles = self.venue.marks.past(self._exchange.listings[symbol], self.interval_ms(text(params, "interval")))
        chosen = [c for c in candles if (start is None or c.start >= start) and (end is None or c.start <= end)]
        chosen = chosen[:limit] if start is not None and end is None else chosen[-limit:]
        return {"symbol": form.ident(symbol), "category": "linear", "list": [form.kline_row(c)[:5] for c in reversed(chosen)]}

    def tickers(self, params: BybitParams) -> Any:
        category = text(params, "category")
        wanted = params.get("symbol")
        if wanted:
            return {"category": category, "list": [self.ticker(self.symbol(params))]}
        return {"category": category, "list": [self.ticker(s) for (c, _), s in self._symbols.items() if c == category]}

    def order_book(self, params: BybitParams) -> Any:
        symbol = self.symbol(params)
        return self.book(symbol, min(integer(params, "limit") or 25, 500)) | {"ts": self.venue.market_clock()}

    # Signed

    def query_api(self, params: BybitParams) -> Any:
        rights = self.venue.rights
        answer = {"id": "1", "note": "practice", "readOnly": 0 if rights.trading else 1, "type": 1, "uta": 1, "unified": 0, "userID": 1}
        wallet = ["AccountTransfer", *(["Withdraw"] if rights.withdrawals == "yes" else [])]
        if rights.withdrawals == "unanswered":
            return answer
        trade = {"Spot": ["SpotTrade"], "ContractTrade": ["Order", "Position"]} if rights.trading else {"Spot": [], "ContractTrade": []}
        return answer | {"permissions": trade | {"Wallet": wallet}}

    def system_status(self, params: BybitParams) -> Any:
        ongoing = {"id": "1", "title": "System maintenance", "state": "ongoing", "begin": "0", "end": "0", "href": "", "product": [1, 2],
                   "serviceTypes": [1, 2], "maintainType": 1, "env": 1}  # fmt: skip
        return {"list": [ongoing] if self._faults.is_in_maintenance() else []}

    def account_info(self, params: BybitParams) -> Any:
        return {
            "unifiedMarginStatus": 6,
            "marginMode": "ISOLATED_MARGIN" if self._exchange.accounts[ACCOUNT].mode.isolated else "REGULAR_MARGIN",
            "dcpStatus": "ON" if self.protection.window_s else "OFF",
            "timeWindow": self.protection.window_s,
            "isMasterTrader": False,
        }

    def create(self, params: BybitParams) -> Any:
        """Returns the ids only; the state of the order follows on the `order` topic and in queries."""
        if not self.venue.rights.trading:
            raise DENIED
        symbol = self.symbol(params)
        request = read_order(params, symbol, self._exchange.listings[symbol].last, self.venue.host.token(16))
        made = self._engine(symbol, lambda: self._placed(request))
        return {"orderId": str(made.id), "orderLinkId": str(params.get("orderLinkId") or "")}

    def _placed(self, request: NewOrder) -> ExchangeOrder:
        """A post-only order of a contract that would take is accepted, and cancelled at once."""
        try:
            return self._exchange.place(ACCOUNT, request)
        except OrderRefused as refusal:
            if refusal.reason is not RefusalReason.WOULD_TAKE or form.category(request.symbol) == "spot":
                raise
            return self._exchange.turn_away(ACCOUNT, request)

    def cancel(self, params: BybitParams) -> Any:
        """At spot only orders of the kind that `orderFilter` names: a stop that was not triggered is no `Order`."""
        made = self._order(params)
        if form.category(made.request.symbol) == "spot" and form.order_filter(made) != (params.get("orderFilter") or "Order"):
            raise refused(RefusalReason.UNKNOWN_ORDER, linear=False)
        self._engine(made.request.symbol, lambda: self._exchange.cancel(made))
        return {"orderId": str(made.id), "orderLinkId": made.request.client_id}

    def cancel_all(self, params: BybitParams) -> Any:
        category = text(params, "category")
        wanted = self.symbol(params) if params.get("symbol") else None
        gone = [o for o in self._exchange.order_index.all_open(ACCOUNT) if form.category(o.request.symbol) == category]
        gone = [o for o in gone if wanted in (None, o.request.symbol)]
        for made in gone:
            if made.is_open:
                self._exchange.cancel(made)
        return {"list": [{"orderId": str(o.id), "orderLinkId": o.request.client_id} for o in gone], "success": "1"}

    def protect(self, params: BybitParams) -> Any:
        """Set the time of the disconnection protection; the client follows the topic `dcp` of the private stream."""
        seconds = integer(params, "timeWindow")
        if seconds is None or not SHORTEST_S <= seconds <= LONGEST_S:
            raise bad(f"timeWindow must be from {SHORTEST_S} to {LONGEST_S}")
        self.protection.protect(seconds)
        return {}

    def realtime(self, params: BybitParams) -> Any:
        """Open orders; also the 500 most recent closed ones if an id is given or `openOnly` is 1."""
        find_symbol = params.get("orderId") or params.get("orderLinkId")
        return self._listed(params, lambda o: o.is_open or bool(find_symbol) or str(params.get("openOnly")) == "1")

    def history(self, params: BybitParams) -> Any:
        return self._listed(params, lambda o: not o.is_open)

    def executions(self, params: BybitParams) -> Any:
        category = text(params, "category")
        wanted = self.symbol(params) if params.get("symbol") else None
        start, end, order_id = integer(params, "startTime"), integer(params, "endTime"), params.get("orderId")
        limit = self._limit(params, usual=50, most=100)
        orders = self._exchange.order_index.orders
        kind = params.get("execType") or ""
        rows = [
            (t.at, form.execution(t, orders[t.order_id]))
            for t in reversed(self._reads.trades())
            if form.category(t.symbol) == category
            and wanted in (None, t.symbol)
            and order_id in (None, "", str(t.order_id))
            and kind in ("", form.EXECUTED_AS[orders[t.order_id].request.origin])
        ]
        if kind in ("", "Funding") and not order_id:
            paid = [f for f in reversed(self._exchange.payments) if wanted in (None, f.symbol) and category == "linear"]
            rows = sorted([*rows, *((f.at, funding_execution(f)) for f in paid)], key=lambda row: -row[0])
        chosen = [row for at, row in rows if (start is None or at >= start) and (end is None or at <= end)]
        return {"category": category, **_page(chosen, params, limit)}

    def wallet(self, params: BybitParams) -> Any:
        wallet = self.wallet_payload(self._reads.account())
        if coin := params.get("coin"):
            wallet["coin"] = [row for row in wallet["coin"] if row["coin"] in str(coin).split(",")]
        return {"list": [wallet]}

    # Shared with the sockets

    def ticker(self, symbol: str) -> form.Payload:
        listing = self._exchange.listings[symbol]
        now = self.venue.market_clock()
        at, rate = self.venue.funding.rates[symbol].following(now) if listing.rules.is_perpetual else (0, ZERO)
        return form.ticker(symbol, last_day(listing), listing, best(listing, self.venue.settings.book), rate, at)

    def book(self, symbol: str, count: int) -> form.Payload:
        listing = self._exchange.listings[symbol]
        bids, asks = (side_levels(listing, self.venue.settings.book, side, count) for side in (Side.BUY, Side.SELL))
        number = max(1, listing.prints)
        return {"s": form.ident(symbol), "b": form.levels(bids), "a": form.levels(asks), "u": number, "seq": number}

    def wallet_payload(self, account: ClientAccount | None = None) -> form.Payload:
        """The wallet, now or as `account` was."""
        return form.wallet(account or self._exchange.accounts[ACCOUNT], self.venue.margin)

    def interval_ms(self, interval: str) -> int:
        """Length of an interval in milliseconds. Raises 10001 if Bybit or this market does not have it."""
        base = next(iter(self._exchange.listings.values())).candles.base_ms
        length = form.INTERVALS.get(interval)
        if length is None or length % base:
            raise bad("Interval invalid")
        return length

    def symbol(self, params: BybitParams) -> str:
        key = text(params, "category"), text(params, "symbol")
        if key not in self._symbols:
            raise refused(RefusalReason.UNKNOWN_SYMBOL, linear=key[0] == "linear")
        return self._symbols[key]

    def find_symbol(self, params: BybitParams) -> str:
        """The symbol that a request names, or "" if it names none."""
        return self._symbols.get((str(params.get("category")), str(params.get("symbol"))), "")

    def _order(self, params: BybitParams) -> ExchangeOrder:
        symbol = self.symbol(params)
        number, link = params.get("orderId"), params.get("orderLinkId")
        if not number and not link:
            raise bad("orderId or orderLinkId is required")
        order_id = int(str(number)) if number and str(number).isdecimal() and len(str(number)) < 19 else 0 if number else None
        made: ExchangeOrder = self._engine(symbol, lambda: self._exchange.order_index.find(ACCOUNT, symbol, order_id, str(link)))
        return made

    def _listed(self, params: BybitParams, fits: Callable[[ExchangeOrder], bool]) -> Any:
        category = text(params, "category")
        wanted = self.symbol(params) if params.get("symbol") else None
        number, link = params.get("orderId"), params.get("orderLinkId")
        limit = self._limit(params, usual=20, most=50)
        rows = [
            form.order(o)
            for o in list(reversed(list(self._reads.orders(ORDER if number or link else ORDERS))))[: RECENT if number or link else None]
            if form.category(o.request.symbol) == category
            and wanted in (None, o.request.symbol)
            and number in (None, "", str(o.id))
            and link in (None, "", o.request.client_id)
            and fits(o)
        ]
        return {"category": category, **_page(rows, params, limit)}

    def _limit(self, params: BybitParams, *, usual: int, most: int) -> int:
        """The most rows of a page."""
        return min(integer(params, "limit") or usual, self.venue.settings.page_limit or most)

    @staticmethod
    def _engine(symbol: str, act: Callable[[], Any]) -> Any:
        try:
            return act()
        except OrderRefused as refusal:
            raise refused(refusal.reason, linear=":" in symbol) from refusal


def _page(rows: list[form.Payload], params: BybitParams, limit: int) -> form.Payload:
    """One page of a list that is newest first; the cursor is the first row of the next page, whatever has become new meanwhile."""
    cursor = str(params.get("cursor") or "")
    names = [str(row.get("execId") or row["orderId"]) for row in rows]
    if cursor and cursor not in names:
        raise bad("cursor invalid")
    start = names.index(cursor) if cursor else 0
    following = names[start + limit : start + limit + 1]
    return {"list": rows[start : start + limit], "nextPageCursor": following[0] if following else ""}


@dataclass(frozen=True, slots=True)
class BybitAction:
    """A request type: its handler, kind as faults name it, and whether it must be signed."""

    answer: Callable[[BybitParams], Any]
    kind: str = "public"
    signed: bool = True

    def kind_of(self, params: BybitParams) -> str:
        """A list of orders that names one is a query of that order."""
        return "query" if self.kind == "orders" and (params.get("orderId") or params.get("orderLinkId")) else self.kind


def bybit_actions(handlers: BybitHandlers) -> dict[tuple[str, str], BybitAction]:
    """Method and path under `/v5/` to action."""
    public = {
        "market/time": handlers.time, "market/instruments-info": handlers.instruments, "market/tickers": handlers.tickers,
        "market/orderbook": handlers.order_book, "market/funding/history": handlers.positions.funding_history,
        "market/risk-limit": handlers.positions.risk_limits,
    }  # fmt: skip
    return {("GET", path): BybitAction(answer, signed=False) for path, answer in public.items()} | {
        ("GET", "market/kline"): BybitAction(handlers.kline, "klines", signed=False),
        ("GET", "market/mark-price-kline"): BybitAction(handlers.mark_kline, "klines", signed=False),
        ("GET", "system/status"): BybitAction(handlers.system_status, STATUS, signed=False),
        ("GET", "user/query-api"): BybitAction(handlers.query_api, "account"),
        ("GET", "account/info"): BybitAction(handlers.account_info, "account"),
        ("GET", "account/wallet-balance"): BybitAction(handlers.wallet, "account"),
        ("GET", "position/list"): BybitAction(handlers.positions.listed, "account"),
        ("POST", "position/set-leverage"): BybitAction(handlers.positions.set_leverage, "account"),
        ("POST", "position/switch-mode"): BybitAction(handlers.positions.switch_mode, "account"),
        ("POST", "account/set-margin-mode"): BybitAction(handlers.positions.set_margin_mode, "account"),
        ("POST", "order/create"): BybitAction(handlers.create, "place"),
        ("POST", "order/cancel"): BybitAction(handlers.cancel, "cancel"),
        ("POST", "order/cancel-all"): BybitAction(handlers.cancel_all, "cancel"),
        ("POST", "order/disconnected-cancel-all"): BybitAction(handlers.protect, "account"),
        ("GET", "order/realtime"): BybitAction(handlers.realtime, "orders"),
        ("GET", "order/history"): BybitAction(handlers.history, "orders"),
        ("GET", "execution/list"): BybitAction(handlers.executions, "trades"),
    }
