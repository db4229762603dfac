"""The section `learned` of `run.json`: what the account learned from its own outcomes."""

from __future__ import annotations

from forwardtrader.reports.sections.section import Moment, Number, Section


class LearnedChange(Section):
    """A multiple that was learned anew at the close of the bar that opened `at`: of `what` (costs, edge, volatility), before and after."""

    at: Moment
    symbol: str
    what: str
    before: Number = None
    after: Number = None


class LearnedSection(Section):
    """What was learned at the end, as multiples of what is set or forecast, how often it changed by a tenth, and the newest changes.

    `costs` and `volatility` are by symbol, `fills` is how many orders the costs of each rest on, and `edge` is what forecasts came to as a
    multiple of what they promised.
    """

    costs: dict[str, Number] = {}
    fills: dict[str, int] = {}
    edge: Number = None
    volatility: dict[str, Number] = {}
    count: int = 0
    changes: list[LearnedChange] = []
