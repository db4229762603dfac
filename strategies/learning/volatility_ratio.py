"""How far prices move, as a multiple of what was promised: by which positions are made smaller or larger, and stops moved.

The squared error of each forecast in units of its scale is averaged with forgetting, drawn towards one; the root of it is the multiple.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe

_CLIP: Final = 5.0  # an error beyond so many scales counts as so many


@dataclass(frozen=True, slots=True)
class VolatilityRule:
    """How it is learned; as in `edge_map.EdgeMapRule`, the prior in outcomes."""

    prior: float
    keep: float
    least: float
    most: float

    @classmethod
    def of(cls, learning: LearningSettings, timeframe: Timeframe, horizon: int) -> VolatilityRule | None:
        """None where it is not learned."""
        if not learning.volatility:
            return None
        keep = 0.5 ** (1.0 / max(1.0, learning.volatility_memory / timeframe.delta))
        return cls(learning.volatility_prior * horizon, keep, learning.volatility_least, learning.volatility_most)


class VolatilityRatio(NamedTuple):
    """Weighted sums over the outcomes so far: of one, and of squared errors in units of their scale."""

    weight: float = 0.0
    square: float = 0.0

    def learn(self, error: float, rule: VolatilityRule) -> VolatilityRatio:
        """Take in one outcome less its location, over the scale."""
        seen = min(max(error, -_CLIP), _CLIP)
        return VolatilityRatio(rule.keep * self.weight + 1.0, rule.keep * self.square + seen * seen)

    def multiple(self, rule: VolatilityRule) -> float:
        """What a scale is to be multiplied by."""
        if not self.weight:
            return 1.0
        return min(max(math.sqrt((rule.prior + self.square) / (rule.prior + self.weight)), rule.least), rule.most)
