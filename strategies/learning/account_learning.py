"""What an account learns from its own outcomes, and the record of it: one object for all its symbols, the same in every mode.

Everything follows from closed bars, the forecasts made at them and the account's own fills, in plain floats: a backtest, its replay and a
session find the same bits. What one bar teaches is used at its close at the earliest, so nothing of a bar changes what was decided before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from forwardtrader.core.settings import LearningSettings, StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.strategies.costs import Costs
from forwardtrader.strategies.learning.cost_estimate import CostRule
from forwardtrader.strategies.learning.edge_map import EdgeMap, EdgeMapRule
from forwardtrader.strategies.learning.symbol_learning import LearningRules, SeenBar, SymbolLearning
from forwardtrader.strategies.learning.volatility_ratio import VolatilityRule

KEPT: Final = 100  # changes
STEP: Final = 0.1  # a multiple that moved by this share since it was last told is told again
ALL: Final = "all symbols"


@dataclass(frozen=True, slots=True)
class Change:
    """Something learned: at the close of the bar that opened `at` (UTC epoch seconds) a multiple went from `before` to `after`."""

    at: float
    symbol: str
    what: str
    before: float
    after: float


@dataclass(frozen=True)
class LearningReport:
    """What an account has learned: multiples by symbol of what is set, how many changes there were, and the newest of them.

    `costs` also gives the number of orders that each rests on; `edge` is what forecasts came to as a multiple of what they promised.
    """

    costs: Mapping[str, tuple[float, int]]
    edge: float | None
    volatility: Mapping[str, float]
    count: int
    changes: Sequence[Change]

    def plain(self) -> dict[str, Any]:
        """The same in plain values, with times in UTC."""
        return {
            "costs": {symbol: times for symbol, (times, _) in self.costs.items()},
            "fills": {symbol: fills for symbol, (_, fills) in self.costs.items()},
            "edge": self.edge,
            "volatility": dict(self.volatility),
            "count": self.count,
            "changes": [asdict(change) | {"at": datetime.fromtimestamp(change.at, UTC)} for change in self.changes],
        }


class AccountLearning:
    """What an account learns. `symbols` are its parts, in the order of the account's symbols."""

    def __init__(
        self, learning: LearningSettings, settings: StrategySettings, timeframe: Timeframe, horizon: int, symbols: Sequence[str]
    ) -> None:
        self.edge = EdgeMap()
        self._rules = LearningRules(
            CostRule.of(learning, timeframe), EdgeMapRule.of(learning, timeframe, horizon, len(symbols)),
            VolatilityRule.of(learning, timeframe, horizon), 0.0,
        )  # fmt: skip
        self.symbols = [SymbolLearning(symbol, horizon, self._rules, self.edge) for symbol in symbols]
        self.use(settings)
        self.count = 0
        self.changes: deque[Change] = deque(maxlen=KEPT)
        self._told: dict[tuple[str, str], float] = {}

    @classmethod
    def of(
        cls, learning: LearningSettings, settings: StrategySettings, timeframe: Timeframe, horizon: int, symbols: Sequence[str]
    ) -> AccountLearning | None:
        """None where nothing is learned from outcomes."""
        return cls(learning, settings, timeframe, horizon, symbols) if learning.trades_by_outcomes else None

    def use(self, settings: StrategySettings) -> None:
        """Go by the costs of these settings from now on; what was learned of them, in multiples, stays."""
        self._rules = self._rules._replace(per_side=Costs.of(settings).per_side)
        for one in self.symbols:
            one.rules = self._rules

    def see(self, bars: Sequence[SeenBar | None]) -> list[Change]:
        """Take in the newest bars, of each symbol in order, None where it has none; what has changed enough to be told.

        A bar that was taken in before changes nothing.
        """
        new = [(one, bar) for one, bar in zip(self.symbols, bars, strict=True) if bar is not None and bar.at > one.newest]
        if not new:
            return []
        if self._rules.edge is not None:
            self.edge.forget(self._rules.edge)
        for one, bar in new:
            matured = one.see(bar)
            if matured is not None and self._rules.edge is not None:
                self.edge.learn(matured.location, matured.scale, matured.outcome)
        return self._tell(max(bar.at for _, bar in new))

    def _tell(self, at: float) -> list[Change]:
        rules, told = self._rules, []
        now = [(one.symbol, "costs", one.cost_multiple) for one in self.symbols if rules.costs is not None]
        now += [(one.symbol, "volatility", one.volatility_multiple) for one in self.symbols if rules.volatility is not None]
        now += [(ALL, "edge", self._slope(rules.edge))] if rules.edge is not None else []
        for symbol, what, after in now:
            before = self._told.get((symbol, what), 1.0)
            if abs(after - before) >= STEP * before:
                self._told[symbol, what] = after
                told.append(Change(at, symbol, what, before, after))
        self.changes.extend(told)
        self.count += len(told)
        return told

    def _slope(self, rule: EdgeMapRule) -> float:
        return min(max(self.edge.slope(rule), rule.least), rule.most)

    def report(self) -> LearningReport:
        """What has been learned so far."""
        rules = self._rules
        return LearningReport(
            costs={one.symbol: (one.cost_multiple, one.fills) for one in self.symbols} if rules.costs is not None else {},
            edge=None if rules.edge is None else self._slope(rules.edge),
            volatility={one.symbol: one.volatility_multiple for one in self.symbols} if rules.volatility is not None else {},
            count=self.count,
            changes=tuple(self.changes),
        )

    def as_dict(self) -> dict[str, Any]:
        """What must be kept across a restart; plain JSON values."""
        return {
            "symbols": {one.symbol: one.as_dict() for one in self.symbols},
            "edge": [list(sums) for sums in self.edge.sums],
            "told": [[symbol, what, value] for (symbol, what), value in self._told.items()],
            "count": self.count,
            "changes": [[c.at, c.symbol, c.what, c.before, c.after] for c in self.changes],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `as_dict` gave, as far as it is of these symbols."""
        for one in self.symbols:
            if one.symbol in saved["symbols"]:
                one.restore(saved["symbols"][one.symbol])
        self.edge.restore(saved["edge"])
        self._told = {(symbol, what): value for symbol, what, value in saved["told"]}
        self.count, self.changes = saved["count"], deque((Change(*c) for c in saved["changes"]), maxlen=KEPT)
