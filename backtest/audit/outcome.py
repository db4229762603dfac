"""Outcome of one pipeline of an audit, and the comparison of two of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.reports.forecast_judgement import rank_products
from forwardtrader.strategies.backtrader.assembly import Record


class Account(Protocol):
    """What an account did in one run; None where nothing was traded."""

    @property
    def record(self) -> Record | None: ...

    @property
    def orders(self) -> pd.DataFrame | None: ...


@dataclass(frozen=True)
class AuditOutcome:
    """Outcome of one pipeline: forecasts per symbol, and the account's orders, fills and equity."""

    walk: WalkForward
    record: Record | None = None
    orders: pd.DataFrame | None = None


def elsewhere(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Bars whose newest one opens on the way to a close `factor` times as high; volume, which is wilder, goes farther."""
    changed, newest = bars.copy(), bars.index[-1]
    prices = {name: float(bars[name].iloc[-1]) for name in ("open", "high", "low", "close", "volume")}
    opened, closed = prices["open"] * math.sqrt(factor), prices["close"] * factor
    moved = {"open": opened, "high": max(prices["high"], opened, closed), "low": min(prices["low"], opened, closed), "close": closed}
    changed.loc[newest, list(moved)] = list(moved.values())
    changed.loc[newest, "volume"] = (prices["volume"] or 1.0) * factor**10
    return changed


def forecast_pairs(whole: AuditOutcome, part: AuditOutcome, until: pd.Timestamp) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """Forecasts of every symbol and horizon up to `until`: a name, the part's, the whole's."""
    for symbol in whole.walk.panel.symbols:
        for horizon in whole.walk.settings.horizons:
            frames = [_numbers(outcome.walk.frame(symbol, horizon).loc[:until]) for outcome in (part, whole)]
            yield f"forecasts of {symbol} over {horizon}", frames[0], frames[1]


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Forecasts without their outcomes and without model ids, which depend on the training data."""
    return frame.loc[frame["location"].notna()].drop(columns=["realised", "model_id"])


def account_pairs(
    whole: Account, part: Account, until: pd.Timestamp, *, followed: bool = False
) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame]]:
    """What each did up to `until`: its fills, orders and equity; `followed` where the part has a bar after it."""
    if whole.record is None or part.record is None:
        return
    # Orders are numbered from the first bar of the warm-up on, in which every one is refused: neither is something the account did.
    numbered = (record.fills.drop(columns="order_ref") for record in (part.record, whole.record))
    fills = [frame.loc[pd.to_datetime(frame["timestamp"], utc=True) <= until] for frame in numbered]
    yield "fills", *(frame.reset_index(drop=True) for frame in fills)  # type: ignore[misc]
    if whole.orders is not None and part.orders is not None:
        # Orders decided at the very last bar were not notified any more.
        followed_up = until if followed else until - pd.Timedelta(1, "ns")
        first = whole.record.equity.index.min()
        orders = [frame.loc[frame["timestamp"].between(first, followed_up)] for frame in (part.orders, whole.orders)]
        yield "orders", *(frame.reset_index(drop=True) for frame in orders)  # type: ignore[misc]
    yield "equity", part.record.equity.loc[:until], whole.record.equity.loc[:until]


def products(walk: WalkForward, symbol: str, horizon: int) -> pd.Series:
    """Whose mean is the rank IC."""
    frame = walk.frame(symbol, horizon)
    return rank_products(frame["location"], frame["realised"])


def rank_ic(walk: WalkForward, horizon: int) -> float:
    """The mean over symbols."""
    return float(np.mean([products(walk, symbol, horizon).mean() for symbol in walk.panel.symbols]))


def scored(walk: WalkForward, horizon: int) -> int:
    """How many outcomes that share no bar stand behind a score."""
    bars = min(len(products(walk, symbol, horizon)) for symbol in walk.panel.symbols)
    return math.ceil(bars / horizon)
