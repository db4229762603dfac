"""The part of a `ccxt.pro` client that trades, as types; ccxt itself has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypedDict

CcxtNumber: TypeAlias = float | str | None


class CcxtFee(TypedDict, total=False):
    """The fee of a trade."""

    cost: CcxtNumber
    currency: str | None


class CcxtTrade(TypedDict, total=False):
    """ccxt's unified trade; times in milliseconds UTC. Any key may be missing or None."""

    id: str | None
    order: str | None
    clientOrderId: str | None
    symbol: str | None
    side: str | None
    amount: CcxtNumber
    price: CcxtNumber
    fee: CcxtFee | None
    timestamp: int | None
    info: object


class CcxtOrder(TypedDict, total=False):
    """ccxt's unified order; times in milliseconds UTC. Any key may be missing or None."""

    id: str | None
    clientOrderId: str | None
    symbol: str | None
    side: str | None
    type: str | None
    status: str | None
    amount: CcxtNumber
    filled: CcxtNumber
    price: CcxtNumber
    average: CcxtNumber
    stopPrice: CcxtNumber
    triggerPrice: CcxtNumber
    stopLossPrice: CcxtNumber
    takeProfitPrice: CcxtNumber
    timestamp: int | None
    lastTradeTimestamp: int | None
    trades: Sequence[CcxtTrade] | None
    info: object


class CcxtBalance(TypedDict, total=False):
    """ccxt's unified balance."""

    total: Mapping[str, CcxtNumber] | None
    info: object


class CcxtPosition(TypedDict, total=False):
    """ccxt's unified position; `contracts` is positive, `side` long or short."""

    symbol: str | None
    side: str | None
    contracts: CcxtNumber
    contractSize: CcxtNumber
    entryPrice: CcxtNumber
    info: object


class CcxtFunding(TypedDict, total=False):
    """ccxt's unified funding payment; the sign of its amount is the venue's own."""

    id: str | None
    symbol: str | None
    code: str | None
    amount: CcxtNumber
    timestamp: int | None
    info: object


class CcxtLiquidation(TypedDict, total=False):
    """ccxt's unified liquidation."""

    info: object


class CcxtBook(TypedDict, total=False):
    """ccxt's unified order book: price and size of each level, best first."""

    bids: Sequence[Sequence[float]]
    asks: Sequence[Sequence[float]]


class CcxtClient(Protocol):
    """A client of one account. Every method sends requests, except for `watch_*`, which wait for the next message of a socket.

    Attributes:
        requests_sent: how many so far.
        trades_perpetuals: whether it trades linear perpetuals, not spot.
    """

    id: str
    apiKey: str  # noqa: N815 - as below
    has: Mapping[str, object]
    markets: Mapping[str, dict[str, Any]]
    precisionMode: int  # noqa: N815 - the name that ccxt gives it
    last_response_headers: Mapping[str, str] | None
    requests_sent: int
    trades_perpetuals: bool

    def milliseconds(self) -> int: ...

    async def load_markets(self, reload: bool = False) -> object: ...

    def set_markets_from_exchange(self, other: object, /) -> object: ...

    async def load_time_difference(self) -> object: ...

    async def create_order(
        self, symbol: str, kind: str, side: str, amount: float, price: float | None, params: Mapping[str, object], /
    ) -> CcxtOrder: ...

    async def cancel_order(self, venue_id: str | None, symbol: str, params: Mapping[str, object], /) -> CcxtOrder: ...

    async def fetch_order(self, venue_id: str | None, symbol: str, params: Mapping[str, object], /) -> CcxtOrder: ...

    async def fetch_open_orders(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtOrder]: ...

    async def fetch_my_trades(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtTrade]: ...

    async def fetch_orders(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtOrder]: ...

    async def fetch_closed_orders(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtOrder]: ...

    async def fetch_canceled_and_closed_orders(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtOrder]: ...

    async def fetch_balance(self) -> CcxtBalance: ...

    async def fetch_positions(self, symbols: Sequence[str] | None, params: Mapping[str, object], /) -> Sequence[CcxtPosition]: ...

    async def fetch_position_mode(self, symbol: str, /) -> Mapping[str, object]: ...

    async def fetch_margin_mode(self, symbol: str, /) -> Mapping[str, object]: ...

    async def fetch_leverage(self, symbol: str, /) -> Mapping[str, object]: ...

    async def set_leverage(self, leverage: float, symbol: str, /) -> object: ...

    async def fetch_funding_history(
        self, symbol: str | None, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtFunding]: ...

    async def fetch_funding_rates(self, symbols: Sequence[str], /) -> Mapping[str, Mapping[str, CcxtNumber]]: ...

    async def fetch_my_liquidations(
        self, symbol: str, since: int | None, limit: int | None, params: Mapping[str, object], /
    ) -> Sequence[CcxtLiquidation]: ...

    async def fetch_order_book(self, symbol: str, limit: int, /) -> CcxtBook: ...

    async def fetch_time(self) -> int: ...

    async def watch_my_trades(self) -> Sequence[CcxtTrade]: ...

    async def watch_orders(self) -> Sequence[CcxtOrder]: ...

    async def close(self) -> None: ...
