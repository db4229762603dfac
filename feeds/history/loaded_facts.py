"""Marks and funding of a perpetual by themselves: from a file, the sample market, or the store completed by the venue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pandas as pd

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import InvalidDates, InvalidSetting, TradingError, UnknownSymbol, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.download import EARLIEST
from forwardtrader.feeds.history.pager import TimeRange
from forwardtrader.feeds.history.perpetual_facts import NOT_SERVED, complete_funding, complete_marks, known_funding, known_marks
from forwardtrader.feeds.history.sample_perpetual import listed_perpetuals
from forwardtrader.feeds.history.sources import HistoryRequest
from forwardtrader.feeds.venues.contracts import refuse_unusual, settle_currency
from forwardtrader.feeds.venues.port import unknown_symbol

if TYPE_CHECKING:
    from forwardtrader.feeds.venues.exchange import CcxtVenue

T = TypeVar("T", covariant=True)
Complete = Callable[["CcxtVenue", HistoryRequest, str, TimeRange], None]


class Known(Protocol[T]):
    """Gives what is known of a fact, and whose it is."""

    def __call__(self, request: HistoryRequest, venue: str, file: Path | None, *, is_sample: bool) -> tuple[T | None, str]: ...


def load_known_marks(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None
) -> tuple[pd.DataFrame, str]:
    """Mark price candles that open in [start, end), and whose they are.

    Raises:
        UnknownSymbol, InvalidSetting: the symbol is no linear perpetual, or its marks are not known.
        InvalidDates: none lies in the range.
        CandleFileInvalid, StoreDamaged, VenueUnreachable, VenueRefused: as `load_history`.
    """
    request = _request(settings, symbol, clock, "mark price")
    found, source = _known(request, start, end, file, known_marks, complete_marks)
    if found is None:
        raise InvalidSetting(_not_stored(request, "mark price", "mark"))
    return found.iloc[_rows(found.index, start, end, f"the mark price of {symbol} from {source}")], source


def load_known_funding(
    settings: FeedSettings, symbol: str, *, start: datetime | None, end: datetime | None, clock: Clock, file: Path | None = None
) -> tuple[pd.Series[float], str]:
    """Funding rates settled in [start, end), and whose they are. Raises as `load_known_marks`."""
    request = _request(settings, symbol, clock, "funding")
    found, source = _known(request, start, end, file, known_funding, complete_funding)
    if found is None:
        raise InvalidSetting(_not_stored(request, "funding", "funding"))
    return found.iloc[_rows(found.index, start, end, f"the funding of {symbol} from {source}")], source


def _known(
    request: HistoryRequest, start: datetime | None, end: datetime | None, file: Path | None, known: Known[T], download: Complete
) -> tuple[T | None, str]:
    """What a file, the sample market or the store has, the store completed by the venue; None where it has nothing."""
    venue, is_sample = request.key.venue, file is None and request.settings.source == "sample"
    if file is None and not is_sample:
        stored, _ = known(request, venue, None, is_sample=False)
        _complete(request, start, end, download, is_known=stored is not None)
    return known(request, venue, file, is_sample=is_sample)


def _request(settings: FeedSettings, symbol: str, clock: Clock, what: str) -> HistoryRequest:
    refuse_unusual(symbol)
    if not settle_currency(symbol):
        base, _, quote = symbol.partition("/")
        raise InvalidSetting(f"{symbol} is no perpetual and has no {what}; write {base}/{quote or 'USDT'}:{quote or 'USDT'}")
    if settings.source == "sample" and symbol not in listed_perpetuals():
        raise UnknownSymbol(unknown_symbol(symbol, listed_perpetuals(), "the sample market"))
    return HistoryRequest(settings=settings, symbol=symbol, timeframe=Timeframe.parse(settings.timeframe), clock=clock)


def _complete(request: HistoryRequest, start: datetime | None, end: datetime | None, download: Complete, *, is_known: bool) -> None:
    """Have the venue complete what is stored; where it does not, what is stored has to do, unless a download was asked for.

    Raises:
        TradingError: the venue does not serve it, and nothing is stored or a download was asked for.
    """
    from forwardtrader.feeds.venues.exchange import CcxtVenue, endpoint_of, require_known
    from forwardtrader.feeds.venues.reach import reachable

    settings, now = request.settings, request.clock.now()
    if settings.source == "store":
        return
    require_known(settings.exchange)
    try:
        if not reachable([endpoint_of(settings.exchange, settings.exchange_url)])[0]:
            raise VenueUnreachable(f"{settings.exchange} cannot be reached; check the network, or take source='store', 'sample' or a file")
        venue = CcxtVenue(settings.exchange, timeout_s=settings.request_timeout_s, base_url=settings.exchange_url)
        download(venue, request, request.key.venue, TimeRange(start or EARLIEST, min(end or now, now)))
    except NOT_SERVED as reason:
        if settings.source == "download" or not is_known:
            raise _told(request, reason) from reason


def _told(request: HistoryRequest, reason: TradingError) -> TradingError:
    return reason if request.symbol in str(reason) else type(reason)(f"{request.symbol}: {reason}")


def _not_stored(request: HistoryRequest, what: str, kind: str) -> str:
    fetch = f"forwardtrader download --symbol {request.symbol} --timeframe {request.timeframe}"
    return f"no {what} of {request.symbol} is stored under {request.key.venue}; {fetch}, or import a file of it with --kind {kind}"


def _rows(found: pd.Index[pd.Timestamp], start: datetime | None, end: datetime | None, what: str) -> slice:
    index = pd.DatetimeIndex(found).as_unit("ns")  # one of milliseconds refuses a moment between two of them
    first = 0 if start is None else int(index.searchsorted(pd.Timestamp(start)))
    last = len(index) if end is None else int(index.searchsorted(pd.Timestamp(end)))
    if first >= last:
        raise InvalidDates(f"{what} spans {index[0]:%Y-%m-%d} .. {index[-1]:%Y-%m-%d}, and none lies in the range; choose days inside it")
    return slice(first, last)
