"""A venue's leverage table as numbers: maintenance margin and the largest leverage of a position, by what it is worth."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.types import MarginTier

Floats = NDArray[np.float64]
# Of a market whose table is not known.
_ONE_TIER: Final = (MarginTier(notional_from=Decimal(0), max_leverage=Decimal(20), maintenance_rate=Decimal("0.025")),)


@dataclass(frozen=True, slots=True)
class TierTable:
    """Tiers, lowest first; a tier holds for positions worth more than its start, in the settle currency."""

    starts: tuple[float, ...]
    leverages: tuple[float, ...]
    rates: tuple[float, ...]
    amounts: tuple[float, ...]

    @classmethod
    def of(cls, tiers: Sequence[MarginTier]) -> TierTable:
        rows = tuple(tiers) or _ONE_TIER
        return cls(
            tuple(float(tier.notional_from) for tier in rows),
            tuple(float(tier.max_leverage) for tier in rows),
            tuple(float(tier.maintenance_rate) for tier in rows),
            tuple(float(tier.maintenance_amount) for tier in rows),
        )

    def maintenance(self, notional: float) -> float:
        """The margin below which a position worth `notional` is liquidated."""
        tier = max(bisect_left(self.starts, notional) - 1, 0)
        return notional * self.rates[tier] - self.amounts[tier]

    def maintenances(self, notionals: Floats) -> Floats:
        """`maintenance` of each."""
        tier = np.maximum(np.searchsorted(self.starts, notionals, side="left") - 1, 0)
        return np.asarray(notionals * np.asarray(self.rates)[tier] - np.asarray(self.amounts)[tier])

    def largest(self, leverage: float) -> float:
        """What a position may be worth at `leverage`: infinite where the highest tier allows it, zero where none does."""
        if leverage <= self.leverages[-1]:
            return math.inf
        return next((start for start, most in zip(self.starts, self.leverages, strict=True) if most < leverage), math.inf)
