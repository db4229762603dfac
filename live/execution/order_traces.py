"""Traces of an order in the venue's lists: one that its query does not find may rest, or have been executed, all the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from forwardtrader.live.execution.ccxt_orders import client_id_in
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder
from forwardtrader.live.venue.history_pages import HistoryPages
from forwardtrader.live.venue.order_access import OrderKey, access_of
from forwardtrader.live.venue.retry import VenueQueries

_EARLIER_MS: Final = 60_000  # the venue's clock, and its candles', may be off


class UnclearTraces(Exception):
    """An execution belongs to an order that the venue does not show: its lists do not agree yet."""


class OrderTraces:
    """Looks for an order among the resting and past orders of its symbol, and among its executions.

    Args:
        name_of: the client id of an order of ours, by the venue's id; "" for any other.
    """

    def __init__(self, client: CcxtClient, queries: VenueQueries, name_of: Callable[[str], str]) -> None:
        self._access = access_of(client)
        self._queries = queries
        self._pages = HistoryPages(client, queries)
        self._name_of = name_of

    async def find(self, key: OrderKey) -> CcxtOrder | None:
        """The order as a list shows it; None where no list does.

        Raises:
            UnclearTraces: the lists contradict each other.
            VenueUnreachable, VenueRefused: no answer, or a refusal.
        """
        since = key.since - _EARLIER_MS if key.since else None
        orders = await self._pages.recent_orders(key.symbol, since)
        listed = {str(order.get("id")): order for order in orders}
        for order in orders:
            if client_id_in(order) == key.client_id:
                return order
        for trade in await self._pages.recent_trades(key.symbol, since):
            venue_id = str(trade.get("order") or "")
            if client_id_in(trade) in ("", key.client_id) and venue_id not in listed and not self._name_of(venue_id):
                listed[venue_id] = order = await self._order_behind(venue_id, key)
                if client_id_in(order) == key.client_id:
                    return order
        return None

    async def _order_behind(self, venue_id: str, key: OrderKey) -> CcxtOrder:
        """The order that an execution belongs to."""
        try:
            return await self._queries.ask(partial(self._access.of_venue_id, key.symbol, venue_id))
        except Exception as error:
            raise UnclearTraces(f"{self._access.client.id} lists executions of order {venue_id}, which it does not show") from error
