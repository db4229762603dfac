"""Marks and funding of a perpetual over the candles of a run, with what stands for what is not known, and what a report must say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import OHLCV, Timeframe

PRICES: Final = OHLCV[:4]
_USUAL_HOURS: Final = 8
_LATE: Final = 1.5  # times the usual interval without a settlement, and one is missing


@dataclass(frozen=True, kw_only=True)
class PerpetualHistory:
    """What a perpetual has beside its candles.

    `marks` holds open, high, low and close on the index of the candles, `funding` a rate by settlement time; both are complete.
    `unknown_marks` bars have the last price for their mark, `prior_settlements` of the settlements have the prior for their rate.
    """

    marks: pd.DataFrame
    funding: pd.Series[float]
    mark_source: str
    funding_source: str
    unknown_marks: int = 0
    prior_settlements: int = 0
    prior: float = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not known, in a line each."""
        notes = []
        if self.prior_settlements:
            share = f"{self.prior_settlements:,} of {len(self.funding):,} settlements"
            notes.append(f"funding is unknown at {share}; a prior of {self.prior * 1e4:g} bp each stands for it (feeds.funding_prior_bps)")
        if self.unknown_marks:
            notes.append(f"the mark price is unknown at {self.unknown_marks:,} of {len(self.marks):,} bars; the last price stands for it")
        return tuple(notes)

    def charges(self, timeframe: Timeframe) -> pd.Series[float]:
        """What a long of one unit pays a short as each bar opens, in quote; a settlement is of the first bar that ends after it."""
        index = pd.DatetimeIndex(self.marks.index)
        bar = (index + timeframe.delta).searchsorted(pd.DatetimeIndex(self.funding.index), side="right")
        due = (bar < len(index)) & (self.funding.index >= index[0])
        rates = np.bincount(bar[due], weights=self.funding.to_numpy(dtype=np.float64)[due], minlength=len(index))
        return pd.Series(rates * self.marks["open"].to_numpy(dtype=np.float64), index=index, name="charge")


def completed(
    candles: pd.DataFrame, timeframe: Timeframe, marks: pd.DataFrame | None, funding: pd.Series[float] | None, *, hours: int, prior: float,
    mark_source: str = "", funding_source: str = "",
) -> PerpetualHistory:  # fmt: skip
    """Marks and funding for every bar of `candles`.

    Args:
        marks, funding: what is known; None for nothing.
        hours: between two settlements, as the venue says; 0 where it does not.
        prior: the rate of a settlement of eight hours that is not known; for shorter intervals a smaller share.
    """
    known, unknown = _marks(candles, marks)
    settled, missing, rate = _funding(candles, timeframe, funding, hours or _USUAL_HOURS, prior)
    return PerpetualHistory(
        marks=known, funding=settled, mark_source=mark_source, funding_source=funding_source, unknown_marks=unknown,
        prior_settlements=missing, prior=rate,
    )  # fmt: skip


def _marks(candles: pd.DataFrame, marks: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    last = candles[list(PRICES)]
    if marks is None:
        return last.copy(), len(last)
    known = marks[list(PRICES)].reindex(candles.index)
    lacks = known.isna().any(axis=1)
    joined = known.where(~lacks, last)
    joined["high"], joined["low"] = joined.max(axis=1), joined.min(axis=1)
    return joined, int(lacks.sum())


def _funding(
    candles: pd.DataFrame, timeframe: Timeframe, funding: pd.Series[float] | None, hours: int, prior: float
) -> tuple[pd.Series[float], int, float]:
    begins, ends = candles.index[0], candles.index[-1] + timeframe.delta
    known = (
        pd.Series(dtype=np.float64, index=candles.index[:0])
        if funding is None
        else funding.loc[(funding.index >= begins) & (funding.index < ends)]
    )
    step = pd.Timedelta(hours=hours)
    due = pd.date_range(begins.ceil(step), ends, freq=step, inclusive="left")
    times = pd.DatetimeIndex(known.index).as_unit("ms").asi8
    expected = due.as_unit("ms").asi8
    place = np.searchsorted(times, expected)
    before = np.where(place > 0, expected - times[np.maximum(place - 1, 0)], np.iinfo(np.int64).max) if len(times) else None
    after = (
        np.where(place < len(times), times[np.minimum(place, len(times) - 1)] - expected, np.iinfo(np.int64).max) if len(times) else None
    )
    reach = int(_USUAL_HOURS * 3_600_000 * (_LATE - 1.0))
    lacking = np.ones(len(due), dtype=bool) if before is None or after is None else (before > reach) & (after > reach)
    rate = prior * hours / _USUAL_HOURS
    filled = pd.Series(rate, index=due[lacking])
    joined = pd.concat([part for part in (known, filled) if len(part)]).sort_index() if len(known) or len(filled) else filled
    return joined.rename("rate"), int(lacking.sum()), rate
