"""Correlations of all bars of a replay, worked out once: they do not depend on what is held, nor on the forecasts' locations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forwardtrader.strategies.portfolio.correlations import Correlations
from forwardtrader.strategies.portfolio.portfolio_manager import learn
from forwardtrader.strategies.portfolio.rule import PortfolioRule


@dataclass
class RecordedCorrelations:
    """What `Correlations` gives after each row: `matrices` [T, symbols, symbols]. The walk sets `row`."""

    matrices: NDArray[np.float64]
    row: int = 0

    @classmethod
    def of(
        cls, closes: NDArray[np.float64], scales: NDArray[np.float64], symbols: Sequence[str], horizon: int, rule: PortfolioRule
    ) -> RecordedCorrelations:
        """From closes and forecast scales [T, symbols]; a close is NaN where its symbol has no bar."""
        learned, found = Correlations(symbols), np.empty((len(closes), len(symbols), len(symbols)))
        for row, (now, spread) in enumerate(zip(closes.tolist(), scales.tolist(), strict=True)):
            learn(learned, [None if math.isnan(close) else close for close in now], spread, horizon, rule)
            found[row] = learned.matrix(rule.shrinkage)
        return cls(found)

    def take_in(self, closes: Sequence[float | None], scales: Sequence[float], renewal: float) -> None:
        """All was taken in before."""

    def matrix(self, shrinkage: float) -> list[list[float]]:
        """That of the row, with the shrinkage it was worked out with."""
        rows: list[list[float]] = self.matrices[self.row].tolist()
        return rows
