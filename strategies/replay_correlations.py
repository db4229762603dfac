"""Correlations of all bars of a replay, worked out once: they do not depend on what is held, nor on the forecasts' locations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forwardtrader.strategies.portfolio.correlations import Correlations
from forwardtrader.strategies.portfolio.rule import PortfolioRule
from forwardtrader.strategies.portfolio_manager import learn
from forwardtrader.strategies.replay_track import Track


@dataclass
class RecordedCorrelations:
    """What `Correlations` gives after each row: `matrices` [T, symbols, symbols]. The walk sets `row`."""

    matrices: NDArray[np.float64]
    row: int = 0

    @classmethod
    def of(cls, tracks: Sequence[Track], symbols: Sequence[str], horizon: int, rule: PortfolioRule) -> RecordedCorrelations:
        learned, found = Correlations(symbols), np.empty((len(tracks[0].times), len(tracks), len(tracks)))
        for row in range(len(found)):
            closes = [float(track.close[row]) if track.here[row] else None for track in tracks]
            scales = [float(track.scale[row]) if track.here[row] else math.nan for track in tracks]
            learn(learned, closes, scales, horizon, rule)
            found[row] = learned.matrix(rule.shrinkage)
        return cls(found)

    def take_in(self, closes: Sequence[float | None], scales: Sequence[float], renewal: float) -> None:
        """All was taken in before."""

    def matrix(self, shrinkage: float) -> list[list[float]]:
        """That of the row, with the shrinkage it was worked out with."""
        rows: list[list[float]] = self.matrices[self.row].tolist()
        return rows
