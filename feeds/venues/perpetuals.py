"""What is known of perpetuals without a request: grids, fees and leverage tables of common ones as published by the venue.

The tables are those of Binance's USD-M perpetuals in USDT; the venue changes them from time to time, and what it answers itself wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from forwardtrader.core.types import MarginTier

# Base currency: tick, step, smallest notional.
GRIDS: Final = {
    "BTC": ("0.1", "0.001", "100"),
    "ETH": ("0.01", "0.001", "20"),
    "XRP": ("0.0001", "0.1", "5"),
    "ADA": ("0.0001", "1", "5"),
    "LTC": ("0.01", "0.001", "20"),
    "LINK": ("0.001", "0.01", "20"),
    "DOGE": ("0.00001", "1", "5"),
    "BNB": ("0.01", "0.01", "5"),
    "SOL": ("0.01", "0.01", "5"),
    "BCH": ("0.01", "0.001", "20"),
    "TRX": ("0.00001", "1", "5"),
    "DOT": ("0.001", "0.1", "5"),
    "AVAX": ("0.001", "1", "5"),
}
MAKER_FEE: Final = Decimal("0.0002")
TAKER_FEE: Final = Decimal("0.0005")
FUNDING_HOURS: Final = 8

# Base currency: notional from which on, largest leverage, maintenance rate.
_TIERS: Final[dict[str, tuple[tuple[int, int, str], ...]]] = {
    "BTC": (
        (0, 125, "0.004"), (50_000, 100, "0.005"), (600_000, 75, "0.0065"), (3_000_000, 50, "0.01"), (12_000_000, 25, "0.02"),
        (70_000_000, 20, "0.025"), (100_000_000, 10, "0.05"), (230_000_000, 5, "0.1"), (480_000_000, 4, "0.125"),
        (600_000_000, 3, "0.15"), (800_000_000, 2, "0.25"), (1_200_000_000, 1, "0.5"),
    ),
    "ETH": (
        (0, 125, "0.004"), (50_000, 100, "0.005"), (600_000, 75, "0.0065"), (3_000_000, 50, "0.01"), (12_000_000, 25, "0.02"),
        (50_000_000, 20, "0.025"), (65_000_000, 10, "0.05"), (150_000_000, 5, "0.1"), (320_000_000, 4, "0.125"),
        (400_000_000, 3, "0.15"), (530_000_000, 2, "0.25"), (800_000_000, 1, "0.5"),
    ),
    "XRP": (
        (0, 75, "0.005"), (10_000, 50, "0.0065"), (20_000, 40, "0.01"), (160_000, 25, "0.02"), (800_000, 20, "0.025"),
        (1_600_000, 10, "0.05"), (8_000_000, 5, "0.1"), (16_000_000, 4, "0.125"), (20_000_000, 2, "0.25"), (40_000_000, 1, "0.5"),
    ),
    "DOGE": (
        (0, 75, "0.005"), (10_000, 50, "0.007"), (50_000, 40, "0.01"), (750_000, 25, "0.02"), (800_000, 20, "0.025"),
        (1_600_000, 10, "0.05"), (8_000_000, 5, "0.1"), (16_000_000, 4, "0.125"), (20_000_000, 2, "0.25"), (40_000_000, 1, "0.5"),
    ),
    "ADA": (
        (0, 75, "0.005"), (5_000, 50, "0.006"), (10_000, 40, "0.01"), (50_000, 25, "0.02"), (250_000, 10, "0.05"),
        (1_000_000, 5, "0.1"), (5_000_000, 4, "0.125"), (10_000_000, 3, "0.15"), (20_000_000, 2, "0.25"), (30_000_000, 1, "0.5"),
    ),
    "LTC": (
        (0, 75, "0.005"), (5_000, 50, "0.006"), (10_000, 40, "0.01"), (50_000, 25, "0.02"), (750_000, 10, "0.05"),
        (3_000_000, 5, "0.1"), (10_000_000, 4, "0.125"), (12_000_000, 3, "0.15"), (20_000_000, 2, "0.25"), (30_000_000, 1, "0.5"),
    ),
}  # fmt: skip
_TIERS["LINK"] = _TIERS["ADA"]
# A coin in no table gets the steps of a small one: tighter than those of any coin above.
_CAUTIOUS: Final = (
    (0, 25, "0.02"), (5_000, 20, "0.025"), (25_000, 10, "0.05"), (100_000, 5, "0.1"), (250_000, 4, "0.125"), (1_000_000, 2, "0.25"),
    (3_000_000, 1, "0.5"),
)  # fmt: skip


def usual_tiers(base: str) -> tuple[MarginTier, ...]:
    """The leverage table of a coin's perpetual, without a request."""
    return continuous((Decimal(start), Decimal(leverage), Decimal(rate)) for start, leverage, rate in _TIERS.get(base, _CAUTIOUS))


def continuous(steps: Iterable[tuple[Decimal, Decimal, Decimal]]) -> tuple[MarginTier, ...]:
    """The tiers of (notional from which on, largest leverage, maintenance rate), lowest first, with amounts that leave no jump."""
    tiers: list[MarginTier] = []
    for start, leverage, rate in sorted(steps):
        below = tiers[-1] if tiers else None
        amount = below.maintenance_amount + start * (rate - below.maintenance_rate) if below else Decimal(0)
        tiers.append(MarginTier(notional_from=start, max_leverage=leverage, maintenance_rate=rate, maintenance_amount=amount))
    return tuple(tiers)


def listed_tiers(rows: Iterable[dict[str, Any]]) -> tuple[MarginTier, ...]:
    """The tiers of ccxt's leverage tier structures of one market; empty where one of them says too little."""
    keys = ("minNotional", "maxLeverage", "maintenanceMarginRate")
    listed = [tuple(row.get(key) for key in keys) for row in rows]
    if any(value is None for row in listed for value in row):
        return ()
    return continuous((Decimal(str(start)), Decimal(str(leverage)), Decimal(str(rate))) for start, leverage, rate in listed)


def hours_of(interval: str | None) -> int:
    """The hours of ccxt's funding intervals such as `8h`; 0 where it says none."""
    return int(interval[:-1]) if interval and interval[:-1].isdigit() and interval.endswith("h") else 0
