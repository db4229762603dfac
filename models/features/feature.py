"""A feature: a named causal function of bars, with the number of bars it looks back over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.rolling import Series


@dataclass(frozen=True)
class Feature:
    """One column of the model's input.

    `is_own` marks a user's, whose function knows whole series alone: bar by bar it is computed over its `warm_up` bars.
    `cross_asset` marks one that looks at the bars of other symbols too (`Bars.peers`).
    """

    name: str
    warm_up: int
    compute: Callable[[Bars], Series]
    is_own: bool = False
    cross_asset: bool = False
