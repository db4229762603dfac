"""All executions and orders of a symbol, page by page: venues list some hundred at a time, and do not say that they left out others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade
from forwardtrader.live.venue.order_access import STOPS, access_of, successor_of
from forwardtrader.live.venue.retry import VenueQueries
from forwardtrader.live.venue.trade_pages import cursor_in

_TRADES: Final = {"binance": 1000, "bybit": 100}  # the longest page that a venue gives; others choose
_ORDERS: Final = {"binance": 1000, "bybit": 50}
_MOST_PAGES: Final = 1000
_ANY: Final[Mapping[str, object]] = {}
_WINDOW_MS: Final = 7 * 86_400_000  # the longest time of which Bybit lists anything
T = TypeVar("T", CcxtTrade, CcxtOrder)
_Place: TypeAlias = tuple[int | None, Mapping[str, object]]  # time and parameters of a page
Starts: TypeAlias = Callable[[str], Awaitable[Sequence[_Place]]]  # by the name of the parameter that goes on after an id
Fetch: TypeAlias = Callable[[str, int | None, int | None, Mapping[str, object]], Awaitable[Sequence[T]]]


class HistoryPages:
    """Reads lists through one client. Raises: VenueUnreachable or VenueRefused."""

    def __init__(self, client: CcxtClient, queries: VenueQueries) -> None:
        self._client = client
        self._queries = queries
        self._family = "binance" if client.id.startswith("binance") else client.id

    @property
    def lists_all_orders(self) -> bool:
        """Whether an order that `orders` does not have was never at the venue, however old it is."""
        return self._family == "binance"

    async def trades(self, symbol: str, since: int | None = None) -> list[CcxtTrade]:
        """Every trade of a symbol.

        Args:
            since: the earliest time (ms), for venues that list by time.
        """
        if not self._client.has.get("fetchMyTrades"):
            return []
        return await self._all(
            self._client.fetch_my_trades, symbol, await self._starts(since, "fromId"), _TRADES.get(self._family), "fromId"
        )

    async def recent_trades(self, symbol: str, since: int | None) -> list[CcxtTrade]:
        """The trades of a symbol from a time (ms) on, or the newest page of them where it is None."""
        if not self._client.has.get("fetchMyTrades"):
            return []
        return await self._all(self._client.fetch_my_trades, symbol, await self._recent(since), _TRADES.get(self._family), "fromId")

    async def orders(self, symbol: str, since: int | None = None) -> list[CcxtOrder]:
        """Every order of a symbol that the venue still lists; arguments as of `trades`."""
        return await self._orders(symbol, partial(self._starts, since))

    async def recent_orders(self, symbol: str, since: int | None) -> list[CcxtOrder]:
        """The orders of a symbol from a time (ms) on, or the newest page of them where it is None, and all that rest."""
        return await self._orders(symbol, partial(self._recent, since))

    async def _orders(self, symbol: str, starts: Starts) -> list[CcxtOrder]:
        client, has = self._client, self._client.has
        access = access_of(client)
        resting = await self._queries.ask(partial(access.resting, symbol))
        if self._family != "bybit" and has.get("fetchOrders"):
            fetch = client.fetch_orders
        elif has.get("fetchCanceledAndClosedOrders"):
            fetch = client.fetch_canceled_and_closed_orders
        elif has.get("fetchClosedOrders"):
            fetch = client.fetch_closed_orders
        else:
            return list(resting)
        closed = await self._all(fetch, symbol, await starts("orderId"), _ORDERS.get(self._family), "orderId")
        if became := access.traits.successor:  # stops that have become other orders are listed as such
            stops = await self._all(fetch, symbol, await starts("algoId"), _ORDERS.get(self._family), "algoId", STOPS)
            closed += [stop for stop in stops if not successor_of(stop, became)]
        return list({str(order.get("id")): order for order in (*closed, *resting)}.values())

    async def _all(
        self, fetch: Fetch[T], symbol: str, starts: Sequence[_Place], limit: int | None, from_id: str, kind: Mapping[str, object] = _ANY
    ) -> list[T]:
        """Page by page until one brings nothing new."""
        found: dict[str, T] = {}
        for start in starts:
            place: _Place | None = start
            for _ in range(_MOST_PAGES):
                if place is None:
                    break
                at, where = place
                page = await self._queries.ask(partial(fetch, symbol, at, limit, {**where, **kind}))
                before = len(found)
                found |= {str(each.get("id")): each for each in page}
                place = self._next(place, page, from_id) if len(found) > before else None
        return list(found.values())

    async def _recent(self, since: int | None, _from_id: str = "") -> list[_Place]:
        """As `_starts`, for what happened from a time on."""
        return [(since, {})] if self._family == "binance" else await self._starts(since, "")

    async def _starts(self, since: int | None, from_id: str) -> list[_Place]:
        """Where the lists begin: one, or one for each stretch of time that the venue lists at once."""
        if self._family == "binance":
            return [(None, {from_id: 1})]
        if self._family != "bybit" or since is None:
            return [(since, {})]
        now = await self._queries.ask(self._client.fetch_time)
        return [(at, {"endTime": at + _WINDOW_MS}) for at in range(since, max(now, since) + 1, _WINDOW_MS)]

    def _next(self, place: _Place, page: Sequence[CcxtTrade] | Sequence[CcxtOrder], from_id: str) -> _Place | None:
        """Where the page after this one begins; None where there is none."""
        if self._family == "binance":
            return None, {from_id: max(int(str(each.get("id"))) for each in page) + 1}
        if self._family == "bybit":
            cursor = cursor_in(page, "nextPageCursor")
            return (place[0], {**place[1], "cursor": cursor}) if cursor else None
        return max(int(each.get("timestamp") or 0) for each in page), {}
