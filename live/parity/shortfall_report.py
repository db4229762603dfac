"""Parity with fills of a venue's own: the forecasts must be equal, the rest is what trading cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forwardtrader.core.settings import StrategySettings
from forwardtrader.live.parity.shortfall import Cost, Sent, cost_of, totals
from forwardtrader.live.parity.shortfall_journal import sent_orders
from forwardtrader.reports.pages.parity_page import Shortfall

_LISTED: Final = 10


def measured(folder: Path, candles: Mapping[str, pd.DataFrame], equity: tuple[float, float], settings: StrategySettings) -> Shortfall:
    """The implementation shortfall of the session in `folder`.

    Args:
        candles: the session's own, by symbol.
        equity: at the end, of the session and of its replay.
    """
    orders = sent_orders(folder, candles)
    costs = [cost_of(order) for order in orders]
    told = totals(costs)
    return Shortfall(
        orders=len(orders), filled=sum(order.filled > 0 for order in orders), **told,
        total_bps=_bps(told["total"], told["value"]),
        assumed_bps=_bps((settings.fee_bps + settings.slippage_bps) / 1e4 * _filled_value(orders), told["value"]),
        session_equity=equity[0], replay_equity=equity[1],
        by_symbol={s: totals(c for c in costs if c.symbol == s) for s in sorted({c.symbol for c in costs})},
        costliest=[_row(cost) for cost in sorted(costs, key=lambda c: -c.total)[:_LISTED]],
    )  # fmt: skip


def _filled_value(orders: list[Sent]) -> float:
    return sum(order.filled * order.paid for order in orders)


def _row(cost: Cost) -> dict[str, Any]:
    at = pd.Timestamp(cost.at, unit="ms", tz="UTC").isoformat()
    return {**asdict(cost), "at": at, "total": cost.total}


def _bps(part: float, whole: float) -> float:
    return part / whole * 1e4 if whole else 0.0
