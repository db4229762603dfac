"""The map from what a forecast promises to what such forecasts came to: learned online, monotone, shrunken to leaving it as it is.

Forecasts are sorted by size, in units of their scale, into a few classes. The slope of outcomes on locations is a ridge regression with
forgetting, drawn towards one; the slope of each class is one of its own, drawn towards the common one with the same strength. The values at
the middles of the classes are made monotone (isotonic regression, by pooling adjacent violators), joined by straight lines from zero on,
and kept between `edge_least` and `edge_most` times what was promised. So a larger forecast is never believed less than a smaller one, the
sign stays, and without outcomes the map changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe

BORDERS: Final = (0.05, 0.1, 0.2, 0.4)  # of the classes, in scales
MIDDLES: Final = (0.025, 0.075, 0.15, 0.3, 0.6)
_CLIP: Final = 5.0  # an outcome beyond so many scales counts as so many


@dataclass(frozen=True, slots=True)
class EdgeMapRule:
    """How the map is learned.

    Attributes:
        prior: weight of a slope of one, in squared scales.
        keep: what an outcome weighs one bar later.
        least, most: bounds of what is expected, as multiples of what was promised.
    """

    prior: float
    keep: float
    least: float
    most: float

    @classmethod
    def of(cls, learning: LearningSettings, timeframe: Timeframe, horizon: int, symbols: int) -> EdgeMapRule | None:
        """None where it is not learned. Outcomes of one bar overlap those of the next, and symbols move together, so that `horizon` times
        `symbols` outcomes are worth one."""
        if not learning.edge:
            return None
        keep = 0.5 ** (1.0 / max(1.0, learning.edge_memory / timeframe.delta))
        return cls(learning.edge_prior * horizon * symbols, keep, learning.edge_least, learning.edge_most)


class EdgeMap:
    """What has been learned; `sums` holds by class the weighted sums of squared promises and of promises times outcomes."""

    def __init__(self) -> None:
        self.sums: list[list[float]] = [[0.0, 0.0] for _ in MIDDLES]
        self._values: tuple[float, ...] | None = None

    def restore(self, sums: Sequence[Sequence[float]]) -> None:
        """Go on from these sums."""
        self.sums, self._values = [list(one) for one in sums], None

    def forget(self, rule: EdgeMapRule) -> None:
        """A bar has passed."""
        for sums in self.sums:
            sums[0] *= rule.keep
            sums[1] *= rule.keep
        self._values = None

    def learn(self, location: float, scale: float, outcome: float) -> None:
        """Take in what a forecast came to, all as log returns; `scale` is above zero."""
        promised, came = location / scale, min(max(outcome / scale, -_CLIP), _CLIP)
        sums = self.sums[bisect_right(BORDERS, abs(promised))]
        sums[0] += promised * promised
        sums[1] += promised * came
        self._values = None

    def slope(self, rule: EdgeMapRule) -> float:
        """What forecasts came to, all together, as a multiple of what they promised."""
        xx, xy = sum([sums[0] for sums in self.sums]), sum([sums[1] for sums in self.sums])
        return (rule.prior + xy) / (rule.prior + xx) if rule.prior + xx > 0.0 else 1.0

    def expected(self, location: float, scale: float, rule: EdgeMapRule) -> float:
        """The location as it is to be acted on; NaN and zero stay."""
        if not (scale > 0.0 and location == location and location):
            return location
        promised = abs(location) / scale
        came = self._at(promised, rule)
        multiple = min(max(came / promised, rule.least), rule.most)
        return location * multiple

    def _at(self, promised: float, rule: EdgeMapRule) -> float:
        if self._values is None:
            self._values = self._curve(rule)
        values = self._values
        if promised >= MIDDLES[-1]:
            return promised * values[-1] / MIDDLES[-1]
        place = bisect_right(MIDDLES, promised)
        low, left = (0.0, 0.0) if place == 0 else (values[place - 1], MIDDLES[place - 1])
        return low + (values[place] - low) * (promised - left) / (MIDDLES[place] - left)

    def _curve(self, rule: EdgeMapRule) -> tuple[float, ...]:
        """What is expected at the middles of the classes."""
        common, prior = max(self.slope(rule), 0.0), rule.prior
        weights = [prior + xx for xx, _ in self.sums]
        slopes = [(prior * common + xy) / weight if weight > 0.0 else common for (_, xy), weight in zip(self.sums, weights, strict=True)]
        return isotonic([slope * x for slope, x in zip(slopes, MIDDLES, strict=True)], weights)


def isotonic(values: Sequence[float], weights: Sequence[float]) -> tuple[float, ...]:
    """The nearest rising values, none below zero; by pooling adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, mass, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            other, more, number = pools.pop()
            both = mass + more
            mean = (mean * mass + other * more) / both if both > 0.0 else mean
            mass, count = both, count + number
        pools.append((mean, mass, count))
    return tuple(max(mean, 0.0) for mean, _, count in pools for _ in range(count))
