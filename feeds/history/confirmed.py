"""A history that other venues of the same market confirm: where its own venue can be trusted, and what features see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import CandleFileInvalid, DownloadCutShort, InvalidSetting, StoreDamaged, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import OHLCV
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.confirmation.judged import JudgedHistory, judge
from forwardtrader.feeds.history.needs import History, history_fingerprint
from forwardtrader.feeds.history.sources import HistoryRequest, from_file, from_store
from forwardtrader.feeds.venues.quotes import at_quote

_LOG = log.logger("feeds")
_LEAST_MOVES: Final = 100
# The median difference of two series' moves, as a share of the median move: two venues of one market had 0.04 to 0.10 (hours of 2021 to
# 2025, 0.29 in the worst sixty), another coin 0.77 and more, the same market an hour apart 1.6.
_OTHER_MARKET: Final = 0.5


def confirmed(history: History, settings: FeedSettings, clock: Clock, files: Sequence[Path] = ()) -> History:
    """The history with the verdicts of the venues in `confirm_exchanges` and of `files`, each named after its file.

    Bars that its venue lacks and a trusted one has stand in it at the last price and without volume. Alone it stays as it is.

    Raises:
        InvalidSetting: a venue is named twice, or as the one that is traded.
        CandleFileInvalid: a file is unusable, or is one of another market.
        UnknownVenue, UnknownSymbol, UnknownTimeframe: a venue that does not exist, or lacks the symbol; `kraken:USD` names another quote.
    """
    if history.is_made_up and settings.confirm_exchanges:
        history = replace(history, notes=(*history.notes, f"{history.symbol}: the sample market is confirmed by no venue"))
    names = () if history.is_made_up else settings.confirm_exchanges
    own = settings.exchange
    frames, notes = {own: history.candles[list(OHLCV)]}, []
    for name, found in [*((n, _of_venue(history, settings, n, clock)) for n in names), *_of_files(history, settings, files, clock)]:
        if name in frames:
            raise InvalidSetting(
                f"{name} confirms itself; name each venue once, and the one that is traded not among those that confirm it"
            )
        if isinstance(found, str):
            notes.append(f"{history.symbol}: {name} confirms nothing: {found}")
        else:
            frames[name] = found
    found_history = replace(history, notes=(*history.notes, *notes))
    return found_history if len(frames) == 1 else _with_verdicts(found_history, frames, settings)


def _with_verdicts(history: History, frames: Mapping[str, pd.DataFrame], settings: FeedSettings) -> History:
    found = judge(frames, history.timeframe, settings)
    whole = history.candles if not len(found.filled) else pd.concat([history.candles, found.filled]).sort_index()
    whole.index.name = history.candles.index.name
    beside = history.perpetual  # the mark stands still too where the venue has no candle
    if beside is not None and len(found.filled):
        beside = replace(beside, marks=beside.marks.reindex(whole.index).ffill())
    return replace(
        history, candles=whole, perpetual=beside, venues=found, notes=(*history.notes, f"{history.symbol}: {_told(found)}"),
        fingerprint=history_fingerprint(whole, beside, history.detail, found),
    )  # fmt: skip


def _told(found: JudgedHistory) -> str:
    """One line for people."""
    others = ", ".join(found.venues[1:])
    return (
        f"confirmed by {others}: entries wait at {len(found.objections()):,} of {len(found.verdicts):,} bars, "
        f"features see another venue at {len(found.signals):,}"
    )


def _of_venue(history: History, settings: FeedSettings, name: str, clock: Clock) -> pd.DataFrame | str:
    """The candles of a venue over the history's span; why there are none, where it cannot be reached."""
    exchange, _, quote = name.partition(":")
    symbol = at_quote(history.symbol, quote)
    url = dict(zip(settings.confirm_exchanges, settings.confirm_urls, strict=False)).get(name, "")
    own = settings.model_copy(update={"exchange": exchange, "exchange_url": url, "fallback_exchanges": ()})
    request = HistoryRequest(settings=own, symbol=symbol, timeframe=history.timeframe, clock=clock)
    try:
        frame = _stored(request, *(at.to_pydatetime() for at in _span(history)))
    except (VenueUnreachable, DownloadCutShort, StoreDamaged) as error:
        return str(error)
    cut = _cut(frame, history)
    if cut is None:
        return f"it has no candles of {symbol} in these days"
    return cut if moves_alike(history.candles, cut) else f"its candles of {symbol} do not move as those of {history.symbol} do"


def _stored(request: HistoryRequest, first: datetime, last: datetime) -> pd.DataFrame:
    """The store, completed by the venue where it can be reached; never another venue's candles, nor made-up ones."""
    if request.settings.source != "store":
        try:
            return from_store(_with_source(request, "download"), first, last).frame
        except (VenueUnreachable, DownloadCutShort) as reason:
            if not request.store.path(request.key).exists():
                raise
            log.event(_LOG, "confirming_venue_unreachable", venue=request.settings.exchange, reason=str(reason))
    return from_store(_with_source(request, "store"), first, last).frame


def _with_source(request: HistoryRequest, source: str) -> HistoryRequest:
    return replace(request, settings=request.settings.model_copy(update={"source": source}))


def _of_files(history: History, settings: FeedSettings, files: Sequence[Path], clock: Clock) -> list[tuple[str, pd.DataFrame | str]]:
    request = HistoryRequest(settings=settings, symbol=history.symbol, timeframe=history.timeframe, clock=clock)
    found: list[tuple[str, pd.DataFrame | str]] = []
    for file in files:
        cut = _cut(from_file(request, file).frame, history)
        if cut is not None and not moves_alike(history.candles, cut):
            raise CandleFileInvalid(
                f"{file.name}: its prices do not move as those of {history.symbol} do; take candles of the same market, and name the time "
                f"zone of times that are not UTC with --tz"
            )
        found.append((file.name.partition(".")[0], "its file has no candles in these days" if cut is None else cut))
    return found


def moves_alike(own: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two series of candles can be of one market, whatever their quotes; so they can where too few bars are common."""
    common = own.index.intersection(other.index)
    moves, others = (np.diff(np.log(frame.loc[common, "close"].to_numpy(dtype=np.float64))) for frame in (own, other))
    if len(moves) < _LEAST_MOVES or not (usual := float(np.median(np.abs(moves)))) > 0.0:
        return True
    return float(np.median(np.abs(moves - others))) <= _OTHER_MARKET * usual


def _cut(frame: pd.DataFrame, history: History) -> pd.DataFrame | None:
    """The candles of the history's span; None where there are none."""
    found = candles.cut(frame, *(int(frame.index.searchsorted(at)) for at in _span(history)))
    return found if len(found) else None


def _span(history: History) -> tuple[pd.Timestamp, pd.Timestamp]:
    return history.candles.index[0], history.candles.index[-1] + history.timeframe.delta
