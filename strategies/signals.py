"""From a forecast to a target exposure: trade only where the expected edge pays for the trade.

The rule is the one-period form of optimal trading under proportional costs (Davis and Norman 1990; Garleanu and Pedersen 2013):
the target exposure is edge over (risk aversion times variance), and around it lies a zone in which not trading is best. Here the
zone is asymmetric: a position is built only as far as the edge beats `margin` round trips, and reduced only once the edge has
fallen by more than `leave` round trips below zero gain. So equal forecasts never cause a second trade, and entry and exit
thresholds never meet.

The edge is counted over the expected holding time: the forecast as far as it reaches; beyond it, what holding the
asset is expected to earn without any forecast (`premium`). So a long position is kept through forecasts that are merely dull. It
is given up while the fall that is forecast costs more than getting out and in again, by the same margin, and nothing is added
against a forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ENTER = "edge beats costs"
ADD = "edge grew"
REDUCE = "edge shrank"
LEAVE = "edge is gone"
RISK = "risk limit shrank"
NO_MODEL = "no model in force"


@dataclass(frozen=True, slots=True)
class EdgeRule:
    """Parameters of the entry and exit rule.

    Attributes:
        round_trip: cost of entering and leaving, as a share of the traded value.
        margin: round trips the edge must be worth before exposure grows.
        leave: round trips the edge must be below zero before exposure shrinks.
        share: how much of the forecast's horizon the expected holding time covers, 1 at most.
        premium: expected gain of holding beyond the horizon, in forecast scales.
        span: expected holding time over the forecast's horizon; variance grows with it.
        risk_aversion: weight of variance against edge; 1 is the growth-optimal (Kelly) investor.
        min_change: changes of exposure smaller than this share of the risk limit in force are not made.
        shorts: whether exposure may be negative.
    """

    round_trip: float
    margin: float
    leave: float
    share: float
    premium: float
    span: float
    risk_aversion: float
    min_change: float
    shorts: bool = False


@dataclass(frozen=True, slots=True)
class Signal:
    """A target exposure (share of equity, negative for short) that differs from the one held, and why."""

    exposure: float
    reason: str


def decide(location: float, scale: float, held: float, cap: float, rule: EdgeRule) -> Signal | None:
    """The exposure to go to, or None to stay.

    Args:
        location, scale: centre and spread of the forecast log return over its horizon; NaN where no model is in force. A location of
            exactly zero is that of a source without an opinion, and a scale of zero that of a price that stands still.
        held: the present exposure as a share of equity, negative for short.
        cap: the largest exposure that the risk limits allow now, on either side.
    """
    if not (scale > 0.0 and location == location and location):  # nothing is known, so nothing is held
        return Signal(0.0, NO_MODEL) if held else None
    own, gain = location * rule.share, expected_gain(location, scale, rule)
    variance = rule.risk_aversion * scale * scale * rule.span
    side = 1.0 if held > 0.0 or (held == 0.0 and own > 0.0) else -1.0
    if side < 0.0 and not rule.shorts:
        return Signal(0.0, LEAVE) if held else None
    target = _one_side(own * side, gain * side, variance, held * side, cap, rule)
    if target == 0.0 and held and rule.shorts:  # out of one side; perhaps far enough to enter the other at once
        target = -_one_side(-own * side, -gain * side, variance, 0.0, cap, rule)
    return _signal(target * side, held, cap, rule)


def expected_gain(location: float, scale: float, rule: EdgeRule) -> float:
    """Expected log return of a long position over the expected holding time."""
    return location * rule.share + scale * rule.premium


def _one_side(own: float, gain: float, variance: float, held: float, cap: float, rule: EdgeRule) -> float:
    """The nearest point of the no-trade zone, for a position on the side where `own` and `gain` count as gains.

    `own` is the forecast itself, `gain` the whole expectation.
    """
    enter, leave = rule.margin * rule.round_trip, rule.leave * rule.round_trip
    low = min(cap, max(0.0, gain - enter) / variance) if own > 0.0 else 0.0
    high = min(cap, max(0.0, gain + leave) / variance) if own >= -max(enter, leave) else 0.0
    return low if held < low else min(held, high)


def _signal(target: float, held: float, cap: float, rule: EdgeRule) -> Signal | None:
    change = abs(target - held)
    if change == 0.0 or (change < rule.min_change * cap and not (target == 0.0 and held)):
        return None
    return Signal(target, reason_of(target, held, cap))


def reason_of(target: float, held: float, cap: float) -> str:
    """Why exposure goes from `held` to `target`, where `cap` is the largest that is allowed."""
    if target == 0.0 or target * held < 0.0:
        return LEAVE
    if held == 0.0:
        return ENTER
    if abs(target) > abs(held):
        return ADD
    return RISK if abs(held) > cap else REDUCE


def stays(location: Floats, scale: Floats, held: Floats, cap: Floats, rule: EdgeRule) -> NDArray[np.bool_]:
    """Where `decide` answers None, for many bars at once [T]: the same numbers, so that a replay may pass over such bars."""
    known = (scale > 0.0) & ~np.isnan(location) & (location != 0.0)
    own, variance = location * rule.share, rule.risk_aversion * scale * scale * rule.span
    gain = own + scale * rule.premium
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule.shorts:
            side = np.where((held > 0.0) | ((held == 0.0) & (own > 0.0)), 1.0, -1.0)
            target = _one_side_of(own * side, gain * side, variance, held * side, cap, rule)
            other = -_one_side_of(-own * side, -gain * side, variance, np.zeros(len(held)), cap, rule)
            target = np.where((target == 0.0) & (held != 0.0), other, target) * side
        else:
            target = np.where((held > 0.0) | (own > 0.0), _one_side_of(own, gain, variance, held, cap, rule), 0.0)
        change = np.abs(target - held)
        small = (change == 0.0) | ((change < rule.min_change * cap) & ~((target == 0.0) & (held != 0.0)))
    return np.where(known, small, held == 0.0)


def _one_side_of(own: Floats, gain: Floats, variance: Floats, held: Floats, cap: Floats, rule: EdgeRule) -> Floats:
    """`_one_side` for many bars."""
    enter, leave = rule.margin * rule.round_trip, rule.leave * rule.round_trip
    low = np.where(own > 0.0, np.minimum(cap, np.maximum(0.0, gain - enter) / variance), 0.0)
    high = np.where(own >= -max(enter, leave), np.minimum(cap, np.maximum(0.0, gain + leave) / variance), 0.0)
    return np.where(held < low, low, np.minimum(held, high))
