"""The record of one account that several strategies traded, one after the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from forwardtrader.strategies.backtrader.assembly import Record


@dataclass(frozen=True)
class Leg:
    """What one strategy did, from the bar that opens at `since` (UTC) up to the one on which the next took over."""

    since: datetime
    record: Record


def joined(legs: Sequence[Leg]) -> Record:
    """One record of all legs. On the bar on which a strategy takes over, the account is as the one before it left it.

    Deposits of an earlier leg are no return of a later one: equity stays in the shares that the account was opened with.
    """
    ends: list[datetime | None] = [leg.since for leg in legs[1:]]
    curves, fills, share, orders = [], [], 1.0, 0
    for leg, end in zip(legs, [*ends, None], strict=True):
        curve = _in_opening_shares(leg.record.equity, share)
        if end is not None:
            last = curve.iloc[-1]
            share = float(last["equity"] / last["value"]) if "value" in curve and last["value"] else 1.0
            curve = curve.loc[curve.index < pd.Timestamp(end)]
        curves.append(curve)
        fills.append(_numbered_from(leg.record.fills, orders))
        orders += int(pd.to_numeric(leg.record.fills["order_ref"], errors="coerce").max()) if len(leg.record.fills) else 0
    last_record = legs[-1].record
    return replace(
        last_record,
        fills=pd.concat([part for part in fills if len(part)] or fills[:1], ignore_index=True),
        equity=_one_curve(curves),
        stops=pd.concat([leg.record.stops for leg in legs if len(leg.record.stops)] or [last_record.stops], ignore_index=True),
        refused=_summed([leg.record for leg in legs]),
        deposits=sum(leg.record.deposits for leg in legs),
        ended={symbol: note for leg in reversed(legs) for symbol, note in leg.record.ended.items()},
        backtest_only={symbol: note for leg in legs for symbol, note in leg.record.backtest_only.items()},
        reads_forecasts=any(leg.record.reads_forecasts for leg in legs),
    )


def _in_opening_shares(curve: pd.DataFrame, share: float) -> pd.DataFrame:
    if share == 1.0:
        return curve
    worth = curve["value"] if "value" in curve else curve["equity"]
    return curve.assign(value=worth, equity=curve["equity"] * share, cash=curve["cash"] * share)


def _one_curve(curves: Sequence[pd.DataFrame]) -> pd.DataFrame:
    if any("value" in curve for curve in curves):
        curves = [curve if "value" in curve else curve.assign(value=curve["equity"]) for curve in curves]
    return pd.concat([curve for curve in curves if len(curve)])


def _numbered_from(fills: pd.DataFrame, orders: int) -> pd.DataFrame:
    """The fills with the numbers of their orders behind those of earlier legs."""
    return fills.assign(order_ref=[str(int(ref) + orders) for ref in fills["order_ref"]]) if orders and len(fills) else fills


def _summed(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    total: dict[str, Counter[str]] = {}
    for record in records:
        for symbol, reasons in record.refused.items():
            total.setdefault(symbol, Counter()).update(reasons)
    return {symbol: dict(reasons) for symbol, reasons in total.items()}
