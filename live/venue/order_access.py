"""How each venue finds, cancels and lists orders by client id. ccxt unifies their creation, not their lookup."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeAlias

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.venue import trade_pages
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade
from forwardtrader.live.venue.ccxt_errors import names_of
from forwardtrader.live.venue.trade_pages import TradePages

Params: TypeAlias = Mapping[str, object]
_CUT: Final = 50  # entries from which on a list that is searched may be one page of a longer one
_FORM: Final = r"[A-Za-z0-9_-]{1,36}"
_FULL: Final[Params] = {"limit": 50}  # Bybit's largest page of orders; twenty are its usual one
STOPS: Final[Params] = {"trigger": True}  # how ccxt is asked for what is in a service for stops


@dataclass(frozen=True, kw_only=True)
class OrderKey:
    """What an order of ours is found by.

    Attributes:
        side: "buy" or "sell".
        since: milliseconds UTC before which it was not sent; 0 where that is not known.
    """

    client_id: str
    symbol: str
    side: str = ""
    is_stop: bool = False
    since: int = 0


class AmbiguousOrder(Exception):
    """The venue lists an order without a client id that may be the one in question: only a person can tell."""


class OrderNotFound(LookupError):
    """As ccxt's, for a venue that cancels by its own ids and does not know the order."""


class Lookup(Protocol):
    """One venue's way to find an order by client id; None where the venue does not know it. Raises what ccxt raises."""

    async def __call__(self, client: CcxtClient, key: OrderKey) -> CcxtOrder | None: ...


@dataclass(frozen=True)
class ByQuery:
    """The venue has a query by client id.

    Attributes:
        name: of the parameter.
    """

    name: str = "clientOrderId"

    async def __call__(self, client: CcxtClient, key: OrderKey) -> CcxtOrder | None:
        return await client.fetch_order(None, key.symbol, {self.name: key.client_id})


@dataclass(frozen=True)
class ByEitherQuery:
    """The venue keeps stops in a service of their own; one that the market has reached is an order like others, under another id.

    Attributes:
        name: of the parameter that queries other orders.
        became: key of the id of that order in the raw form of a stop; its value is empty as long as there is none.
    """

    name: str
    became: str

    async def __call__(self, client: CcxtClient, key: OrderKey) -> CcxtOrder | None:
        if not key.is_stop:
            return await client.fetch_order(None, key.symbol, {self.name: key.client_id})
        stop = await client.fetch_order(None, key.symbol, {"clientOrderId": key.client_id, **STOPS})
        number = successor_of(stop, self.became)
        return {**await client.fetch_order(number, key.symbol, {}), "clientOrderId": key.client_id} if number else stop


def successor_of(stop: CcxtOrder, became: str) -> str:
    """The id of the order that a stop of such a service has become; "" for one that waits, or was taken back."""
    info = stop.get("info")
    number = str(info.get(became) or "") if isinstance(info, Mapping) else ""
    return "" if number == "0" else number


@dataclass(frozen=True)
class ByLists:
    """The venue's lists of open and of past orders can be restricted to a client id.

    Attributes:
        name: of that parameter.
        past: ccxt's name of the list of past orders.
        start: parameter for the beginning of the past list where it holds the newest days only; "" where it holds them all.
    """

    name: str
    past: str
    start: str = ""

    async def __call__(self, client: CcxtClient, key: OrderKey) -> CcxtOrder | None:
        named = {self.name: key.client_id}
        requests: list[tuple[str, Params]] = [("fetch_open_orders", named), (self.past, named)]
        if self.start and key.since:
            requests.append((self.past, {**named, self.start: key.since}))
        for method, params in requests:
            found = [o for o in await _listed(client, method, key.symbol, params) if o.get("clientOrderId") == key.client_id]
            if found:
                return max(found, key=lambda order: int(order.get("timestamp") or 0))
        return None


@dataclass(frozen=True)
class BySearch:
    """The venue's lists cannot be restricted: they are searched. An order without client id that could be ours leaves it open.

    Attributes:
        lists: ccxt's names of the lists, which together hold every order.
    """

    lists: tuple[str, ...]

    async def __call__(self, client: CcxtClient, key: OrderKey) -> CcxtOrder | None:
        pages = [await _listed(client, method, key.symbol, {}, since=key.since or None) for method in self.lists]
        found = match([order for page in pages for order in page], key)
        if found is None and any(len(page) >= _CUT for page in pages):
            raise AmbiguousOrder(f"the venue's list of orders may be cut off before order {key.client_id}")
        return found


def match(orders: Sequence[CcxtOrder], key: OrderKey) -> CcxtOrder | None:
    """The order of that client id in a list that holds every order sent since `key.since`.

    Raises:
        AmbiguousOrder: it is not there, but an order of its side has no client id.
    """
    for order in orders:
        if order.get("clientOrderId") == key.client_id:
            return order
    if any(not order.get("clientOrderId") and order.get("side") in (key.side, None) for order in orders):
        raise AmbiguousOrder(f"the venue lists a {key.side} order without client id, which may be order {key.client_id}")
    return None


def _no_more(_page: Sequence[CcxtOrder]) -> None:
    return None


@dataclass(frozen=True, kw_only=True)
class VenueTraits:
    """What is particular to one venue.

    Attributes:
        cancel: parameter by which it cancels by client id; "" where it cancels by its own id only.
        cancel_kinds: further parameters to cancel a stop with, tried in this order; the last of them cancels other orders.
        trades: how executions of an order are listed to the end.
        client_id: pattern of the client ids that it takes.
        has_stops: whether stops are found and cancelled as other orders are.
        has_directions: whether a stop is sent with the direction in which the market reaches it; ccxt would take it for one that only
            reduces a position otherwise.
        by_id: parameters of ccxt's query by the venue's own id.
        successor: where stops are kept in a service of their own: key, in the raw form of one, of the id of the order that it has become.
        first_page, next_page: parameters of the list of open orders, and of its next page after one; None after the last.
    """

    lookup: Lookup
    cancel: str = "clientOrderId"
    cancel_kinds: tuple[Params, ...] = ({},)
    trades: TradePages = trade_pages.NEWEST
    client_id: str = _FORM
    has_stops: bool = True
    has_directions: bool = False
    by_id: Params = field(default_factory=dict)
    successor: str = ""
    first_page: Params = field(default_factory=dict)
    next_page: Callable[[Sequence[CcxtOrder]], Params | None] = _no_more


@dataclass(frozen=True)
class OrderAccess:
    """Orders of one account, found by client id. Raises (methods that query) what ccxt raises."""

    client: CcxtClient
    traits: VenueTraits

    def objection(self, key: OrderKey) -> str:
        """Why an order cannot be sent since it could not be found again; "" for one that can."""
        if key.is_stop and not self.traits.has_stops:
            return f"{self.client.id} keeps stops in a list of their own, where they are not looked up: the order was not sent"
        if not re.fullmatch(self.traits.client_id, key.client_id):
            return f"{self.client.id} does not take the client id {key.client_id}: the order was not sent"
        return ""

    async def find(self, key: OrderKey) -> CcxtOrder | None:
        """The order as the venue knows it; None where it does not."""
        try:
            return await self.traits.lookup(self.client, key)
        except Exception as error:
            if "OrderNotFound" in names_of(error):
                return None
            raise

    async def of_venue_id(self, symbol: str, venue_id: str) -> CcxtOrder:
        """The order that the venue has under an id of its own."""
        return await self.client.fetch_order(venue_id, symbol, self.traits.by_id)

    async def cancel(self, key: OrderKey) -> CcxtOrder:
        """Cancel an order. Raises ccxt's OrderNotFound where there is nothing left to cancel."""
        attempts = self.traits.cancel_kinds[0 if key.is_stop else -1 :]
        for params in attempts[:-1]:
            try:
                answer = await self._cancel(key, params)
                return (await self.find(key) or answer) if self.traits.successor else answer  # which does not say what became of the stop
            except Exception as error:
                if "OrderNotFound" not in names_of(error):
                    raise
        return await self._cancel(key, attempts[-1])

    async def resting(self, symbol: str) -> list[CcxtOrder]:
        """Every order that rests, stops included, page by page."""
        found: list[CcxtOrder] = list(await self.client.fetch_open_orders(symbol, None, None, STOPS)) if self.traits.successor else []
        following: Params | None = self.traits.first_page
        while following is not None:
            page = await self.client.fetch_open_orders(symbol, None, None, following)
            found += page
            following = self.traits.next_page(page)
        return found

    async def trades_of(self, symbol: str, venue_id: str) -> list[CcxtTrade]:
        """Every execution of one order, to the end of the venue's list."""
        return await self.traits.trades.of_order(self.client, symbol, venue_id)

    async def _cancel(self, key: OrderKey, params: Params) -> CcxtOrder:
        if self.traits.cancel:
            return await self.client.cancel_order(None, key.symbol, {self.traits.cancel: key.client_id, **params})
        order = await self.find(key)
        if order is None or not order.get("id"):
            raise OrderNotFound(f"the venue does not know order {key.client_id}")
        return await self.client.cancel_order(str(order["id"]), key.symbol, params)


def access_of(client: CcxtClient) -> OrderAccess:
    """Access to the orders of a client's account.

    Raises:
        ConfigError: orders cannot be found again at this venue, so that none may be sent.
    """
    found = (PERPETUALS if client.trades_perpetuals else VENUES).get(client.id)
    return OrderAccess(client, found or _generic(client))


def _generic(client: CcxtClient) -> VenueTraits:
    past = "fetch_orders" if client.has.get("fetchOrders") is True else "fetch_closed_orders"
    lists = ("fetchOpenOrders", "fetchOrders" if past == "fetch_orders" else "fetchClosedOrders", "fetchMyTrades")
    if not all(client.has.get(name) is True for name in lists):
        raise ConfigError(f"{client.id} cannot be asked what became of an order, so none is sent there; trade at another --exchange")
    canceled = ("fetch_canceled_orders",) if client.has.get("fetchCanceledOrders") is True else ()
    return VenueTraits(lookup=BySearch(("fetch_open_orders", past, *canceled)), cancel="")


async def _listed(client: CcxtClient, method: str, symbol: str, params: Params, since: int | None = None) -> Sequence[CcxtOrder]:
    request: Callable[..., Awaitable[Sequence[CcxtOrder]]] = getattr(client, method)
    return await request(symbol, since, None, params)


def _bybit_orders(page: Sequence[CcxtOrder]) -> Params | None:
    cursor = trade_pages.cursor_in(page, "nextPageCursor")
    return {**_FULL, "cursor": cursor} if cursor else None


_BINANCE: Final = VenueTraits(lookup=ByQuery("origClientOrderId"), cancel="origClientOrderId", trades=trade_pages.BINANCE)
_BYBIT: Final = VenueTraits(
    lookup=ByLists("orderLinkId", "fetch_canceled_and_closed_orders", "startTime"), cancel="orderLinkId", trades=trade_pages.BYBIT,
    by_id={"acknowledged": True}, first_page=_FULL, next_page=_bybit_orders,
)  # fmt: skip
_ACTUAL: Final = "actualOrderId"
# Linear perpetuals. Binance keeps stops on them in its Algo Service.
PERPETUALS: Final[dict[str, VenueTraits]] = {
    **dict.fromkeys(
        ("binance", "binanceusdm"),
        replace(_BINANCE, lookup=ByEitherQuery("origClientOrderId", _ACTUAL), successor=_ACTUAL, cancel_kinds=(STOPS, {})),
    ),
    "bybit": replace(_BYBIT, has_directions=True),
}
# Binance and Bybit are held by the practice exchange; the others follow ccxt's source and were never tried.
VENUES: Final[dict[str, VenueTraits]] = {
    **dict.fromkeys(("binance", "binanceus"), _BINANCE),
    "bybit": replace(
        _BYBIT,
        # At spot a cancel names the kind of its order, and a stop becomes an order like others when it is triggered.
        cancel_kinds=({"orderFilter": "tpslOrder"}, {"orderFilter": "Order"}),
    ),
    **dict.fromkeys(("okx", "myokx", "okxus"), VenueTraits(
        lookup=ByQuery(), trades=trade_pages.OKX, client_id=r"[A-Za-z0-9]{1,32}", has_stops=False,
    )),
    "kraken": VenueTraits(lookup=ByLists("clientOrderId", "fetch_closed_orders"), trades=trade_pages.KRAKEN, client_id=r".{1,18}"),
    "kucoin": VenueTraits(lookup=ByQuery(), trades=trade_pages.KUCOIN, has_stops=False),
    "coinbase": VenueTraits(
        lookup=BySearch(("fetch_open_orders", "fetch_closed_orders", "fetch_canceled_orders")), cancel="", trades=trade_pages.COINBASE,
    ),
}  # fmt: skip
