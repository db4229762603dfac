"""Bybit's positions: leverage, modes, margin and funding of linear perpetuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from forwardtrader.core.types import MarginTier
from forwardtrader.sandbox.bybit.errors import BybitError, bad, refused
from forwardtrader.sandbox.bybit.format import Payload, ident, number, rounded
from forwardtrader.sandbox.bybit.params import decimal, integer, text
from forwardtrader.sandbox.engine.events import Funded
from forwardtrader.sandbox.engine.margin import maintenance, unrealised
from forwardtrader.sandbox.faults.read_lags import AccountReads
from forwardtrader.sandbox.orders.account import ClientAccount, PerpetualPosition
from forwardtrader.sandbox.orders.listing import Listing
from forwardtrader.sandbox.orders.order import ZERO
from forwardtrader.sandbox.orders.refusal import OrderRefused
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue

ONE_WAY: Final = 0
BOTH_SIDES: Final = 3
NOT_MODIFIED: Final = BybitError(110043, "Set leverage not modified")
MODE_NOT_MODIFIED: Final = BybitError(110025, "Position mode is not modified")
MODE_IN_USE: Final = BybitError(110024, "You have an existing position, so position mode cannot be switched")


class BybitPositions:
    """Queries and settings of the account's positions; every method returns the `result` part or raises BybitError.

    Args:
        symbols: the perpetuals by Bybit's name.
    """

    def __init__(self, venue: SandboxVenue, symbols: Mapping[str, str], reads: AccountReads) -> None:
        self._venue = venue
        self._exchange = venue.exchange
        self._symbols = symbols
        self._reads = reads

    def listed(self, params: Mapping[str, Any]) -> Any:
        """Those that are held; of a symbol that is named also the empty ones."""
        account = self._reads.account()
        wanted = self._symbol(params) if params.get("symbol") else None
        chosen = [wanted] if wanted else [s for s in account.positions if account.positions[s].size]
        rows = [row for symbol in chosen for row in self._rows(symbol, account)]
        return {"category": "linear", "list": rows, "nextPageCursor": ""}

    def payload(self, symbol: str) -> Payload:
        """The position as it is now."""
        return self._rows(symbol, self._account)[0]

    def set_leverage(self, params: Mapping[str, Any]) -> Any:
        symbol, buy, sell = self._symbol(params), decimal(params, "buyLeverage"), decimal(params, "sellLeverage")
        if buy is None or buy != sell:
            raise bad("buyLeverage and sellLeverage must be equal in one-way mode")
        if buy == self._venue.margin.leverage(self._account, symbol):
            raise NOT_MODIFIED
        self._carried_out(lambda: self._venue.margin.set_leverage(self._account, symbol, buy))
        return {}

    def switch_mode(self, params: Mapping[str, Any]) -> Any:
        """One-way or hedge mode, for all perpetuals."""
        mode = integer(params, "mode")
        if mode not in (ONE_WAY, BOTH_SIDES):
            raise bad("mode invalid")
        if self._account.mode.hedged is (mode == BOTH_SIDES):
            raise MODE_NOT_MODIFIED
        if any(position.size for position in self._account.positions.values()) or self._exchange.order_index.all_open(ACCOUNT):
            raise MODE_IN_USE
        self._account.mode.hedged = mode == BOTH_SIDES
        return {}

    def set_margin_mode(self, params: Mapping[str, Any]) -> Any:
        mode = text(params, "setMarginMode")
        if mode not in ("REGULAR_MARGIN", "ISOLATED_MARGIN"):
            raise bad("setMarginMode invalid")
        self._account.mode.isolated = mode == "ISOLATED_MARGIN"
        return {"reasons": []}

    def risk_limits(self, params: Mapping[str, Any]) -> Any:
        tiers = self._exchange.listings[self._symbol(params)].rules.margin_tiers
        return {
            "category": "linear",
            "list": [_risk_limit(str(params["symbol"]), n, tiers) for n in range(len(tiers))],
            "nextPageCursor": "",
        }

    def funding_history(self, params: Mapping[str, Any]) -> Any:
        """The rates of the past, newest first."""
        symbol, now = self._symbol(params), self._venue.market_clock()
        start, end = integer(params, "startTime"), integer(params, "endTime")
        if start is not None and end is None:
            raise bad("startTime without endTime")
        began = self._exchange.listings[symbol].candles.closed[0].start
        rates = self._venue.funding.rates[symbol].between(max(began, start or 0) - 1, min(now, end if end is not None else now))
        newest = list(reversed(rates))[: min(integer(params, "limit") or 200, 200)]
        rows = [{"symbol": ident(symbol), "fundingRate": number(rate), "fundingRateTimestamp": str(at)} for at, rate in newest]
        return {"category": "linear", "list": rows}

    @property
    def _account(self) -> ClientAccount:
        return self._exchange.accounts[ACCOUNT]

    def _rows(self, symbol: str, account: ClientAccount) -> list[Payload]:
        listing, held = self._exchange.listings[symbol], account.position(symbol)
        leverage = self._venue.margin.leverage(account, symbol)
        row = position(listing, held, number(leverage), self._venue.market_clock())
        tied = abs(held.size) * listing.mark / leverage
        row |= {"positionIM": number(rounded(tied)), "positionBalance": number(rounded(tied))}
        return [row | {"positionIdx": side} for side in (1, 2)] if account.mode.hedged else [row]

    def _symbol(self, params: Mapping[str, Any]) -> str:
        name = text(params, "symbol")
        if name not in self._symbols:
            raise bad("Not supported symbols")
        return self._symbols[name]

    @staticmethod
    def _carried_out(act: Any) -> None:
        try:
            act()
        except OrderRefused as refusal:
            raise refused(refusal.reason, linear=True) from refusal


def position(listing: Listing, held: PerpetualPosition, leverage: str, at: int) -> Payload:
    """One position, as in responses and on the `position` topic, without its initial margin."""
    size, mark = abs(held.size), listing.mark
    return {
        "category": "linear",
        "symbol": ident(listing.rules.symbol),
        "positionIdx": 0,
        "riskId": 1,
        "riskLimitValue": number(listing.rules.margin_tiers[-1].notional_from),
        "side": "Buy" if held.size > 0 else "Sell" if held.size < 0 else "",
        "size": number(size),
        "avgPrice": number(rounded(held.entry)),
        "entryPrice": number(rounded(held.entry)),
        "positionValue": number(rounded(size * held.entry)),
        "tradeMode": 0,
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": leverage,
        "markPrice": number(mark),
        "liqPrice": "",
        "bustPrice": "",
        "positionMM": number(rounded(maintenance(listing.rules, size, mark))),
        "takeProfit": "",
        "stopLoss": "",
        "trailingStop": "0",
        "unrealisedPnl": number(rounded(unrealised(held, mark))),
        "curRealisedPnl": number(held.realised + held.funding),
        "cumRealisedPnl": number(held.realised + held.funding),
        "adlRankIndicator": 0,
        "isReduceOnly": False,
        "createdTime": str(at),
        "updatedTime": str(at),
        "seq": at,
    }


def funding_execution(fact: Funded) -> Payload:
    """A funding settlement as an execution; `execFee` is the amount paid."""
    return {
        "category": "linear", "symbol": ident(fact.symbol), "side": "Buy" if fact.size > 0 else "Sell", "execType": "Funding",
        "execQty": number(abs(fact.size)), "execPrice": number(fact.mark), "execValue": number(abs(fact.size) * fact.mark),
        "execFee": number(-fact.received or ZERO), "feeCurrency": "", "feeRate": number(fact.rate), "execTime": str(fact.at),
        "execId": f"funding-{ident(fact.symbol)}-{fact.at}", "orderId": "", "orderLinkId": "", "isMaker": False, "seq": fact.at,
        "orderType": "UNKNOWN", "createType": "", "orderQty": "0", "orderPrice": "0", "leavesQty": "0", "markPrice": number(fact.mark),
    }  # fmt: skip


def _risk_limit(name: str, number_of: int, tiers: tuple[MarginTier, ...]) -> Payload:
    tier, ends = tiers[number_of], tiers[number_of + 1].notional_from if number_of + 1 < len(tiers) else 10 * tiers[-1].notional_from
    return {
        "id": number_of + 1, "symbol": name, "riskLimitValue": number(ends or tiers[-1].notional_from or tier.max_leverage * 10**9),
        "maintenanceMargin": number(tier.maintenance_rate), "initialMargin": number(rounded(1 / tier.max_leverage)),
        "isLowestRisk": int(number_of == 0), "maxLeverage": number(tier.max_leverage), "mmDeduction": number(tier.maintenance_amount),
    }  # fmt: skip
