"""What a run needs to know of the past of one symbol, wherever it has to come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import pandas as pd

from core import fingerprint, log
from core.clock import Clock
from core.errors import InvalidDates, UnknownSymbol
from core.settings import FeedSettings
from core.types import DataKind, MarketRules, Timeframe
from feeds import candles, sample_market
from feeds.candle_store import CandleKey, CandleStore
from feeds.candles import Gap, Origin
from feeds.market_rules import market_rules

_LOG: Final = log.logger("feeds")


@dataclass(frozen=True, kw_only=True)
class History:
    """Closed candles of one symbol, with everything a report must say about them.

    `candles` is a frame as described in `feeds.candles`; `source` is one of people's words ("binance", "file btc.csv", "sample market,
    seed 0"); `notes` are lines a user should read; `fingerprint` is `core.fingerprint.of_frame(candles)`.
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


def load_history(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None
) -> History:
    """Find the candles of `symbol` that open in [start, end), from the source that `settings.source` names or a `file`.

    `auto` takes the store, downloads what it lacks, and falls back on the sample market only if the store holds nothing of the symbol and
    no venue can be reached. A store that a venue could not complete is used as it is, with a note.

    Args:
        start: first open time wanted; None for all there is.
        end: exclusive; None for up to now.

    Raises:
        InvalidDates: `end` is not after `start`, or the source has no bar in between.
        CandleFileInvalid: the file is unusable; UnknownSymbol, UnknownTimeframe, UnknownVenue: nobody knows the name.
        VenueUnreachable: source `download`, and no venue answers; StoreDamaged: the stored file is broken and could not be fetched again.
    """
    if start is not None and end is not None and end <= start:
        raise InvalidDates(f"the range ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}); give a later end")
    timeframe = Timeframe.parse(settings.timeframe)
    if file is not None:
        found = _from_file(settings, symbol, timeframe, clock, file)
    elif settings.source == "sample":
        found = _from_sample(settings, symbol, timeframe, clock)
    else:
        found = _from_store(settings, symbol, timeframe, clock, start, end)
    return _finished(found, start, end)


@dataclass(frozen=True, kw_only=True)
class _Found:
    symbol: str
    timeframe: Timeframe
    frame: pd.DataFrame
    kind: DataKind
    source: str
    venue: str
    store_path: str
    notes: tuple[str, ...] = ()


def _finished(found: _Found, start: datetime | None, end: datetime | None) -> History:
    frame = _between(found.frame, start, end)
    if not len(frame):
        raise InvalidDates(_nothing_there(found, start))
    gaps = candles.find_gaps(candles.times_of(frame), found.timeframe)
    listed = candles.describe_gaps(gaps)
    notes = (*found.notes, f"{found.symbol}: {listed}") if listed else found.notes
    return History(
        symbol=found.symbol,
        timeframe=found.timeframe,
        candles=frame,
        kind=found.kind,
        source=found.source,
        gaps=gaps,
        fingerprint=fingerprint.of_frame(frame),
        rules=market_rules(found.symbol, found.venue, store_path=found.store_path, frame=frame),
        notes=notes,
    )


def _between(frame: pd.DataFrame, start: datetime | None, end: datetime | None) -> pd.DataFrame:
    index = candles.times_of(frame)
    first = 0 if start is None else index.searchsorted(pd.Timestamp(start))
    last = len(index) if end is None else index.searchsorted(pd.Timestamp(end))
    return frame.iloc[int(first) : int(last)]


def _nothing_there(found: _Found, start: datetime | None) -> str:
    if not len(found.frame):
        return f"{found.source} has no closed bar of {found.symbol} {found.timeframe} yet; choose another symbol or timeframe"
    index = candles.times_of(found.frame)
    asked = "" if start is None else f" from {start:%Y-%m-%d} on"
    return f"{found.symbol} {found.timeframe} from {found.source} spans {index[0]:%Y-%m-%d} .. {index[-1]:%Y-%m-%d}: no bar in the range asked for{asked}"


def _from_file(settings: FeedSettings, symbol: str, timeframe: Timeframe, clock: Clock, file: Path) -> _Found:
    from feeds.file_import import read_candles

    frame = read_candles(file, symbol, timeframe, clock)
    return _Found(
        symbol=symbol,
        timeframe=timeframe,
        frame=frame,
        kind=DataKind.REAL,
        source=f"file {file.name}",
        venue=settings.exchange,
        store_path=settings.store_path,
    )


def _from_sample(settings: FeedSettings, symbol: str, timeframe: Timeframe, clock: Clock, notes: tuple[str, ...] = ()) -> _Found:
    frame = sample_market.sample_candles(symbol, timeframe, seed=settings.sample_seed, until=clock.now())
    return _Found(
        symbol=symbol,
        timeframe=timeframe,
        frame=candles.validate(frame, timeframe, origin=Origin("sample market"), now=clock.now()),
        kind=DataKind.SAMPLE,
        source=f"sample market, seed {settings.sample_seed}",
        venue=settings.exchange,
        store_path=settings.store_path,
        notes=(*notes, f"{symbol}: SAMPLE data, simulated by this project; no market ever printed these prices"),
    )


def _from_store(
    settings: FeedSettings, symbol: str, timeframe: Timeframe, clock: Clock, start: datetime | None, end: datetime | None
) -> _Found:
    store = CandleStore(settings.store_path, clock)
    key = CandleKey(settings.exchange, symbol, timeframe)
    stored = store.read(key)
    if stored is None:
        raise UnknownSymbol(f"the store holds nothing of {key}")
    return _Found(
        symbol=symbol,
        timeframe=timeframe,
        frame=stored.candles,
        kind=DataKind.REAL,
        source=stored.info.source,
        venue=key.venue,
        store_path=settings.store_path,
    )
