"""Correlations of the symbols' moves: exponentially weighted, shrunken to their mean, carried from bar to bar as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from forwardtrader.core.errors import InvalidSetting

# Before anything is known: coins move together more than not. A prior that is too high costs little, one too low lets risk add up unseen.
PRIOR: Final = 0.5
_LARGEST: Final = 5.0  # scales; what lies beyond says little about how symbols move together in general
_LIMIT: Final = 0.99
_KEYS: Final = {"closes", "scales", "products"}
Matrix = Sequence[Sequence[float]]


class Correlations:
    """Weighted products of the symbols' moves, each in the scale that was forecast for it.

    A symbol without a bar keeps what is known of it. Nothing but plain, correctly rounded arithmetic is used on the products, so that every
    machine finds the same bits.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(symbols)
        size = len(self.symbols)
        self._closes, self._scales = [0.0] * size, [0.0] * size
        self._products = np.full((size, size), PRIOR) + np.eye(size) * (1.0 - PRIOR)

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `as_dict` wrote, as far as it is of these symbols.

        Raises:
            InvalidSetting: a field is missing or unknown.
        """
        if set(saved) != _KEYS:
            raise InvalidSetting(f"saved correlations hold {sorted(saved)}; delete the session's state or resume it with its own version")
        for i, one in enumerate(self.symbols):
            self._closes[i], self._scales[i] = saved["closes"].get(one, 0.0), saved["scales"].get(one, 0.0)
            for j, other in enumerate(self.symbols):
                self._products[i, j] = saved["products"].get(one, {}).get(other, self._products[i, j])

    def as_dict(self) -> dict[str, Any]:
        """Closes and scales of one bar's move by symbol, and products by symbol and symbol."""
        rows = [dict(zip(self.symbols, row, strict=True)) for row in self._products.tolist()]
        return {
            "closes": dict(zip(self.symbols, self._closes, strict=True)),
            "scales": dict(zip(self.symbols, self._scales, strict=True)),
            "products": dict(zip(self.symbols, rows, strict=True)),
        }

    def take_in(self, closes: Sequence[float | None], scales: Sequence[float], renewal: float) -> None:
        """Take in a bar.

        Args:
            closes: of each symbol, None where it has no bar.
            scales: that are forecast for the next bar's move.
            renewal: share of this bar in what is remembered.
        """
        moves = [self._move(i, close) for i, close in enumerate(closes)]
        moved = np.array([math.nan if move is None else move for move in moves])
        step = renewal * (moved[:, None] * moved[None, :] - self._products)
        self._products = np.where(np.isnan(step), self._products, self._products + step)
        for i, close in enumerate(closes):
            if close is not None:
                self._closes[i], self._scales[i] = close, scales[i] if scales[i] > 0.0 else 0.0

    def matrix(self, shrinkage: float) -> list[list[float]]:
        """Correlations of the symbols, in their order."""
        size = len(self.symbols)
        roots = np.sqrt(np.maximum(self._products.diagonal(), 1e-12))
        raw = self._products / (roots[:, None] * roots[None, :])
        np.fill_diagonal(raw, 0.0)
        mean = sum(map(sum, raw.tolist())) / (size * (size - 1)) if size > 1 else 0.0
        shrunken = np.clip(raw + shrinkage * (mean - raw), -_LIMIT, _LIMIT)
        np.fill_diagonal(shrunken, 1.0)
        rows: list[list[float]] = shrunken.tolist()
        return rows

    def _move(self, place: int, close: float | None) -> float | None:
        """The newest move in its scale; None where there was no bar, or no scale before."""
        before, scale = self._closes[place], self._scales[place]
        if close is None or not (before > 0.0 and close > 0.0 and scale > 0.0):
            return None
        return max(-_LARGEST, min(_LARGEST, math.log(close / before) / scale))
