"""The section `portfolio` of `run.json`: what each symbol and side contributed, and how much money the account would carry."""

from __future__ import annotations

from forwardtrader.reports.sections.section import Number, Section


class SymbolPart(Section):
    """One symbol's part of the account, in quote currency, fees taken off; as in `statistics.portfolio.contribution`."""

    symbol: str
    long: Number = None
    short: Number = None
    fees: Number = None
    traded: Number = None
    fills: int = 0

    @property
    def profit(self) -> float:
        return (self.long or 0.0) + (self.short or 0.0)


class CapacityPart(Section):
    """The account with `times` its money; as in `statistics.portfolio.capacity`."""

    times: int
    start_equity: Number = None
    impact_bps: Number = None
    total_return: Number = None
    sharpe: Number = None
    largest_share: Number = None


class PortfolioSection(Section):
    """`exhausted_at` is the starting cash at which market impact would have eaten the whole profit; null where there was none."""

    symbols: list[SymbolPart] = []
    capacity: list[CapacityPart] = []
    exhausted_at: Number = None
