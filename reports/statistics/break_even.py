"""Break-even: the hit rate and information coefficient that pay for trading costs."""

from __future__ import annotations

import math


def break_even_accuracy(mean_move: float, round_trip_cost: float) -> float:
    """Share of right calls at which trading every bar earns nothing: `1/2 + cost / (2 E|r|)`.

    Args:
        mean_move: mean absolute return per bar, as a fraction.
        round_trip_cost: fees, spread and slippage of entry and exit together, as a fraction of the traded value.

    Returns:
        Above 1 where even perfect calls would not pay; NaN for a market that does not move.
    """
    return 0.5 + round_trip_cost / (2.0 * mean_move) if mean_move > 0 else math.nan


def hit_rate(rank_ic: float) -> float:
    """Share of right calls that an information coefficient implies for normal returns: `1/2 + asin(IC) / pi`."""
    return 0.5 + math.asin(max(-1.0, min(1.0, rank_ic))) / math.pi


def bars_to_show(ic: float, *, power: float = 0.8, level: float = 0.05) -> float:
    """Independent bars needed to show an information coefficient above zero: `((z(1-level) + z(power)) / IC)^2`."""
    from forwardtrader.reports.statistics.significance import normal_quantile

    return math.inf if ic == 0 else ((normal_quantile(1.0 - level) + normal_quantile(power)) / ic) ** 2
