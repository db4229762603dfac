"""Candle history of one symbol for a run, whatever its source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import pandas as pd

from forwardtrader.core import fingerprint
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidDates, InvalidSetting
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import DataKind, MarketRules, Spans, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Gap
from forwardtrader.feeds.confirmation.judged import JudgedHistory
from forwardtrader.feeds.history.detail import DetailHistory
from forwardtrader.feeds.history.perpetual_facts import NO_FILES, FactFiles, perpetual_facts
from forwardtrader.feeds.history.sources import Found, HistoryRequest, from_file, from_sample, from_store, is_sample_market
from forwardtrader.feeds.perpetuals.facts import PerpetualHistory
from forwardtrader.feeds.venues.market_rules import market_rules


@dataclass(frozen=True, kw_only=True)
class History:
    """Closed candles of one symbol, with all that a report must state about them.

    `candles` is a frame as described in `feeds.candles.schema`; `source` is for people ("binance", "file btc.csv",
    "sample market, seed 0"); `notes` are lines a user should read; `fingerprint` is `history_fingerprint` of it; `perpetual` has the marks
    and funding of a perpetual;
    `members` are the spans in which the symbol may be traded, None for all of time; `detail` are finer candles inside them, None where none
    were asked for; `venues` are the verdicts about its venue and others of the same market, None where no other one confirms it.
    """

    symbol: str
    timeframe: Timeframe
    candles: pd.DataFrame
    kind: DataKind
    source: str
    gaps: tuple[Gap, ...]
    fingerprint: str
    rules: MarketRules
    notes: tuple[str, ...] = ()
    perpetual: PerpetualHistory | None = None
    members: Spans | None = None
    detail: DetailHistory | None = None
    venues: JudgedHistory | None = None

    @property
    def is_made_up(self) -> bool:
        """Whether it is the sample market, not from any venue."""
        return is_sample_market(self.source)


def load_history(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None,
    facts: FactFiles = NO_FILES,
) -> History:  # fmt: skip
    """Load the candles of `symbol` that open in [start, end), from the source that `settings.source` names or from a `file`.

    `auto` takes the store, downloads what it lacks, and falls back on the sample market only if the store holds nothing of the symbol and
    no venue can be reached. A store that no venue could complete is used as it is, with a note.

    Args:
        start: first open time wanted; None for all there is.
        end: exclusive; None for up to now.
        facts: files of a perpetual's funding and mark price.

    Raises:
        InvalidDates: `end` is not after `start`, or the source has no bar in between.
        CandleFileInvalid: the file is unusable.
        UnknownSymbol, UnknownTimeframe, UnknownVenue: an unknown name; the message suggests the nearest.
        VenueUnreachable: no venue answers and nothing else will do.
        StoreDamaged: the stored file is broken and could not be fetched again.
    """
    request, found = _found(settings, symbol, start, end, clock, file)
    history = _finished(request, found, start, end)
    if not history.rules.is_perpetual:
        if facts != NO_FILES:
            raise InvalidSetting(f"{symbol} is no perpetual and has neither funding nor a mark price; leave the file out")
        return history
    return with_facts(history, perpetual_facts(request, found, history.candles, history.rules, facts, of_file=file is not None))


def load_candle_history(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None
) -> tuple[History, str]:
    """As `load_history`, of a perpetual without marks and funding; and the venue whose rules it goes by."""
    request, found = _found(settings, symbol, start, end, clock, file)
    return _finished(request, found, start, end), found.venue


def _found(
    settings: FeedSettings, symbol: str, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None
) -> tuple[HistoryRequest, Found]:
    if start is not None and end is not None and end <= start:
        raise InvalidDates(f"the range ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}); give a later end")
    request = HistoryRequest(settings=settings, symbol=symbol, timeframe=Timeframe.parse(settings.timeframe), clock=clock)
    if file is not None:
        return request, from_file(request, file)
    if settings.source == "sample":
        return request, from_sample(request)
    return request, from_store(request, start, end)


def with_facts(history: History, beside: PerpetualHistory) -> History:
    """The history of a perpetual with its marks and funding, and a note on each that is not known."""
    notes = (*history.notes, *(f"{history.symbol}: {note}" for note in beside.notes))
    return replace(history, perpetual=beside, notes=notes, fingerprint=history_fingerprint(history.candles, beside))


def history_fingerprint(
    frame: pd.DataFrame, beside: PerpetualHistory | None = None, detail: DetailHistory | None = None, venues: JudgedHistory | None = None
) -> str:
    """Fingerprint of candles, with the columns of factors beside them, and of all that goes with them: other values make another trial."""
    found = fingerprint.of_frame(frame)
    if beside is not None:
        own = {"marks": fingerprint.of_frame(beside.marks), "funding": fingerprint.of_frame(beside.funding.to_frame())}
        found = fingerprint.of_value([found, own])
    if detail is not None:
        inside = [fingerprint.of_frame(each) for each in (detail.candles, detail.marks) if each is not None]
        found = fingerprint.of_value([found, inside])
    if venues is not None:
        found = fingerprint.of_value([found, fingerprint.of_frame(venues.signals), sorted(venues.objections())])
    return found


def _finished(request: HistoryRequest, found: Found, start: datetime | None, end: datetime | None) -> History:
    frame = _between(found.frame, start, end)
    if not len(frame):
        raise InvalidDates(_nothing_there(request, found, start))
    gaps = candles.find_gaps(candles.times_of(frame), request.timeframe)
    listed = candles.describe_gaps(gaps)
    return History(
        symbol=request.symbol,
        timeframe=request.timeframe,
        candles=frame,
        kind=found.kind,
        source=found.source,
        gaps=gaps,
        fingerprint=fingerprint.of_frame(frame),
        rules=market_rules(request.symbol, found.venue, store_path=request.settings.store_path, frame=frame),
        notes=(*found.notes, *([f"{request.symbol}: {listed}"] if listed else [])),
    )


def _between(frame: pd.DataFrame, start: datetime | None, end: datetime | None) -> pd.DataFrame:
    index = candles.times_of(frame)
    first = 0 if start is None else index.searchsorted(pd.Timestamp(start))
    last = len(index) if end is None else index.searchsorted(pd.Timestamp(end))
    return candles.cut(frame, int(first), int(last))


def _nothing_there(request: HistoryRequest, found: Found, start: datetime | None) -> str:
    if not len(found.frame):
        return f"{found.source} has no closed bar of {request.symbol} {request.timeframe} yet; choose another symbol or timeframe"
    index = candles.times_of(found.frame)
    span = f"{index[0]:%Y-%m-%d} .. {index[-1]:%Y-%m-%d}"
    wanted = "" if start is None else f" from {start:%Y-%m-%d} on"
    spans = f"{request.symbol} {request.timeframe} from {found.source} spans {span}"
    return f"{spans}: no bar in the requested range{wanted}; choose days inside it"
