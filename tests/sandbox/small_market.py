"""Markets of a few hand-written bars."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.events import EngineEvent
from forwardtrader.sandbox.orders.order import NewOrder, OrderType, TimeInForce
from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.transport.host import Host
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue, open_venue

START = 1_700_000_040_000 // 60_000 * 60_000
SYMBOL = "BTC/USDT"
FLAT = (100.0, 101.0, 99.0, 100.0)
Bars = Sequence[tuple[float, float, float, float]]


def candle_file(path: Path, bars: Bars, volume: float = 1000.0, skip: Sequence[int] = ()) -> Path:
    rows = [f"{START + n * 60_000},{','.join(map(str, bar))},{volume}" for n, bar in enumerate(bars) if n not in skip]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    return path


def venue_of(folder: Path, bars: Bars, **settings: Any) -> SandboxVenue:
    """A venue in lockstep; the first bar is history, the second is open. Fees are nil unless given."""
    path = candle_file(folder / "market.csv", [FLAT, *bars])
    free = {"maker_fee_bps": 0, "taker_fee_bps": 0, "balances": {"USDT": "10000", "BTC": "10"}}
    given = free | {"history": 1, "speed": "lockstep", "market": [str(path)]} | settings
    return open_venue(SandboxSettings.model_validate(given), Host())


def recorded_events(venue: SandboxVenue) -> list[EngineEvent]:
    """A list that collects every fact from now on."""
    facts: list[EngineEvent] = []
    venue.exchange.subscribe(facts.append)
    return facts


def request(kind: OrderType, side: Side, size: float = 1, limit: float | None = None, stop: float | None = None, **more: Any) -> NewOrder:
    return NewOrder(
        symbol=SYMBOL, side=side, type=kind, size=Decimal(str(size)), limit_price=None if limit is None else Decimal(str(limit)),
        stop_price=None if stop is None else Decimal(str(stop)), **({"client_id": f"c{next(_NUMBERS)}", "tif": TimeInForce.GTC} | more),
    )  # fmt: skip


def place(venue: SandboxVenue, *args: Any, **more: Any) -> Any:
    return venue.exchange.place(ACCOUNT, request(*args, **more))


def balance(venue: SandboxVenue, asset: str) -> tuple[float, float]:
    """Free and locked."""
    account = venue.exchange.accounts[ACCOUNT]
    return float(account.available(asset)), float(account.locked.get(asset, 0))


_NUMBERS = iter(range(10**9))
