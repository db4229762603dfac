"""The exposures to go to, for all symbols together: gain against variance, inside a region where the cost of a trade exceeds its use.

With gains m, covariance S and exposures x, held ones h, it maximises

    m'x - aversion / 2 x'Sx - sum of the costs of going from h to x

where exposure that is added costs `enter` a unit, and exposure that is given up brings `leave` back less than nothing. These costs have
kinks at the exposure held and at zero, so there is a region around h where not trading is best (Davis and Norman 1990; Garleanu and
Pedersen 2013): how much is traded follows from costs alone. The problem is convex and is solved by coordinate descent, each step in closed
form and in plain floats, so every machine finds the same bits. With one symbol it is `signals.decide` without a premium.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from forwardtrader.strategies.portfolio.rule import PortfolioRule

_SWEEPS: Final = 200
_HALVINGS: Final = 30
_CAUTION: Final = 1e-9  # what lies this near to a limit may be on either side of it
_STILL: Final = 1e-12  # shares of equity; a sweep that moves nothing by more is the last
Matrix = Sequence[Sequence[float]]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Outlook(NamedTuple):
    """One symbol as the decision sees it.

    A symbol without forecast (NaN, a location of exactly zero, or a scale that is not above zero) is closed. One that has no bar now, or
    whose order is still out, is `fixed`: it stays as it is and counts as risk.

    Attributes:
        gain, scale: centre and spread of the forecast log return over its horizon.
        held: present exposure, a share of equity, negative for short.
        shorts: whether it may be sold short.
        fixed: whether it cannot be traded now.
        barred: whether no exposure may be taken, as after a stop.
        cost: multiple of the rule's costs that its trades are expected to cost.
    """

    gain: float
    scale: float
    held: float
    shorts: bool = False
    fixed: bool = False
    barred: bool = False
    cost: float = 1.0

    @property
    def known(self) -> bool:
        """Whether there is a forecast."""
        return self.scale > 0.0 and self.gain == self.gain and self.gain != 0.0


def targets(outlooks: Sequence[Outlook], correlations: Matrix, rule: PortfolioRule) -> list[float]:
    """The exposure of each symbol to go to; the very number held where it is not to be traded.

    Nothing is added beyond a limit. What prices alone carried above one is brought back once it is above it by a share of `rule.slack`.

    Args:
        correlations: of the symbols' moves, in the order of `outlooks`.
    """
    wanted = [_start(one, rule) for one in outlooks]
    _descend(wanted, outlooks, _covariance(outlooks, correlations, rule.aversion), rule)
    wanted = _without_small(wanted, outlooks, rule)
    return wanted if not any(wanted) else within(wanted, outlooks, _covariance(outlooks, correlations, 1.0), rule)


def is_idle(outlooks: Sequence[Outlook], rule: PortfolioRule) -> bool:
    """Whether nothing is held and no forecast is worth a trade, so that `targets` gives what is held."""
    return all(one.held == 0.0 and not abs(one.gain) > rule.enter * one.cost for one in outlooks)


def may_move(gains: Floats, scales: Floats, held: Floats, shorts: Flags, correlations: Floats, rule: PortfolioRule) -> Flags:
    """Rows [T] on which `targets` may give another exposure than is held; on all others it surely gives what is held.

    Args:
        gains, scales, held: as of `Outlook` [T, symbols]; a gain is NaN where there is no forecast, or a symbol that is not held cannot be
            traded.
        shorts: of each symbol.
        correlations: [T, symbols, symbols].
    """
    spreads = np.where(scales > 0.0, scales, 0.0) * held
    joint = (correlations @ spreads[:, :, None])[:, :, 0]
    known, side = np.isfinite(gains) & (gains != 0.0) & (scales > 0.0), np.where(held < 0.0, -1.0, 1.0)
    with np.errstate(invalid="ignore"):
        toward = (gains - rule.aversion * scales * joint) * side
        near = _CAUTION * (rule.enter + np.abs(gains))
        grows, shrinks = toward > rule.enter - near, toward < -rule.leave + near
        turns = shorts & (toward < -rule.enter + near)
    moves = known & (grows | np.where(held == 0.0, turns, shrinks) | (np.abs(held) > rule.cap * (1.0 - _CAUTION)))
    spread = np.sqrt(np.maximum(0.0, (spreads * joint).sum(axis=1)))
    load = np.maximum(np.abs(held).sum(axis=1) / rule.gross, np.abs(held.sum(axis=1)) / rule.net)
    full = np.maximum(load, spread / rule.volatility) > (1.0 + rule.slack) * (1.0 - _CAUTION)
    return np.asarray(moves.any(axis=1) | ((held != 0.0) & ~known).any(axis=1) | full)


def _covariance(outlooks: Sequence[Outlook], correlations: Matrix, weight: float) -> list[list[float]]:
    scales = [one.scale if one.scale > 0.0 else 0.0 for one in outlooks]
    return [[weight * r * a * b for r, b in zip(row, scales, strict=True)] for row, a in zip(correlations, scales, strict=True)]


def _start(one: Outlook, rule: PortfolioRule) -> float:
    if one.fixed:
        return one.held
    return _bounded(one.held, one, rule) if one.known else 0.0


def _bounded(exposure: float, one: Outlook, rule: PortfolioRule) -> float:
    cap = 0.0 if one.barred else rule.cap
    return max(-cap if one.shorts else 0.0, min(cap, exposure))


def _descend(exposures: list[float], outlooks: Sequence[Outlook], risk: Matrix, rule: PortfolioRule) -> None:
    """Coordinate descent from these exposures on, in place."""
    free = [i for i, one in enumerate(outlooks) if one.known and not one.fixed]
    for _ in range(_SWEEPS):
        moved = 0.0
        for i in free:
            one, row, before = outlooks[i], risk[i], exposures[i]
            pull = one.gain - sum([a * b for a, b in zip(row, exposures, strict=True)]) + row[i] * before
            exposures[i] = _bounded(_best(pull, row[i], one.held, rule.enter * one.cost, rule.leave * one.cost), one, rule)
            moved = max(moved, abs(exposures[i] - before))
        if moved <= _STILL:
            return


def _best(pull: float, variance: float, held: float, enter: float, leave: float) -> float:
    """The best exposure of one symbol, the others given: `pull` is its gain less what the others' risk takes from it."""
    if held < 0.0:
        return -_best(-pull, variance, -held, enter, leave)
    if pull - enter > variance * held:
        return (pull - enter) / variance
    if pull + leave >= variance * held:
        return held
    if pull + leave > 0.0:
        return (pull + leave) / variance
    return min(0.0, (pull + enter) / variance)


def _without_small(exposures: Sequence[float], outlooks: Sequence[Outlook], rule: PortfolioRule) -> list[float]:
    """The same, but for changes that are too small to be made."""
    return [
        one.held if one.fixed or (target != 0.0 and abs(target - one.held) < rule.min_change) else target
        for target, one in zip(exposures, outlooks, strict=True)
    ]


def within(exposures: Sequence[float], outlooks: Sequence[Outlook], covariance: Matrix, rule: PortfolioRule) -> list[float]:
    """As much of what they add as the limits of gross, net and volatility allow, the same share of each; what is fixed stays."""
    if _load(exposures, covariance, rule) <= 1.0:
        return list(exposures)
    kept = [one.held if one.fixed else _kept(one.held, target) for one, target in zip(outlooks, exposures, strict=True)]
    load = _load(kept, covariance, rule)
    if load > 1.0:
        share = 1.0 / load if load > 1.0 + rule.slack else 1.0
        return [x if one.fixed else x * share for x, one in zip(kept, outlooks, strict=True)]
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        if _load(_between(kept, exposures, middle), covariance, rule) <= 1.0:
            low = middle
        else:
            high = middle
    found = _between(kept, exposures, low)
    coarse = _without_small(found, outlooks, rule)
    return coarse if _load(coarse, covariance, rule) <= 1.0 else found


def _kept(held: float, target: float) -> float:
    """What is left of a position once nothing is added to it."""
    return 0.0 if held * target <= 0.0 else held if abs(target) > abs(held) else target


def _between(low: Sequence[float], high: Sequence[float], share: float) -> list[float]:
    return [a + share * (b - a) for a, b in zip(low, high, strict=True)]


def _load(exposures: Sequence[float], covariance: Matrix, rule: PortfolioRule) -> float:
    """How far the limit that is nearest is used, 1 at the limit."""
    variance = sum([x * sum([c * y for c, y in zip(row, exposures, strict=True)]) for x, row in zip(exposures, covariance, strict=True)])
    spread = math.sqrt(max(0.0, variance))
    return max(sum(map(abs, exposures)) / rule.gross, abs(sum(exposures)) / rule.net, spread / rule.volatility)
