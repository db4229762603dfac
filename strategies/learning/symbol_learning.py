"""What is learned of one symbol: its open forecasts until their outcome is known, its costs, and how far its price moves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from forwardtrader.strategies.learning.cost_estimate import CostEstimate, CostRule, paid_beyond
from forwardtrader.strategies.learning.edge_map import EdgeMap, EdgeMapRule
from forwardtrader.strategies.learning.volatility_ratio import VolatilityRatio, VolatilityRule


class SeenBar(NamedTuple):
    """One closed bar of a symbol: its open time (UTC epoch seconds), open and close, and the forecast made at its close, NaN for none."""

    at: float
    opened: float
    close: float
    location: float
    scale: float


class Matured(NamedTuple):
    """A forecast whose horizon is over, and the log return that it came to."""

    location: float
    scale: float
    outcome: float


class OpenForecast(NamedTuple):
    """A forecast whose outcome is not known yet: the number of its bar, and the logarithm of the open after it once that is known."""

    bar: int
    location: float
    scale: float
    entry: float | None


class LearningRules(NamedTuple):
    """What is learned, and how; None for what is not. `per_side` are the costs that are set."""

    costs: CostRule | None
    edge: EdgeMapRule | None
    volatility: VolatilityRule | None
    per_side: float


class SymbolLearning:
    """What is learned of one symbol. `edge` is that of the account.

    Attributes:
        expected: the price that the order that is out was decided at; 0 where none is.
        side: 1 or -1 where that order rests as a maker, to buy or to sell; 0 otherwise.
        missed: price and side of one that ended without a fill since the newest bar, zeros where none did.
        fills: how many orders costs were learned from.
        newest: open time of the newest bar that was taken in.
    """

    def __init__(self, symbol: str, horizon: int, rules: LearningRules, edge: EdgeMap) -> None:
        self.symbol, self.horizon, self.rules, self._edge = symbol, horizon, rules, edge
        self.costs, self.volatility = CostEstimate(), VolatilityRatio()
        self.expected, self.side, self.fills = 0.0, 0.0, 0
        self.missed = (0.0, 0.0)
        self._waiting: list[OpenForecast] = []
        self._bar, self.newest = 0, 0.0

    @property
    def cost_multiple(self) -> float:
        """Expected costs over those that are set."""
        rule = self.rules.costs
        return 1.0 if rule is None else self.costs.multiple(rule)

    @property
    def volatility_multiple(self) -> float:
        """What forecast scales are multiplied by."""
        rule = self.rules.volatility
        return 1.0 if rule is None else self.volatility.multiple(rule)

    def see(self, bar: SeenBar) -> Matured | None:
        """Take in a closed bar; the forecast whose outcome it completes."""
        self.newest, self._bar = bar.at, self._bar + 1
        self._age_costs(bar.close)
        waiting, matured = self._waiting, None
        if waiting and waiting[-1].entry is None:
            waiting[-1] = waiting[-1]._replace(entry=math.log(bar.opened))
        if waiting and waiting[0].bar + self.horizon == self._bar:
            first = waiting.pop(0)
            assert first.entry is not None
            matured = Matured(first.location, first.scale, math.log(bar.close) - first.entry)
        if bar.scale > 0.0 and bar.location == bar.location and bar.location:
            waiting.append(OpenForecast(self._bar, bar.location, bar.scale, None))
        if matured is not None and self.rules.volatility is not None:
            error = (matured.outcome - matured.location) / matured.scale
            self.volatility = self.volatility.learn(error, self.rules.volatility)
        return matured

    def _age_costs(self, close: float) -> None:
        """A bar has passed. An entry that came to nothing cost what the price has run away by (Perold 1988)."""
        rule, (expected, side) = self.rules.costs, self.missed
        self.missed = (0.0, 0.0)
        if rule is not None and self.costs.weight:
            self.costs = self.costs.forget(rule)
        if side:
            self._learn_cost(side * (close - expected) / expected)

    def outlook(self, location: float, scale: float) -> tuple[float, float]:
        """A forecast as it is to be acted on."""
        if self.rules.edge is not None:
            location = self._edge.expected(location, scale, self.rules.edge)
        return location, scale * self.volatility_multiple

    def expect(self, close: float, side: float = 0.0) -> None:
        """An order goes out that was decided at this close; `side` where it rests, as of the attribute."""
        self.expected, self.side = close, side

    def settle(self, executed: float, price: float, fee: float) -> None:
        """An order that was decided at `expected` is over; arguments as in `paid_beyond`."""
        expected, side, self.expected, self.side = self.expected, self.side, 0.0, 0.0
        if not expected > 0.0:
            return
        if executed:
            self._learn_cost(paid_beyond(executed, price, fee, expected))
        elif side:
            self.missed = (expected, side)

    def _learn_cost(self, share: float) -> None:
        if self.rules.costs is not None and self.rules.per_side > 0.0:
            self.costs = self.costs.learn(share / self.rules.per_side, self.rules.costs)
            self.fills += 1

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "costs": list(self.costs), "volatility": list(self.volatility), "expected": self.expected, "side": self.side,
            "missed": list(self.missed), "fills": self.fills,
            "waiting": [list(one) for one in self._waiting], "bar": self._bar, "newest": self.newest,
        }  # fmt: skip

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave."""
        self.costs, self.volatility = CostEstimate(*saved["costs"]), VolatilityRatio(*saved["volatility"])
        self.expected, self.side, self.fills = saved["expected"], saved["side"], saved["fills"]
        self.missed = (saved["missed"][0], saved["missed"][1])
        self._waiting = [OpenForecast(*one) for one in saved["waiting"]]
        self._bar, self.newest = saved["bar"], saved["newest"]
