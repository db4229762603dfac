"""Volumes of perpetuals in base units, at venues whose candles count contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

# Of the others ccxt takes the column of base units, or a contract is one unit.
_COUNT_CONTRACTS: Final = frozenset({"gate", "gateio", "gateeu", "kucoinfutures", "mexc"})
# Whose leverage tables count contracts too, which ccxt hands over as if they were money.
_TIERS_IN_CONTRACTS: Final = frozenset({"okx", "okxus", "myokx"})
_VOLUME: Final = 5  # place in ccxt's row


def with_base_volume(base: Any) -> Any:
    """A subclass of one of ccxt's exchanges whose candles hold base units, whatever the venue counts."""
    if base.__name__ not in _COUNT_CONTRACTS:
        return base

    class WithBaseVolume(base):  # type: ignore[misc]
        def parse_ohlcv(self, ohlcv: Any, market: Any = None) -> list[Any]:
            row: list[Any] = super().parse_ohlcv(ohlcv, market)
            size = (market or {}).get("contractSize") if (market or {}).get("contract") else None
            if size and row[_VOLUME] is not None:
                row[_VOLUME] = float(Decimal(str(row[_VOLUME])) * Decimal(str(size)))
            return row

    WithBaseVolume.__name__ = base.__name__
    return WithBaseVolume


def lists_tiers_in_money(venue: str) -> bool:
    """Whether the venue's leverage table goes by what a position is worth."""
    return venue not in _TIERS_IN_CONTRACTS
