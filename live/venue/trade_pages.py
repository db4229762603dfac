"""The executions of one order, page by page: venues end a list at 50 to 1000 entries and continue it each in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeAlias

from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtFunding, CcxtOrder, CcxtTrade

Params: TypeAlias = Mapping[str, object]
Next: TypeAlias = Callable[[Sequence[CcxtTrade], int, int], Params | None]


@dataclass(frozen=True, kw_only=True)
class TradePages:
    """How a venue lists executions.

    Attributes:
        order: parameter that restricts the list to one order; "" where there is none.
        limit: entries of a full page.
        first: parameters of the first page; a venue that begins with the newest entries may need some.
        following: parameters of the next page, from the page, its limit and the number of entries so far; None after the last page.
    """

    order: str
    limit: int
    following: Next
    first: Params = field(default_factory=dict)

    async def of_order(self, client: CcxtClient, symbol: str, venue_id: str) -> list[CcxtTrade]:
        """Every execution of one order, once each. Raises what ccxt raises."""
        chosen: Params = {self.order: venue_id} if self.order else {}
        found: dict[str, CcxtTrade] = {}
        more: Params | None = self.first
        entries = 0
        while more is not None:
            page = await client.fetch_my_trades(symbol, None, self.limit, {**chosen, **more})
            entries += len(page)
            new = {str(t.get("id")): t for t in page} if page else {}
            if not new.keys() - found.keys():
                break  # the venue repeats itself, or is done
            found |= new
            more = self.following(page, self.limit, entries)
        return [t for t in found.values() if self.order or t.get("order") == venue_id]


def cursor_in(entries: Sequence[CcxtTrade] | Sequence[CcxtOrder] | Sequence[CcxtFunding], name: str) -> str:
    """The cursor of the next page, which ccxt leaves in the raw form of one entry; "" after the last page."""
    infos = (entry.get("info") for entry in entries)
    return next((str(info[name]) for info in infos if isinstance(info, Mapping) and info.get(name)), "")


def _after_id(page: Sequence[CcxtTrade], _limit: int, _entries: int) -> Params | None:
    """Up to an empty page: a venue may end its pages earlier than it is asked to, and what is missing would stay unknown for good."""
    return {"fromId": str(max(int(t.get("id") or 0) for t in page) + 1)} if page else None


def _after_cursor(name: str, page: Sequence[CcxtTrade], _limit: int, _entries: int) -> Params | None:
    cursor = cursor_in(page, name)
    return {"cursor": cursor} if cursor else None


def _after_number(page: Sequence[CcxtTrade], limit: int, entries: int) -> Params | None:
    return {"ofs": entries} if len(page) >= limit else None


def _after_bill(page: Sequence[CcxtTrade], limit: int, _entries: int) -> Params | None:
    bills = [int(_raw(t).get("billId") or 0) for t in page]
    return {"after": str(min(bills))} if len(page) >= limit and min(bills) else None


def _raw(trade: CcxtTrade) -> Mapping[str, Any]:
    info = trade.get("info")
    return info if isinstance(info, Mapping) else {}


def _only_page(_page: Sequence[CcxtTrade], _limit: int, _entries: int) -> None:
    return None


BINANCE: Final = TradePages(order="orderId", limit=1000, following=_after_id, first={"fromId": "0"})
BYBIT: Final = TradePages(order="orderId", limit=100, following=partial(_after_cursor, "nextPageCursor"))
COINBASE: Final = TradePages(order="order_ids", limit=250, following=partial(_after_cursor, "cursor"))
KRAKEN: Final = TradePages(order="", limit=50, following=_after_number)
KUCOIN: Final = TradePages(order="orderId", limit=100, following=_only_page)
OKX: Final = TradePages(order="ordId", limit=100, following=_after_bill)
NEWEST: Final = TradePages(order="", limit=100, following=_only_page)
