"""Marks and funding of a perpetual over the candles of a run, with what stands for what is not known, and what a report must say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV, Timeframe

PRICES: Final = OHLCV[:4]
_USUAL_HOURS: Final = 8
_LATE: Final = 1.5  # times the interval around without a settlement, and one is missing
_AROUND: Final = 3  # intervals on either side
_FAR: Final = 1.1  # times the last price; in five years of four perpetuals no hour's mark lay so far from it
_HOUR: Final = 3_600_000  # milliseconds


@dataclass(frozen=True, kw_only=True)
class PerpetualHistory:
    """What a perpetual has beside its candles.

    `marks` holds open, high, low and close on the index of the candles, `funding` a rate by settlement time; both are complete.
    `unknown_marks` bars have the last price for their mark, `prior_settlements` of the settlements have the prior for their rate,
    which is that of eight hours.
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
            prior = f"a prior of {self.prior * 1e4:g} bp each eight hours"
            notes.append(f"funding is unknown at {share}; {prior} stands for it (feeds.funding_prior_bps)")
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


def require_marks_of(candles: pd.DataFrame, marks: pd.DataFrame | None, symbol: str, source: str) -> None:
    """See that marks can be those of a symbol: funding is paid on them, and positions are liquidated by them.

    Raises:
        CandleFileInvalid: half of them lie far from the last price, as those of another contract or in another unit do.
    """
    if marks is None:
        return
    close = candles["close"].reindex(marks.index)
    ratio = float(np.nanmedian(marks["close"] / close)) if close.notna().any() else 1.0
    if not 1.0 / _FAR < ratio < _FAR:
        raise CandleFileInvalid(
            f"the mark price of {symbol} from {source} is {ratio:.4g} times its last price at half of the bars; take the marks of the same "
            f"contract, in the same unit"
        )


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
    settled, missing = _funding(candles, timeframe, funding, hours or _USUAL_HOURS, prior)
    return PerpetualHistory(
        marks=known, funding=settled, mark_source=mark_source, funding_source=funding_source, unknown_marks=unknown,
        prior_settlements=missing, prior=prior,
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
) -> tuple[pd.Series[float], int]:
    """Settlements of these candles, and how many of them have the prior for their rate."""
    begins, ends = candles.index[0], candles.index[-1] + timeframe.delta
    known = (
        pd.Series(dtype=np.float64, index=candles.index[:0])
        if funding is None
        else funding.loc[(funding.index >= begins) & (funding.index < ends)].sort_index()
    )
    times, span = (pd.DatetimeIndex(each).as_unit("ms").asi8 for each in (known.index, [begins, ends]))
    lacking = _lacking(times, int(span[0]), int(span[1]), hours * _HOUR)
    at = pd.to_datetime([time for time, _ in lacking], unit="ms", utc=True).astype(candles.index.dtype)
    filled = pd.Series([prior * every / (_USUAL_HOURS * _HOUR) for _, every in lacking], index=at, dtype=np.float64)
    joined = pd.concat([part for part in (known, filled) if len(part)]).sort_index() if len(known) or len(filled) else filled
    return joined.rename("rate"), len(filled)


def _lacking(times: NDArray[np.int64], begins: int, ends: int, usual: int) -> list[tuple[int, int]]:
    """When settlements are missing in [begins, ends), and the interval each stands for; all in milliseconds.

    Venues change the interval, so it is that of the settlements around, the longer one of those before and after. `usual` counts where
    there are too few.
    """
    if not len(times):
        return [(at, usual) for at in range(-(-begins // usual) * usual, ends, usual)]
    gaps = np.diff(times)
    least = max(usual, _USUAL_HOURS * _HOUR)
    first, last = (min(int(np.median(some)), least) if len(some) else usual for some in (gaps[:_AROUND], gaps[-_AROUND:]))
    found = [(at, first) for at in range(int(times[0]) - first, begins - 1, -first)]
    for i, gap in enumerate(gaps.tolist()):
        sides = [int(np.median(side)) for side in (gaps[max(0, i - _AROUND) : i], gaps[i + 1 : i + 1 + _AROUND]) if len(side)]
        every = max(sides, default=usual)
        if gap > _LATE * every:
            found += [(int(times[i]) + n * every, every) for n in range(1, round(gap / every))]
    return sorted(found + [(at, last) for at in range(int(times[-1]) + last, ends, last)])
