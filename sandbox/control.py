"""The control endpoint: inspects and drives the exchange; local requests with the admin token only."""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from aiohttp import web

from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.types import OHLCV
from forwardtrader.sandbox.faults.read_lags import KINDS, Lag
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import ExchangeOrder, Trade
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.practice import PracticeExchange
from forwardtrader.sandbox.venue import ACCOUNT

MOST_BARS = 10_000
READS = frozenset({"state", "time", "log", "orders", "trades"})
Command = Callable[[Mapping[str, Any]], Any]


class Control:
    """The control commands. Each takes and returns plain JSON; an invalid one is answered 400 with the reason."""

    def __init__(self, practice: PracticeExchange, parent: ParentProcess, begin: Callable[[], None]) -> None:
        self._practice = practice
        self._venue = practice.venue
        self._log = practice.log
        self._sockets = practice.sockets
        self._board = practice.board
        self._faults = practice.faults
        self._parent = parent
        self._begin = begin
        self.commands: dict[str, Command] = {
            "state": self.state,
            "time": self.time,
            "log": self.log,
            "orders": self.orders,
            "trades": self.trades,
            "advance": self.advance,
            "approach": self.approach,
            "begin": self.begin,
            "owner": self.owner,
            "push": self.push,
            "price": self.price,
            "fill_cap": self.fill_cap,
            "fill": self.fill,
            "deposit": self.deposit,
            "deleverage": self.deleverage,
            "delist": self.delist,
            "mode": self.mode,
            "fault": self.fault,
            "clear": self.clear,
            "drop": self.drop,
            "lag": self.lag,
            "rights": self.rights,
            "revoke": self.revoke,
        }

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if not is_local(request) or not self._is_authorized(request):
            return web.json_response({"error": "the control endpoint needs the token printed at the start"}, status=403)
        name = request.match_info["name"]
        if name not in self.commands:
            return web.json_response({"error": f"no such command; there are {', '.join(sorted(self.commands))}"}, status=404)
        try:
            params = await self._read_params(request)
            return _json(self.run(name, params))
        except (ConfigError, OrderRefused, ValueError, KeyError, TypeError, InvalidOperation) as error:
            return web.json_response({"error": _reason(error)}, status=400)

    def run(self, name: str, params: Mapping[str, Any]) -> Any:
        """Carry out command `name`; what it changed is kept before it is answered."""
        try:
            return self.commands[name](params)
        finally:
            self._practice.commit(moved=name not in READS)

    def state(self, params: Mapping[str, Any]) -> Any:
        """State of the market and the account. Times are milliseconds UTC of the market's clock."""
        exchange, driver = self._venue.exchange, self._venue.driver
        return {
            "market_time": self._venue.market_clock(),
            "played": driver.played,
            "ended": driver.ended,
            "symbols": {
                s: {"last": str(x.last), "open": x.is_open, "bar_start": x.bar.start if x.bar else None}
                for s, x in exchange.listings.items()
            },
            "positions": {
                s: {"size": str(p.size), "entry": str(p.entry), "funding": str(p.funding)}
                for s, p in exchange.accounts[ACCOUNT].positions.items()
            },
            "accounts": {name: _balances(a) for name, a in exchange.accounts.items()},
            "open_orders": [_order(o) for o in exchange.order_index.all_open(ACCOUNT)],
            "orders": len(exchange.order_index.orders),
            "trades": len(exchange.order_index.trades),
            "sockets": self._sockets.counts(),
            "faults": self._board.described(),
        }

    def time(self, params: Mapping[str, Any]) -> Any:
        """The market's clock alone, for frequent polling."""
        return {"market_time": self._venue.market_clock(), "played": self._venue.driver.played, "ended": self._venue.driver.ended}

    def log(self, params: Mapping[str, Any]) -> Any:
        """The request log after entry `since`."""
        return {"entries": self._log.since(int(params.get("since", 0)))}

    def orders(self, params: Mapping[str, Any]) -> Any:
        """All orders of all accounts, open or not, by order id."""
        return {"orders": [_order(o) for _, o in sorted(self._venue.exchange.order_index.orders.items())]}

    def trades(self, params: Mapping[str, Any]) -> Any:
        """Every execution after number `since`."""
        return {"trades": [_trade(t) for t in self._venue.exchange.order_index.trades[int(params.get("since", 0)) :]]}

    def advance(self, params: Mapping[str, Any]) -> Any:
        """In lockstep: play `bars` bars (default 1); `trades` are the ids of what the account executed in them.

        Raises ValueError if the market runs in real time.
        """
        self._require_lockstep()
        before, executed = self._venue.driver.played, self._venue.exchange.order_index.trades
        known = len(executed)
        bars = params.get("bars", 1)
        if isinstance(bars, bool) or not isinstance(bars, int) or not 1 <= bars <= MOST_BARS:
            raise ValueError(f"bars must be a whole number from 1 to {MOST_BARS}")
        for _ in range(bars):
            if not self._venue.driver.advance():
                break
        driver = self._venue.driver
        trades = [str(trade.id) for trade in executed[known:] if trade.account == ACCOUNT]
        return {"market_time": self._venue.market_clock(), "advanced": driver.played - before, "ended": driver.ended, "trades": trades}

    def approach(self, params: Mapping[str, Any]) -> Any:
        """In lockstep: make the next print of the running bars, as far as no open order has been met; `prices` by symbol, and `printed`.

        Raises ValueError if the market runs in real time.
        """
        self._require_lockstep()
        driver = self._venue.driver
        if driver.ended or driver.printed >= driver.ticks:
            return {"prices": {}, "printed": False}
        return {"prices": driver.tick(holds=True), "printed": True}

    def _require_lockstep(self) -> None:
        if self._venue.settings.speed != "lockstep":
            raise ValueError("the market runs by the clock; start it with --speed lockstep to advance it by hand")

    def begin(self, params: Mapping[str, Any]) -> Any:
        """Start a market that was started with `waits`; no effect on a running one."""
        self._begin()
        return {}

    def owner(self, params: Mapping[str, Any]) -> Any:
        """Make `pid` the parent process: the exchange ends with it."""
        self._parent.follow(params["pid"])
        return {}

    def push(self, params: Mapping[str, Any]) -> Any:
        """Make the given candle the next bar of `symbol`: `start` in milliseconds, `open high low close volume`."""
        first, high, low, close, volume = (_decimal(params, name) for name in OHLCV)
        start = params["start"]
        if not isinstance(start, int) or volume < 0:
            raise ValueError("start must be a whole number of milliseconds, volume at 0 or above")
        if not 0 < low <= min(first, close) <= max(first, close) <= high or start % self._venue.driver.length:
            raise ValueError("no market could have printed this candle, or its start is off the grid of the timeframe")
        self._venue.driver.push(self._symbol(params), Candle(start, first, high, low, close, volume))
        return {}

    def price(self, params: Mapping[str, Any]) -> Any:
        """Print a trade of `symbol` at `price`; the running bar is widened to contain it."""
        price, volume = _decimal(params, "price"), _decimal({"volume": 1} | dict(params), "volume")
        if price <= 0 or volume < 0:
            raise ValueError("price must be above 0, volume at 0 or above")
        self._venue.driver.set_price(self._symbol(params), price, volume)
        return {}

    def fill_cap(self, params: Mapping[str, Any]) -> Any:
        """Cap the size filled per order and print at `size`; null removes the cap."""
        size = None if params.get("size") is None else _decimal(params, "size")
        if size is not None and size <= 0:
            raise ValueError("size must be above 0, or null")
        self._venue.exchange.fill_cap = size
        return {}

    def fill(self, params: Mapping[str, Any]) -> Any:
        """Fill the rest of open order `order_id` at its limit price."""
        order = self._venue.exchange.order_index.orders[int(params["order_id"])]
        if not order.is_open:
            raise ValueError("the order is not open")
        self._venue.exchange.fill_now(order)
        return _order(order)

    def delist(self, params: Mapping[str, Any]) -> Any:
        """End the perpetual `symbol`: what is held is closed at the mark, and it is not traded any more."""
        self._venue.liquidation.delist(self._symbol(params))
        return {}

    def deleverage(self, params: Mapping[str, Any]) -> Any:
        """Reduce the position in the perpetual `symbol` at the mark by `size`, or wholly, as auto-deleveraging does."""
        size = None if params.get("size") is None else _decimal(params, "size")
        self._venue.liquidation.deleverage(self._venue.exchange.accounts[ACCOUNT], self._symbol(params), size)
        return {}

    def mode(self, params: Mapping[str, Any]) -> Any:
        """Set the account's position mode (`hedged`) and margin mode (`isolated`), each true or false."""
        mode = self._venue.exchange.accounts[ACCOUNT].mode
        hedged, isolated = params.get("hedged", mode.hedged), params.get("isolated", mode.isolated)
        if not isinstance(hedged, bool) or not isinstance(isolated, bool):
            raise ValueError("hedged and isolated are true or false")
        mode.hedged, mode.isolated = hedged, isolated
        return {"hedged": hedged, "isolated": isolated}

    def fault(self, params: Mapping[str, Any]) -> Any:
        """Arm fault `name`; all other parameters are its options."""
        self._faults.arm(str(params["name"]), {k: v for k, v in params.items() if k != "name"})
        return self._board.described()

    def clear(self, params: Mapping[str, Any]) -> Any:
        """Disarm fault `name`, or all, and reset the venue's clock."""
        self._board.disarm(str(params.get("name", "")))
        self._venue.skew_ms = 0
        return self._board.described()

    def drop(self, params: Mapping[str, Any]) -> Any:
        """Close connections: `which` is market, user or all, `how` is close or reset."""
        which, how = str(params.get("which", "all")), str(params.get("how", "reset"))
        if which not in ("market", "user", "all") or how not in ("close", "reset"):
            raise ValueError("which is market, user or all; how is close or reset")
        return {"ended": self._sockets.disconnect(which, reset=how == "reset")}

    def lag(self, params: Mapping[str, Any]) -> Any:
        """Let queries of the kind `what` (order, orders, trades or balance) lag by `seconds` and `bars`; 0 ends it."""
        what, seconds, bars = str(params["what"]), params.get("seconds", 0), params.get("bars", 0)
        if what not in KINDS or isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 3600:
            raise ValueError("what is order, orders, trades or balance; seconds is a number from 0 to 3600")
        if isinstance(bars, bool) or not isinstance(bars, int) or not 0 <= bars <= MOST_BARS:
            raise ValueError(f"bars must be a whole number from 0 to {MOST_BARS}")
        self._practice.reads.lag(what, Lag(float(seconds), bars))
        return {}

    def rights(self, params: Mapping[str, Any]) -> Any:
        """Set what the keys may do: `withdrawals` is no, yes or unanswered, `trading` true or false."""
        rights = self._venue.rights
        withdrawals, trading = params.get("withdrawals", rights.withdrawals), params.get("trading", rights.trading)
        if withdrawals not in ("no", "yes", "unanswered") or not isinstance(trading, bool):
            raise ValueError("withdrawals is no, yes or unanswered; trading is true or false")
        rights.withdrawals, rights.trading = withdrawals, trading
        return {"withdrawals": withdrawals, "trading": trading}

    def revoke(self, params: Mapping[str, Any]) -> Any:
        """Revoke `key`, by default the one printed at the start; with `undo` it exists again."""
        key = str(params.get("key", self._venue.keys.api_key))
        if self._venue.keys.secret_of(key) is None:
            raise ValueError("there is no such key")
        (self._venue.rights.revoked.discard if params.get("undo") else self._venue.rights.revoked.add)(key)
        return {"revoked": len(self._venue.rights.revoked)}

    def _symbol(self, params: Mapping[str, Any]) -> str:
        listings = self._venue.exchange.listings
        symbol = str(params.get("symbol", next(iter(listings))))
        if symbol not in listings:
            raise ValueError(f"symbol {symbol!r} is not listed{nearest(symbol, listings)}")
        return symbol

    def deposit(self, params: Mapping[str, Any]) -> Any:
        """Move `amount` of `asset` into the account; a negative amount withdraws."""
        asset = str(params["asset"])
        if not re.fullmatch(r"[A-Z0-9]{1,12}", asset):
            raise ValueError("asset must be the name of a coin, such as BTC")
        self._venue.exchange.move_balance(ACCOUNT, asset, _decimal(params, "amount"))
        return _balances(self._venue.exchange.accounts[ACCOUNT])

    def _is_authorized(self, request: web.Request) -> bool:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(token.encode(), self._venue.keys.admin_token.encode())

    @staticmethod
    async def _read_params(request: web.Request) -> Mapping[str, Any]:
        body = await request.read()
        params = orjson.loads(body) if body else dict(request.query)
        if not isinstance(params, dict):
            raise TypeError("the body must be a JSON object")
        return params


def is_local(request: web.Request) -> bool:
    """Whether peer and Host header are both local, which keeps out web pages that rebind DNS."""
    host = (request.host or "").rsplit(":", 1)[0]
    try:
        return ipaddress.ip_address(request.remote or "").is_loopback and host in ("127.0.0.1", "localhost", "[::1]")
    except ValueError:
        return False


def _decimal(params: Mapping[str, Any], name: str) -> Decimal:
    """A number that an account can hold: finite, below 10^15, with at most 18 decimals."""
    value = Decimal(str(params[name]))
    if not value.is_finite() or abs(value) > 10**15 or int(value.as_tuple().exponent) < -18:
        raise ValueError(f"{name} must be a number up to 10^15 with at most 18 decimals, not {str(params[name])[:40]!r}")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, InvalidOperation):
        return "a number is not one"
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value, default=str), content_type="application/json")


def _balances(account: ClientAccount) -> dict[str, dict[str, str]]:
    return {a: {"free": str(account.available(a)), "locked": str(account.total(a) - account.available(a))} for a in account.assets()}


def _order(order: ExchangeOrder) -> dict[str, Any]:
    request = order.request
    return {
        "id": order.id, "symbol": request.symbol, "client_id": request.client_id, "side": request.side, "type": request.type,
        "size": str(order.size), "filled": str(order.filled), "status": order.status,
        **{name: str(p) for name in ("stop_price", "limit_price") if (p := getattr(request, name)) is not None},
    }  # fmt: skip


def _trade(trade: Trade) -> dict[str, Any]:
    return {
        "id": trade.id, "order_id": trade.order_id, "symbol": trade.symbol, "side": trade.side, "size": str(trade.size),
        "price": str(trade.price), "fee": str(trade.fee), "fee_asset": trade.fee_asset, "at": trade.at,
    }  # fmt: skip
