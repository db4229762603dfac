"""Drift detection: is a model's loss significantly worse than its reference? Page's test (1954) on means of blocks of bars.

Losses of neighbouring bars depend on each other and are skewed; the logarithms of their means over a day are close to normal. Each is
standardised by the model's reference, and what exceeds a slack is summed, never below zero. The threshold follows from the chosen mean time
between false alarms (Siegmund 1985, corrected for the excess over the boundary). Uncertainty of the reference itself goes into the slack,
dependence between blocks into the spread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
LEAST_BLOCKS: Final = 30
_EXCESS: Final = 1.166  # mean overshoot of a random walk, in both directions together
_FAR: Final = 4.0  # one block counts for no more than this: a single crash is not a drift
_MOST_DEPENDENCE: Final = 0.6


@dataclass(frozen=True)
class Reference:
    """Mean and long-run spread of the logarithm of block losses, and how many blocks they were taken from."""

    mean: float
    spread: float
    blocks: int


@dataclass(frozen=True)
class DriftRule:
    """`slack` in standard deviations of one block; `threshold` in the same unit."""

    slack: float
    threshold: float

    @classmethod
    def of(cls, blocks_between_false_alarms: float, slack: float) -> DriftRule:
        """The rule that calls so rarely where nothing has changed."""
        return cls(slack, threshold(blocks_between_false_alarms, slack))


@dataclass(frozen=True)
class Watch:
    """The state of the test: what has been summed, and over how many blocks."""

    excess: float = 0.0
    blocks: int = 0


def step(watch: Watch, loss: float, reference: Reference, rule: DriftRule) -> Watch:
    """Take in the mean loss of one more block."""
    z = _standardised(loss, reference)
    slack = rule.slack + 1.0 / math.sqrt(reference.blocks)
    return Watch(max(0.0, watch.excess + z - slack), watch.blocks + 1)


def is_drift(watch: Watch, rule: DriftRule) -> bool:
    return watch.excess > rule.threshold


def first_drift(losses: Iterable[float], reference: Reference, rule: DriftRule) -> int | None:
    """Number (from 0) of the block after which drift is called; None where it is not."""
    watch = Watch()
    for number, loss in enumerate(losses):
        watch = step(watch, loss, reference, rule)
        if is_drift(watch, rule):
            return number
    return None


def change_point(losses: Sequence[float], reference: Reference) -> int:
    """How many of these blocks, the last of which raised an alarm, came before the change: the likeliest number."""
    z = np.array([_standardised(loss, reference) for loss in losses])[::-1]
    return len(z) - 1 - int(np.argmax(np.cumsum(z) / np.sqrt(np.arange(1, len(z) + 1))))


def _standardised(loss: float, reference: Reference) -> float:
    return min(max((math.log(max(loss, 1e-12)) - reference.mean) / reference.spread, -_FAR), _FAR)


def reference(blocks: Floats) -> Reference | None:
    """What a model's block losses are usually like; None where there are too few."""
    logs = np.log(np.maximum(blocks[np.isfinite(blocks)], 1e-12))
    if len(logs) < LEAST_BLOCKS:
        return None
    away = logs - logs.mean()
    variance = float((away * away).sum() / (len(logs) - 1))
    if variance <= 0.0:
        return None
    dependence = min(max(float((away[1:] * away[:-1]).sum() / (away * away).sum()), 0.0), _MOST_DEPENDENCE)
    return Reference(float(logs.mean()), math.sqrt(variance * (1.0 + dependence) / (1.0 - dependence)), len(logs))


def block_means(at: Floats, losses: Floats, block: float, complete: int) -> list[tuple[int, float]]:
    """Number and mean loss of each of the first `complete` blocks; one without a loss is left out.

    Args:
        at: when each loss was incurred, in seconds after the first block begins, [n].
        block: seconds that a block spans.
    """
    number = (at // block).astype(np.int64)
    return [(k, float(losses[number == k].mean())) for k in range(complete) if (number == k).any()]


def blocks_between(threshold: float, slack: float) -> float:
    """Blocks until a false alarm, on average, of a test on independent standard normal blocks."""
    reach = 2.0 * slack * (threshold + _EXCESS)
    return (math.exp(reach) - reach - 1.0) / (2.0 * slack * slack)


def threshold(blocks: float, slack: float) -> float:
    """The inverse of `blocks_between`."""
    low, high = 0.0, 100.0 / slack
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (middle, high) if blocks_between(middle, slack) < blocks else (low, middle)
    return high
