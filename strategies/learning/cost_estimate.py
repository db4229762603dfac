"""What a trade costs, learned from an account's own fills: the mean of what was set and of what was paid, weighted by evidence.

An observation is what one executed order cost beyond the price it was decided at, fees included, in multiples of the costs that are set.
With a normal prior around one and fills that scatter as they were seen to, the posterior mean is

    multiple = (prior * noise + sum of weights * observations) / (prior * noise + sum of weights),   noise = max(1, variance of the fills)

where weights fall by half over `costs_memory` fills and over `costs_age`: an account that trades no more since it costs too much tries
again. Where prices move much between the close that is decided on and the fill, single fills
say little of costs, so it takes more of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe


@dataclass(frozen=True, slots=True)
class CostRule:
    """How costs are learned.

    Attributes:
        prior: fills that what is set counts for.
        keep, age: what a fill weighs one fill later, and one bar later.
        least, most: bounds of the multiple; one observation counts as no more than `most`, to either side.
    """

    prior: float
    keep: float
    age: float
    least: float
    most: float

    @classmethod
    def of(cls, learning: LearningSettings, timeframe: Timeframe) -> CostRule | None:
        """None where costs are not learned."""
        if not learning.costs:
            return None
        age = 0.5 ** (1.0 / max(1.0, learning.costs_age / timeframe.delta))
        return cls(learning.costs_prior, 0.5 ** (1.0 / learning.costs_memory), age, learning.costs_least, learning.costs_most)


class CostEstimate(NamedTuple):
    """Weighted sums over the fills so far: of one, of the observations, and of their squares."""

    weight: float = 0.0
    total: float = 0.0
    square: float = 0.0

    def learn(self, observed: float, rule: CostRule) -> CostEstimate:
        """Take in one fill; `observed` is its cost in multiples of what is set."""
        seen = min(max(observed, -rule.most), rule.most)
        keep = rule.keep
        return CostEstimate(keep * self.weight + 1.0, keep * self.total + seen, keep * self.square + seen * seen)

    def forget(self, rule: CostRule) -> CostEstimate:
        """A bar has passed."""
        return CostEstimate(rule.age * self.weight, rule.age * self.total, rule.age * self.square)

    def multiple(self, rule: CostRule) -> float:
        """Expected costs in multiples of what is set."""
        if not self.weight:
            return 1.0
        mean = self.total / self.weight
        prior = rule.prior * max(1.0, self.square / self.weight - mean * mean)
        return min(max((prior + self.total) / (prior + self.weight), rule.least), rule.most)


def paid_beyond(executed: float, price: float, fee: float, expected: float) -> float:
    """What an order cost as a share of the value it was expected to have.

    Args:
        executed: units, negative where they were sold.
        price: their average price, in quote units.
        fee: in quote units.
        expected: the price it was decided at.
    """
    side = 1.0 if executed > 0.0 else -1.0
    return side * (price - expected) / expected + fee / (abs(executed) * expected)
