"""Request handlers of Binance USD-M's account: balance, positions, leverage, modes, funding and what the venue closed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from forwardtrader.sandbox.binance import errors as codes
from forwardtrader.sandbox.binance.format import ident, number
from forwardtrader.sandbox.binance.handlers import within
from forwardtrader.sandbox.binance.params import Params
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.margin import maintenance, unrealised
from forwardtrader.sandbox.faults.read_lags import AccountReads
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ZERO, Origin
from forwardtrader.sandbox.usdm import errors
from forwardtrader.sandbox.usdm import format as form
from forwardtrader.sandbox.usdm.errors import translated
from forwardtrader.sandbox.usdm.handlers import UsdmHandlers, week
from forwardtrader.sandbox.venue import ACCOUNT

_ORIGINS: Final = {"LIQUIDATION": Origin.LIQUIDATION, "ADL": Origin.DELEVERAGING}


class UsdmPositions:
    """Every method raises ApiError as the venue would."""

    def __init__(self, handlers: UsdmHandlers, reads: AccountReads) -> None:
        self._handlers = handlers
        self._venue = handlers.venue
        self._reads = reads
        self._countdowns: dict[str, int] = {}  # by symbol: the number of the countdown that holds

    def account(self, params: Params) -> Any:
        """The answer of `account`, version 3: what is held, and every balance in a settle currency."""
        account, at = self._reads.account(), self._venue.market_clock()
        settles = sorted({self._rules(symbol).settle for symbol in self._handlers.symbols.values()})
        held = [(self._listing(symbol), position) for symbol, position in account.positions.items() if position.size]
        return {
            "assets": [self._asset(account, currency, at) for currency in settles],
            "positions": [self._position(account, listing, position, at) for listing, position in held],
        }

    def risk(self, params: Params) -> Any:
        """The answer of `positionRisk`, version 3: what is held."""
        wanted, account, at = params.text("symbol"), self._reads.account(), self._venue.market_clock()
        chosen = [self._handlers.symbol(wanted)] if wanted else list(self._handlers.symbols.values())
        held = [(self._listing(s), account.positions[s]) for s in chosen if s in account.positions and account.positions[s].size]
        return [
            self._position(account, listing, position, at)
            | {
                "entryPrice": number(position.entry), "breakEvenPrice": number(position.entry), "markPrice": number(listing.mark),
                "unRealizedProfit": number(unrealised(position, listing.mark)), "liquidationPrice": "0",
                "marginAsset": listing.rules.settle, "adl": 0, "bidNotional": "0", "askNotional": "0",
            }
            for listing, position in held
        ]  # fmt: skip

    def symbol_config(self, params: Params) -> Any:
        """Margin mode and leverage of symbols."""
        wanted = params.text("symbol")
        chosen = [self._handlers.symbol(wanted)] if wanted else list(self._handlers.symbols.values())
        return [
            {"symbol": ident(s), "marginType": self._margin_type, "isAutoAddMargin": False, "leverage": int(self._leverage(s)),
             "maxNotionalValue": number(self._rules(s).margin_tiers[-1].notional_from)}
            for s in chosen
        ]  # fmt: skip

    def account_config(self, params: Params) -> Any:
        return {
            "feeTier": 0, "canTrade": self._venue.rights.trading, "canDeposit": True, "canWithdraw": True,
            "dualSidePosition": self._account.mode.hedged, "updateTime": 0, "multiAssetsMargin": False, "tradeGroupId": -1,
        }  # fmt: skip

    def set_leverage(self, params: Params) -> Any:
        symbol = self._handlers.symbol(params.needed("symbol"))
        leverage = params.integer("leverage")
        if leverage is None:
            raise codes.missing("leverage")
        translated(lambda: self._venue.margin.set_leverage(self._account, symbol, Decimal(leverage)))
        return {"leverage": leverage, "maxNotionalValue": "1000000", "symbol": ident(symbol)}

    def set_margin_type(self, params: Params) -> Any:
        """The practice account has one margin mode for all symbols."""
        self._handlers.symbol(params.needed("symbol"))
        wanted = params.needed("marginType")
        if wanted not in ("CROSSED", "ISOLATED"):
            raise codes.invalid_data("marginType")
        if wanted == self._margin_type:
            raise errors.MARGIN_UNCHANGED
        self._account.mode.isolated = wanted == "ISOLATED"
        return {"code": 200, "msg": "success"}

    def mode(self, params: Params) -> Any:
        return {"dualSidePosition": self._account.mode.hedged}

    def set_mode(self, params: Params) -> Any:
        wanted = params.needed("dualSidePosition").lower() == "true"
        if wanted is self._account.mode.hedged:
            raise errors.MODE_UNCHANGED
        if self._venue.exchange.order_index.all_open(ACCOUNT):
            raise errors.ORDERS_IN_USE
        if any(position.size for position in self._account.positions.values()):
            raise errors.MODE_IN_USE
        self._account.mode.hedged = wanted
        return {"code": 200, "msg": "success"}

    def income(self, params: Params) -> Any:
        """Funding, oldest first, page by page; without times that of the last seven days."""
        kind, limit = params.text("incomeType"), min(params.integer("limit") or 100, 1000)
        wanted, number_of = params.text("symbol"), params.integer("page") or 1
        symbol = self._handlers.symbol(wanted) if wanted else None
        start, end = week(params)
        if start is None and end is None:
            start = self._venue.market_clock() - 7 * 86_400_000
        paid = [_income(n, f) for n, f in enumerate(self._venue.exchange.payments, 1) if symbol in (None, f.symbol)]
        chosen = [row for row in paid if within(row["time"], start, end) and kind in (None, "FUNDING_FEE")]
        return chosen[(number_of - 1) * limit : number_of * limit]

    def force_orders(self, params: Params) -> Any:
        """What the venue closed, newest first."""
        wanted, kind = params.text("symbol"), params.text("autoCloseType")
        start, end = params.integer("startTime"), params.integer("endTime")
        if kind is not None and kind not in _ORIGINS:
            raise codes.invalid_data("autoCloseType")
        origins = [_ORIGINS[kind]] if kind else list(_ORIGINS.values())
        found = [o for o in self._reads.orders() if o.request.origin in origins and within(o.placed_at, start, end)]
        found = [o for o in found if wanted in (None, ident(o.request.symbol))]
        return [form.order_queried(order) for order in reversed(found)][: min(params.integer("limit") or 50, 100)]

    def countdown(self, params: Params) -> Any:
        """The dead man's switch: orders of a symbol are cancelled unless it is called again in time; 0 ends it."""
        symbol, left = self._handlers.symbol(params.needed("symbol")), params.integer("countdownTime")
        if left is None:
            raise codes.missing("countdownTime")
        run = self._countdowns[symbol] = self._countdowns.get(symbol, 0) + 1
        if left:
            self._venue.host.later(left / 1000, lambda: self._run_out(symbol, run))
        return {"symbol": ident(symbol), "countdownTime": str(left)}

    # Shared with the user stream

    def balance_update(self, currency: str, change: Decimal = ZERO) -> form.Payload:
        balance = number(self._account.total(currency))
        return {"a": currency, "wb": balance, "cw": balance, "bc": number(change)}

    def position_update(self, symbol: str) -> form.Payload:
        held, listing = self._account.position(symbol), self._listing(symbol)
        return {
            "s": ident(symbol), "pa": number(held.size), "ep": number(held.entry), "bep": number(held.entry), "cr": number(held.realised),
            "up": number(unrealised(held, listing.mark)), "mt": "isolated" if self._account.mode.isolated else "cross", "iw": "0",
            "ps": "BOTH",
        }  # fmt: skip

    def _run_out(self, symbol: str, run: int) -> None:
        if self._countdowns.get(symbol) == run:
            self._handlers.take_off(symbol, _anything)

    @property
    def _account(self) -> ClientAccount:
        return self._venue.exchange.accounts[ACCOUNT]

    @property
    def _margin_type(self) -> str:
        return "ISOLATED" if self._account.mode.isolated else "CROSSED"

    def _listing(self, symbol: str) -> Listing:
        return self._venue.exchange.listings[symbol]

    def _rules(self, symbol: str) -> Any:
        return self._listing(symbol).rules

    def _leverage(self, symbol: str) -> Decimal:
        return self._venue.margin.leverage(self._account, symbol)

    def _asset(self, account: ClientAccount, currency: str, at: int) -> form.Payload:
        margin, wallet = self._venue.margin, account.total(currency)
        floating, tied = margin.floating(account, currency), margin.initial(account, currency)
        locked = account.locked.get(currency, ZERO)
        free = number(max(account.available(currency), ZERO))
        return {
            "asset": currency, "walletBalance": number(wallet), "unrealizedProfit": number(floating),
            "marginBalance": number(wallet + floating), "maintMargin": number(margin.maintenance(account, currency)),
            "initialMargin": number(tied + locked), "positionInitialMargin": number(tied), "openOrderInitialMargin": number(locked),
            "crossWalletBalance": number(wallet), "crossUnPnl": number(floating), "availableBalance": free, "maxWithdrawAmount": free,
            "updateTime": at,
        }  # fmt: skip

    def _position(self, account: ClientAccount, listing: Listing, held: PerpetualPosition, at: int) -> form.Payload:
        mark, symbol = listing.mark, listing.rules.symbol
        tied = number(abs(held.size) * mark / self._venue.margin.leverage(account, symbol))
        return {
            "symbol": ident(symbol), "positionSide": "BOTH", "positionAmt": number(held.size),
            "unrealizedProfit": number(unrealised(held, mark)), "isolatedMargin": "0", "notional": number(held.size * mark),
            "isolatedWallet": "0", "initialMargin": tied, "positionInitialMargin": tied, "openOrderInitialMargin": "0",
            "maintMargin": number(maintenance(listing.rules, abs(held.size), mark)), "updateTime": at,
        }  # fmt: skip


def _income(number_of: int, fact: Funded) -> form.Payload:
    return {
        "symbol": ident(fact.symbol), "incomeType": "FUNDING_FEE", "income": number(fact.received), "asset": fact.symbol.partition(":")[2],
        "info": "FUNDING_FEE", "time": fact.at, "tranId": 9_000_000_000 + number_of, "tradeId": "",
    }  # fmt: skip


def _anything(_order: object) -> bool:
    return True
