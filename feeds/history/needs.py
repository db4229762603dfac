"""What a run needs to know of the past of one symbol, wherever it has to come from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from forwardtrader.core import fingerprint
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidDates
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import DataKind, MarketRules, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Gap
from forwardtrader.feeds.history.sources import Found, Wish, from_file, from_sample, from_store
from forwardtrader.feeds.venues.market_rules import market_rules


@dataclass(frozen=True, kw_only=True)
class History:
    """Closed candles of one symbol, with everything a report must say about them.

    `candles` is a frame as described in `feeds.candles.schema`; `source` is for people ("binance", "file btc.csv",
    "sample market, seed 0"); `notes` are lines a user should read; `fingerprint` is `core.fingerprint.of_frame(candles)`.
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

    @property
    def is_made_up(self) -> bool:
        """Whether no venue printed it, not even a practice exchange."""
        return self.source.startswith("sample market")


def load_history(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None
) -> History:
    """Find the candles of `symbol` that open in [start, end), from the source that `settings.source` names or from a `file`.

    `auto` takes the store, downloads what it lacks, and falls back on the sample market only if the store holds nothing of the symbol and
    no venue can be reached. A store that no venue could complete is used as it is, with a note.

    Args:
        start: first open time wanted; None for all there is.
        end: exclusive; None for up to now.

    Raises:
        InvalidDates: `end` is not after `start`, or the source has no bar in between.
        CandleFileInvalid: the file is unusable.
        UnknownSymbol, UnknownTimeframe, UnknownVenue: nobody knows the name; the message names the nearest.
        VenueUnreachable: no venue answers and nothing else will do.
        StoreDamaged: the stored file is broken and could not be fetched again.
    """
    if start is not None and end is not None and end <= start:
        raise InvalidDates(f"the range ends ({end:%Y-%m-%d}) before it begins ({start:%Y-%m-%d}); give a later end")
    wish = Wish(settings=settings, symbol=symbol, timeframe=Timeframe.parse(settings.timeframe), clock=clock)
    if file is not None:
        found = from_file(wish, file)
    elif settings.source == "sample":
        found = from_sample(wish)
    else:
        found = from_store(wish, start, end)
    return _finished(wish, found, start, end)


def _finished(wish: Wish, found: Found, start: datetime | None, end: datetime | None) -> History:
    frame = _between(found.frame, start, end)
    if not len(frame):
        raise InvalidDates(_nothing_there(wish, found, start))
    gaps = candles.find_gaps(candles.times_of(frame), wish.timeframe)
    listed = candles.describe_gaps(gaps)
    return History(
        symbol=wish.symbol,
        timeframe=wish.timeframe,
        candles=frame,
        kind=found.kind,
        source=found.source,
        gaps=gaps,
        fingerprint=fingerprint.of_frame(frame),
        rules=market_rules(wish.symbol, found.venue, store_path=wish.settings.store_path, frame=frame),
        notes=(*found.notes, *([f"{wish.symbol}: {listed}"] if listed else [])),
    )


def _between(frame: pd.DataFrame, start: datetime | None, end: datetime | None) -> pd.DataFrame:
    index = candles.times_of(frame)
    first = 0 if start is None else index.searchsorted(pd.Timestamp(start))
    last = len(index) if end is None else index.searchsorted(pd.Timestamp(end))
    return candles.cut(frame, int(first), int(last))


def _nothing_there(wish: Wish, found: Found, start: datetime | None) -> str:
    if not len(found.frame):
        return f"{found.source} has no closed bar of {wish.symbol} {wish.timeframe} yet; choose another symbol or timeframe"
    index = candles.times_of(found.frame)
    span = f"{index[0]:%Y-%m-%d} .. {index[-1]:%Y-%m-%d}"
    asked = "" if start is None else f" from {start:%Y-%m-%d} on"
    return f"{wish.symbol} {wish.timeframe} from {found.source} spans {span}: no bar in the range asked for{asked}; choose days inside it"
