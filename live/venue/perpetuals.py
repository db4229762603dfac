"""Perpetuals at each venue: what an account holds, the funding it paid, and what the venue closed by itself.

Inside this program a position is base units, as coins are, and cash is what is left of the wallet once every position is paid for at its
entry: `wallet - size * entry`. An execution changes it by `-size * price - fee`, whatever it closes, as on a spot market.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from forwardtrader.core.errors import ConfigError
from forwardtrader.core.types import MarketRules
from forwardtrader.live.venue.ccxt_client import CcxtBalance, CcxtClient, CcxtFunding, CcxtOrder, CcxtPosition, CcxtTrade
from forwardtrader.live.venue.trade_pages import cursor_in

LIQUIDATION: Final = "liquidation"
DELEVERAGING: Final = "deleveraging"
DELISTING: Final = "delisting"
_PAGE: Final = 100
_MOST_PAGES: Final = 200
_WEEK_MS: Final = 7 * 86_400_000


@dataclass(frozen=True, kw_only=True)
class FundingPayment:
    """What the account received for holding a position at a settlement; `amount` is negative where it paid. `at` in milliseconds UTC."""

    id: str
    symbol: str
    currency: str
    amount: Decimal
    at: int


@dataclass(frozen=True)
class Holdings:
    """The account: `cash` in the settle currency, as above, and base units by symbol, negative for a short."""

    cash: Decimal
    sizes: Mapping[str, Decimal]


@dataclass(frozen=True, kw_only=True)
class PerpetualTraits:
    """What is particular to one venue. Its functions raise what ccxt raises.

    Attributes:
        holdings: reads the account in one settle currency.
        forced: lists what the venue closed of one symbol by itself.
        kind_of: whether a trade that is reported is one of those, and which.
        is_forced: whether an order that is reported is the venue's own.
        received: the sign with which ccxt shows funding that was received.
        next_page: parameters of the next page of funding, from the page and the number of pages so far; None after the last.
    """

    holdings: Callable[[CcxtClient, str], Awaitable[Holdings]]
    forced: Callable[[CcxtClient, str], Awaitable[list[tuple[str, CcxtTrade]]]]
    kind_of: Callable[[CcxtTrade], str]
    is_forced: Callable[[CcxtOrder], bool]
    received: int
    next_page: Callable[[Sequence[CcxtFunding], int], Mapping[str, object] | None]

    async def funding(self, client: CcxtClient, since: int, now: int) -> list[FundingPayment]:
        """Payments from `since` (ms) on, and perhaps older ones: a venue lists a week at a time, the newest one by itself."""
        found: dict[str, FundingPayment] = {}
        for start in range(since, now - _WEEK_MS, _WEEK_MS) if since else ():
            found |= await self._pages(client, {"startTime": start, "endTime": start + _WEEK_MS - 1}, start)
        found |= await self._pages(client, {}, None)
        return sorted(found.values(), key=lambda payment: (payment.at, payment.id))

    async def _pages(self, client: CcxtClient, span: Mapping[str, object], since: int | None) -> dict[str, FundingPayment]:
        found: dict[str, FundingPayment] = {}
        more: Mapping[str, object] | None = {}
        for number in range(1, _MOST_PAGES):
            if more is None:
                break
            page = await client.fetch_funding_history(None, since, None, {"limit": _PAGE, **span, **more})
            new = {str(row.get("id")): self._payment(row) for row in page}
            if not new.keys() - found.keys():
                break
            found |= new
            more = self.next_page(page, number)
        return found

    def _payment(self, row: CcxtFunding) -> FundingPayment:
        return FundingPayment(
            id=str(row.get("id")), symbol=str(row.get("symbol")), currency=str(row.get("code")),
            amount=self.received * Decimal(str(row.get("amount") or 0)), at=int(row.get("timestamp") or 0),
        )  # fmt: skip


def traits_of(client: CcxtClient) -> PerpetualTraits:
    """What is particular to a client's venue.

    Raises:
        ConfigError: perpetuals are not traded there.
    """
    require_traded(client.id)
    return VENUES[client.id]


def require_traded(exchange: str) -> None:
    """Raise ConfigError for a venue whose perpetuals are not traded."""
    if exchange not in VENUES:
        raise ConfigError(f"perpetuals are not traded at {exchange} yet; take --exchange {' or '.join(sorted(VENUES))}, or a spot symbol")


def require_plain_contracts(rules: Iterable[MarketRules]) -> None:
    """Raise ConfigError for a perpetual whose orders would have to be counted in contracts of another size than one unit."""
    for rule in rules:
        if rule.contract_size != 1:
            raise ConfigError(
                f"a contract of {rule.symbol} is {rule.contract_size:f} {rule.base} at this venue, and real orders are sent only for "
                f"contracts of one unit; take another --exchange, or --paper"
            )


async def widest_gap(client: CcxtClient, symbols: Sequence[str], last: Callable[[str], float | None]) -> tuple[str, float] | None:
    """The symbol whose mark is farthest off its last price, and by which share of that; None where no mark is known.

    Raises what ccxt raises.
    """
    listed = await client.fetch_funding_rates(symbols)  # with the marks, in one answer
    gaps = []
    for symbol in symbols:
        mark, price = (listed.get(symbol) or {}).get("markPrice"), last(symbol)
        if mark and price:
            gaps.append((symbol, float(mark) / price - 1.0))
    return max(gaps, key=lambda found: abs(found[1]), default=None)


async def _bybit_holdings(client: CcxtClient, settle: str) -> Holdings:
    held = await client.fetch_positions(None, {"settleCoin": settle})
    wallet = _total(await client.fetch_balance(), settle)
    sizes: dict[str, Decimal] = {}
    cash = wallet
    for position in held:
        symbol, size = str(position.get("symbol")), _signed(position)
        sizes[symbol] = sizes.get(symbol, Decimal(0)) + size
        cash -= size * Decimal(str(position.get("entryPrice") or 0))
    return Holdings(cash, sizes)


async def _binance_holdings(client: CcxtClient, settle: str) -> Holdings:
    """One answer has both: what the positions are worth, and the margin balance with it."""
    balance = await client.fetch_balance()
    info: Any = balance.get("info")
    symbols = {str(market["id"]): symbol for symbol, market in client.markets.items() if market.get("settle") == settle}
    sizes: dict[str, Decimal] = {}
    cash = _total(balance, settle)
    for row in info.get("positions", ()) if isinstance(info, Mapping) else ():
        symbol = symbols.get(str(row.get("symbol")))
        if symbol is not None:
            sizes[symbol] = sizes.get(symbol, Decimal(0)) + Decimal(str(row.get("positionAmt") or 0))
            cash -= Decimal(str(row.get("notional") or 0))
    return Holdings(cash, {symbol: size for symbol, size in sizes.items() if size})


async def _bybit_forced(client: CcxtClient, symbol: str) -> list[tuple[str, CcxtTrade]]:
    found = []
    for kind, name in _BYBIT_KINDS.items():
        more: Mapping[str, object] | None = {}
        for _ in range(_MOST_PAGES):
            page = await client.fetch_my_trades(symbol, None, _PAGE, {"execType": kind, **(more or {})})
            found += [(name, trade) for trade in page]
            if (more := _bybit_page(page, 0)) is None:
                break
    return found


async def _binance_forced(client: CcxtClient, symbol: str) -> list[tuple[str, CcxtTrade]]:
    found = []
    for kind, name in (("LIQUIDATION", LIQUIDATION), ("ADL", DELEVERAGING)):
        for order in await client.fetch_my_liquidations(symbol, None, _PAGE, {"autoCloseType": kind}):
            info: Any = order.get("info")
            trades = await client.fetch_my_trades(symbol, None, _PAGE, {"orderId": str(info["orderId"])})
            found += [(name, trade) for trade in trades]
    for ended in await client.fetch_orders(symbol, None, None, {}):  # the newest; in no list of what the venue closed
        if str(ended.get("clientOrderId") or "").startswith(_SETTLED):
            trades = await client.fetch_my_trades(symbol, None, _PAGE, {"orderId": str(ended.get("id"))})
            found += [(DELISTING, trade) for trade in trades]
    return found


_BYBIT_KINDS: Final = {"BustTrade": LIQUIDATION, "AdlTrade": DELEVERAGING, "Delivery": DELISTING}
_SETTLED: Final = "settlement_autoclose"
_BINANCE_KINDS: Final = {"autoclose-": LIQUIDATION, "adl_autoclose": DELEVERAGING, _SETTLED: DELISTING}


def _bybit_kind(trade: CcxtTrade) -> str:
    info: Any = trade.get("info")
    return _BYBIT_KINDS.get(str(info.get("execType")), "") if isinstance(info, Mapping) else ""


def _binance_kind(trade: CcxtTrade) -> str:
    info: Any = trade.get("info")
    name = str(info.get("c") or "") if isinstance(info, Mapping) else ""
    return next((kind for start, kind in _BINANCE_KINDS.items() if name.startswith(start)), "")


def _bybit_made(order: CcxtOrder) -> bool:
    info: Any = order.get("info")
    return isinstance(info, Mapping) and str(info.get("createType", "")).startswith(("CreateByLiq", "CreateByAdl", "CreateBySettle"))


def _binance_made(order: CcxtOrder) -> bool:
    return str(order.get("clientOrderId") or "").startswith(tuple(_BINANCE_KINDS))


def _bybit_page(page: Sequence[CcxtFunding] | Sequence[CcxtTrade], _number: int) -> Mapping[str, object] | None:
    cursor = cursor_in(page, "nextPageCursor")
    return {"cursor": cursor} if cursor else None


def _binance_page(page: Sequence[CcxtFunding], number: int) -> Mapping[str, object] | None:
    return {"page": number + 1} if len(page) >= _PAGE else None


def _total(balance: CcxtBalance, currency: str) -> Decimal:
    return Decimal(str((balance.get("total") or {}).get(currency) or 0))


def _signed(position: CcxtPosition) -> Decimal:
    units = Decimal(str(position.get("contracts") or 0)) * Decimal(str(position.get("contractSize") or 1))
    return -units if position.get("side") == "short" else units


_BYBIT: Final = PerpetualTraits(
    holdings=_bybit_holdings, forced=_bybit_forced, kind_of=_bybit_kind, is_forced=_bybit_made, received=-1, next_page=_bybit_page
)
_BINANCE: Final = PerpetualTraits(
    holdings=_binance_holdings, forced=_binance_forced, kind_of=_binance_kind, is_forced=_binance_made, received=1, next_page=_binance_page
)
# Those whose perpetuals the practice exchange has.
VENUES: Final = {"binance": _BINANCE, "binanceusdm": _BINANCE, "bybit": _BYBIT}
