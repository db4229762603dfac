"""Finer candles inside those of a run: from a file, the store completed by a venue, or the sample market, as the candles themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidSetting, UnknownSymbol
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import DataKind, Timeframe
from forwardtrader.feeds.candles.inside import InsideCandles, inside_candles, made_up
from forwardtrader.feeds.candles.schema import PRICES, times_of
from forwardtrader.feeds.history.perpetual_facts import finer_marks
from forwardtrader.feeds.history.sample_detail import inside_sample
from forwardtrader.feeds.history.sample_market import decimals_of, sample_candles
from forwardtrader.feeds.history.sample_perpetual import perpetual_inside
from forwardtrader.feeds.history.sources import Found, HistoryRequest, from_file, from_store
from forwardtrader.feeds.venues.contracts import settle_currency


@dataclass(frozen=True, kw_only=True)
class DetailHistory:
    """Finer candles inside the bars of a run, and what a report must say of them.

    `candles` are those of the bars that they make up, `opened` the open time of the bar that each is inside of, and `marks` the open,
    high, low and close of a perpetual's mark in each, NaN where they are not known inside a bar; None for spot. Of `bars` bars `missing`
    lack finer candles, `disagreeing` are not what theirs make up, and inside `unknown_marks` of the others the mark is not known.
    """

    timeframe: Timeframe
    source: str
    candles: pd.DataFrame
    opened: pd.DatetimeIndex
    bars: int
    marks: pd.DataFrame | None = None
    missing: int = 0
    disagreeing: int = 0
    unknown_marks: int = 0
    source_notes: tuple[str, ...] = ()

    def within(self, bars: pd.DataFrame) -> DetailHistory:
        """Those inside these bars alone, where others were cut away."""
        is_there = self.opened.isin(bars.index)
        if is_there.all():
            return self
        marks = None if self.marks is None else self.marks.loc[is_there]
        return replace(self, candles=self.candles.loc[is_there], opened=self.opened[is_there], marks=marks)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not known, in a line each; `source_notes` are what the source said of its candles."""
        notes, step = [], self.timeframe
        if self.missing or self.disagreeing:
            whole = self.missing + self.disagreeing
            parts = [
                f"{self.missing:,} lack some" if self.missing else "",
                f"{self.disagreeing:,} are not what theirs make up" if self.disagreeing else "",
            ]
            told = ", ".join(part for part in parts if part)
            notes.append(f"{whole:,} of {self.bars:,} bars are met as a whole, without {step} bars inside: {told}")
        if self.unknown_marks:
            told = "a liquidation there goes by the mark of the whole bar, before any order that rests"
            notes.append(f"the mark price inside {self.unknown_marks:,} of {self.bars:,} bars is unknown; {told}")
        return tuple(notes)


@dataclass(frozen=True, kw_only=True)
class Whole:
    """The bars that finer ones are wanted for: frames as in `History`, of the traded days alone, and where they are from."""

    candles: pd.DataFrame
    timeframe: Timeframe
    is_made_up: bool
    is_of_file: bool
    marks: pd.DataFrame | None = None


def load_detail(
    settings: FeedSettings, symbol: str, whole: Whole, *, clock: Clock, file: Path | None = None, mark_file: Path | None = None
) -> DetailHistory:
    """The finer candles of `settings.detail` inside the bars of a symbol, from `file` where one is named, as the marks from `mark_file`.

    Raises:
        InvalidSetting: there are none inside any of the bars, or none of these is what they make up, or marks of what is no perpetual.
        CandleFileInvalid, StoreDamaged, VenueUnreachable, UnknownVenue: as `load_history`.
    """
    step = Timeframe.parse(settings.detail)
    request = HistoryRequest(settings=settings, symbol=symbol, timeframe=step, clock=clock)
    if mark_file is not None and whole.marks is None:
        raise InvalidSetting(f"{symbol} is no perpetual and has no mark price; leave {mark_file.name} out")
    found, marks = _found(request, whole, file, with_marks=whole.marks is not None and mark_file is None)
    known = marks if mark_file is None else from_file(request, mark_file).frame
    return inside_history(symbol, whole, found.frame, step, marks=known, source=found.source, notes=found.notes)


def inside_history(
    symbol: str, whole: Whole, finer: pd.DataFrame, step: Timeframe, *, marks: pd.DataFrame | None, source: str,
    notes: tuple[str, ...] = (),
) -> DetailHistory:  # fmt: skip
    """Finer candles at hand held against the bars that they are to make up, and finer marks, where they are known, against their marks.

    Raises:
        InvalidSetting: there are none inside any of the bars, or none of these is what they make up.
    """
    inside = inside_candles(whole.candles, whole.timeframe, finer, step)
    if not len(inside.candles):
        raise InvalidSetting(_nothing_of_use(symbol, whole, finer, step, source, inside))
    known, unknown = (None, 0) if whole.marks is None else _marks(inside, whole.marks, marks)
    return DetailHistory(
        timeframe=step, source=source, candles=inside.candles, opened=times_of(whole.candles)[inside.bar], bars=len(whole.candles),
        marks=known, missing=inside.missing, disagreeing=inside.disagreeing, unknown_marks=unknown, source_notes=notes,
    )  # fmt: skip


def _found(request: HistoryRequest, whole: Whole, file: Path | None, *, with_marks: bool) -> tuple[Found, pd.DataFrame | None]:
    """Finer candles, and marks where these are wanted and there."""
    settings, step = request.settings, request.timeframe
    if file is not None:
        found = from_file(request, file)
        return found, finer_marks(request, found, downloads=False) if with_marks else None
    if whole.is_made_up:
        return _from_sample(request, whole)
    if whole.is_of_file:
        raise InvalidSetting(
            f"--detail {step}: the candles of {request.symbol} are of a file; name one of its {step} candles too, with "
            f"--detail-data {request.symbol}=FILE"
        )
    begins, ends = _span(whole)
    try:
        found = from_store(request, begins, ends)
    except UnknownSymbol as none:
        if settings.source != "store":
            raise
        raise InvalidSetting(
            f"--detail {step}: no {step} candles of {request.symbol} are stored under {settings.exchange}; fetch them with forwardtrader "
            f"download --symbol {request.symbol} --timeframe {step}, or name a file with --detail-data"
        ) from none
    return found, finer_marks(request, found, downloads=settings.source != "store") if with_marks else None


def _span(whole: Whole) -> tuple[datetime, datetime]:
    index = times_of(whole.candles)
    return index[0].to_pydatetime(), index[-1].to_pydatetime() + whole.timeframe.delta


def _from_sample(request: HistoryRequest, whole: Whole) -> tuple[Found, pd.DataFrame | None]:
    settings, symbol, length, step, until = request.settings, request.symbol, whole.timeframe, request.timeframe, request.clock.now()
    seed, index = settings.sample_seed, times_of(whole.candles)
    if settle_currency(symbol):
        frame, marks = perpetual_inside(symbol, index, length, step, seed=seed, until=until)
    else:
        bars = sample_candles(symbol, length, seed=seed, until=until).loc[index]
        frame, marks = inside_sample(bars, length, step, symbol=symbol, seed=seed, decimals=decimals_of(symbol)), None
    return Found(frame=frame, kind=DataKind.SAMPLE, source=f"sample market, seed {seed}", venue=settings.exchange), marks


def _marks(inside: InsideCandles, whole: pd.DataFrame, finer: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    """The mark of each finer candle, where those of a bar make up its own; where the last price stands for that, it does inside too."""
    last = inside.candles[list(PRICES)]
    known = np.full(last.shape, np.nan)
    is_known = np.zeros(len(whole), dtype=bool)
    for each in (last, finer):
        if each is not None:
            marks = each[list(PRICES)].reindex(inside.candles.index)
            usable = ~np.isin(inside.bar, inside.bar[marks.isna().any(axis=1)])
            fits = made_up(marks.loc[usable], inside.bar[usable], whole)
            known[fits[inside.bar]] = marks.to_numpy()[fits[inside.bar]]
            is_known |= fits
    unknown = len(np.unique(inside.bar)) - int(is_known.sum())
    return pd.DataFrame(known, index=inside.candles.index, columns=list(PRICES)), unknown


def _nothing_of_use(symbol: str, whole: Whole, finer: pd.DataFrame, step: Timeframe, source: str, inside: InsideCandles) -> str:
    begins, ends = _span(whole)
    if inside.disagreeing:
        what = f"not one of the {whole.timeframe} bars of {symbol} is what the {step} candles from {source} make up"
        return f"--detail {step}: {what}: {inside.fault}; take candles of the same market, in the same units"
    index = times_of(finer)
    spans = f"span {index[0]:%Y-%m-%d} .. {index[-1]:%Y-%m-%d}" if len(index) else "are none"
    what = f"no {whole.timeframe} bar of {symbol} between {begins:%Y-%m-%d} and {ends:%Y-%m-%d} has all of its {step} candles"
    return f"--detail {step}: {what}: those from {source} {spans}; choose days that they cover, or leave --detail out"
