"""Sources of candle history: a file, the store completed by a venue, or the sample market, and the order in which they are tried."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import DownloadCutShort, StoreDamaged, TradingError, UnknownSymbol, UnknownTimeframe, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import DataKind, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.file import Stored
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.history import sample_market
from forwardtrader.feeds.history.download import EARLIEST, obtain
from forwardtrader.feeds.history.pager import TimeRange, missing_ranges
from forwardtrader.feeds.history.sample_perpetual import listed_perpetuals, perpetual_candles
from forwardtrader.feeds.venues.contracts import settle_currency
from forwardtrader.feeds.venues.port import is_practice, stored_under, unknown_symbol

_LOG: Final = log.logger("feeds")
_SAMPLE: Final = "sample market, seed "


@dataclass(frozen=True, kw_only=True)
class HistoryRequest:
    """The requested candles: symbol, timeframe and feed settings."""

    settings: FeedSettings
    symbol: str
    timeframe: Timeframe
    clock: Clock

    @property
    def key(self) -> CandleKey:
        return CandleKey(stored_under(self.settings.exchange, self.settings.exchange_url), self.symbol, self.timeframe)

    @property
    def store(self) -> CandleStore:
        return CandleStore(self.settings.store_path, self.clock)


@dataclass(frozen=True, kw_only=True)
class Found:
    """All candles of one source, not yet cut to the requested range."""

    frame: pd.DataFrame
    kind: DataKind
    source: str
    venue: str
    notes: tuple[str, ...] = ()


def from_file(request: HistoryRequest, file: Path) -> Found:
    """The candles of a file, which does not enter the store. Raises `CandleFileInvalid`."""
    from forwardtrader.feeds.files.import_file import read_file
    from forwardtrader.feeds.files.times import notation_of

    settings = request.settings
    notation = notation_of(settings.date_format, settings.file_zone, settings.stamped)
    read = read_file(file, request.symbol, request.timeframe, request.clock, settings.max_file_mb, notation)
    notes = tuple(f"{request.symbol}: {note}" for note in read.notes)
    return Found(frame=read.candles, kind=DataKind.REAL, source=f"file {file.name}", venue=settings.exchange, notes=notes)


def from_sample(request: HistoryRequest, *, notes: tuple[str, ...] = ()) -> Found:
    """The sample market, marked as such. Raises `UnknownSymbol` for a name it does not list."""
    listed = [*sample_market.listed_symbols(), *listed_perpetuals()]
    if request.symbol not in listed:
        raise UnknownSymbol(unknown_symbol(request.symbol, listed, "the sample market"))
    now, seed = request.clock.now(), request.settings.sample_seed
    made = perpetual_candles if settle_currency(request.symbol) else sample_market.sample_candles
    frame = made(request.symbol, request.timeframe, seed=seed, until=now)
    return Found(
        frame=candles.validate(frame, request.timeframe, origin=Origin("sample market"), now=now),
        kind=DataKind.SAMPLE,
        source=f"{_SAMPLE}{seed}",
        venue=request.settings.exchange,
        notes=(*notes, f"{request.symbol}: SAMPLE data, simulated by this project; no market ever printed these prices"),
    )


def is_sample_market(source: str) -> bool:
    """Whether candles of this source are of the sample market."""
    return source.startswith(_SAMPLE)


def sample_seed(source: str) -> int:
    """The seed of the sample market that candles of this source are of."""
    return int(source.removeprefix(_SAMPLE))


def from_store(request: HistoryRequest, start: datetime | None, end: datetime | None) -> Found:
    """The store, completed by a venue unless the source is `store`; see `feeds.history.needs.load_history` for what follows a failure."""
    kept, damage = _read(request, request.key)
    if request.settings.source == "store":
        if damage:
            raise damage
        if kept is None:
            raise UnknownSymbol(_not_stored(request))
        return kept.found()
    now = request.clock.now()
    cache = timedelta(minutes=request.settings.cache_minutes)
    wanted = TimeRange(_first_wanted(start, kept), min(end or now, now))
    if kept and not _needs_download(request, kept, wanted, cache):
        return kept.found()
    try:
        key = obtain(request.settings, request.symbol, request.timeframe, wanted, store=request.store, clock=request.clock, cache=cache)
    except (VenueUnreachable, DownloadCutShort, UnknownSymbol, UnknownTimeframe) as reason:
        log.event(_LOG, "download_failed", symbol=request.symbol, reason=str(reason))
        if request.settings.source == "download":
            raise
        return _without_venue(request, kept, damage, reason)
    kept, damage = _read(request, key)
    if kept is None:
        raise damage or StoreDamaged(f"{key} vanished from the store while it was read; run it again")
    return kept.found()


def _without_venue(request: HistoryRequest, kept: _Kept | None, damage: StoreDamaged | None, reason: TradingError) -> Found:
    """Fallback for a failed download: the store as it is, or the sample market if the store has nothing of the symbol."""
    kept = kept or _kept_elsewhere(request)
    if kept is not None:
        return kept.found(f"{request.symbol}: the store is used as it is, to {kept.last:%Y-%m-%d %H:%M}; {reason}")
    if not isinstance(reason, VenueUnreachable):
        raise reason
    aside = request.store.damaged(request.key)
    if damage or aside:
        name = aside[-1] if aside else request.store.path(request.key)
        raise StoreDamaged(f"the stored candles of {request.key} are damaged and no venue answered; import them again, or delete {name}")
    if any(key.symbol == request.symbol and not is_practice(key.venue) for key in request.store.held()):
        raise VenueUnreachable(f"{_not_stored(request)} ({reason})")
    return from_sample(request, notes=(f"{request.symbol}: {reason}",))


@dataclass(frozen=True)
class _Kept:
    """What the store holds under one key; never without a bar."""

    key: CandleKey
    stored: Stored

    @property
    def last(self) -> datetime:
        last: pd.Timestamp = candles.times_of(self.stored.candles)[-1]
        return last.to_pydatetime()

    def found(self, *notes: str) -> Found:
        kind = DataKind.REAL
        if is_practice(self.key.venue):
            kind = DataKind.SAMPLE
            notes = (*notes, f"{self.key.symbol}: SAMPLE data, printed by a practice exchange on this machine and by no market")
        return Found(frame=self.stored.candles, kind=kind, source=self.stored.info.source, venue=self.key.venue, notes=notes)


def _read(request: HistoryRequest, key: CandleKey) -> tuple[_Kept | None, StoreDamaged | None]:
    try:
        stored = request.store.read(key)
    except StoreDamaged as damage:
        return None, damage
    return (None if stored is None or not len(stored.candles) else _Kept(key, stored)), None


def _kept_elsewhere(request: HistoryRequest) -> _Kept | None:
    """The same symbol and timeframe of another venue, e.g. of a fallback that served an earlier run."""
    for key in request.store.held():
        if (key.symbol, key.timeframe) == (request.symbol, request.timeframe) and not is_practice(key.venue):
            kept, _ = _read(request, key)
            if kept is not None:
                return kept
    return None


def _first_wanted(start: datetime | None, kept: _Kept | None) -> datetime:
    if start is not None:
        return start
    return EARLIEST if kept is None else kept.stored.info.covered_from


def _needs_download(request: HistoryRequest, kept: _Kept, wanted: TimeRange, cache: timedelta) -> bool:
    """Whether a venue must be queried; candles stored under a name that is no venue are complete as they are."""
    on_grid = TimeRange(wanted.start, candles.grid_floor(wanted.end, request.timeframe))
    if not missing_ranges(kept.stored.info, on_grid, now=request.clock.now(), cache=cache):
        return False
    from forwardtrader.feeds.venues.exchange import is_known

    return is_known(request.settings.exchange)


def _not_stored(request: HistoryRequest) -> str:
    held = request.store.held()
    others = [str(key) for key in held if key.symbol == request.symbol]
    if others:
        return f"the store holds {', '.join(others)}, not {request.key}; name one of those, or use --source download"
    if not held:
        return f"the store ({request.store.root}) is empty; import a file with forwardtrader import, or use --source download"
    unknown = unknown_symbol(request.symbol, {key.symbol for key in held}, f"the store ({request.store.root})")
    return f"{unknown}; import a file with forwardtrader import, or use --source download"
