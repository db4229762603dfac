"""A practice exchange with one perpetual on hourly bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.order import ExchangeOrder, NewOrder, OrderType
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue
from tests.sandbox.small_market import FLAT as FLAT
from tests.sandbox.small_market import venue_of

PERPETUAL = "BTC/USDT:USDT"
HOUR_MS = 3_600_000
FREE = {"maker_fee_bps": 0, "taker_fee_bps": 0, "funding_bps": 0, "liquidation_fee_bps": 0}
Prices = tuple[float, float, float, float]


def perpetual_venue(folder: Path, bars: Sequence[Prices], files: Mapping[str, Any] | None = None, **settings: Any) -> SandboxVenue:
    """A market of `bars` after one flat one; `files` has bars of the mark, or the text of a funding file."""
    given = {"protocol": "bybit", "symbols": [PERPETUAL], "timeframe": "1h", "market": [str(_candles(folder / "hours.csv", bars))]}
    for name, content in (files or {}).items():
        path = folder / f"{name}.csv"
        if isinstance(content, str):
            path.write_text(content)
        else:
            _candles(path, content)
        given[name] = {PERPETUAL: str(path)}
    return venue_of(folder, [], **(given | settings))


def take(venue: SandboxVenue, side: Side, size: str, kind: OrderType = OrderType.MARKET, **more: Any) -> ExchangeOrder:
    """Place an order."""
    name = f"order-{len(venue.exchange.order_index.orders)}"
    return venue.exchange.place(ACCOUNT, NewOrder(symbol=PERPETUAL, side=side, type=kind, size=Decimal(size), client_id=name, **more))


def _candles(path: Path, bars: Sequence[Prices]) -> Path:
    rows = [f"{n * HOUR_MS},{','.join(map(str, bar))},1000" for n, bar in enumerate([FLAT, *bars])]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path
