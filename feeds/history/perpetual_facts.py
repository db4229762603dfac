"""Marks and funding of a perpetual for a run: from files, the store completed by the venue, or the sample market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.command import interrupt
from forwardtrader.core.errors import DownloadCutShort, UnknownSymbol, UnknownTimeframe, VenueRefused, VenueUnreachable
from forwardtrader.core.types import MarketRules
from forwardtrader.feeds.candles.store import MARK, CandleKey
from forwardtrader.feeds.history.pager import Download, TimeRange, with_retry
from forwardtrader.feeds.history.sample_perpetual import perpetual_funding, perpetual_marks
from forwardtrader.feeds.history.sources import Found, HistoryRequest, from_file, is_sample_market
from forwardtrader.feeds.perpetuals.download import download_funding
from forwardtrader.feeds.perpetuals.facts import PerpetualHistory, completed, require_marks_of
from forwardtrader.feeds.perpetuals.funding_file import read_funding
from forwardtrader.feeds.perpetuals.funding_store import FundingStore

if TYPE_CHECKING:
    from forwardtrader.feeds.venues.exchange import CcxtVenue

_LOG = log.logger("feeds")
NOT_SERVED = (VenueUnreachable, VenueRefused, UnknownSymbol, UnknownTimeframe, DownloadCutShort)


@dataclass(frozen=True)
class FactFiles:
    """Files of a perpetual's funding and mark price, in place of the store."""

    funding: Path | None = None
    mark: Path | None = None


NO_FILES = FactFiles()


def perpetual_facts(
    request: HistoryRequest, found: Found, frame: pd.DataFrame, rules: MarketRules, files: FactFiles, *, of_file: bool
) -> PerpetualHistory:
    """Marks and funding for every bar of `frame`; what is not known has the last price and the prior in its place.

    Args:
        of_file: the candles are of a file, and no venue is asked.

    Raises:
        CandleFileInvalid: a file that cannot be used, or marks that are not those of the symbol.
        StoreDamaged: what is stored is broken.
    """
    is_sample = is_sample_market(found.source)
    if not is_sample and not of_file and request.settings.source in ("auto", "download") and not (files.funding and files.mark):
        _download(request, found, frame)
    marks, mark_source = known_marks(request, found.venue, files.mark, is_sample=is_sample)
    require_marks_of(frame, marks, request.symbol, mark_source)
    funding, funding_source = known_funding(request, found.venue, files.funding, is_sample=is_sample)
    return completed(
        frame, request.timeframe, marks, funding, hours=rules.funding_hours, prior=request.settings.funding_prior_bps / 1e4,
        mark_source=mark_source, funding_source=funding_source,
    )  # fmt: skip


def finer_marks(request: HistoryRequest, found: Found, *, downloads: bool) -> pd.DataFrame | None:
    """The stored marks of finer bars, completed by the venue where `downloads`; None where there are none.

    Raises:
        StoreDamaged: what is stored is broken.
    """
    if downloads:
        _download(request, found, found.frame)
    return known_marks(request, found.venue, None, is_sample=False)[0]


def known_marks(request: HistoryRequest, venue: str, file: Path | None, *, is_sample: bool) -> tuple[pd.DataFrame | None, str]:
    """Marks of a file, the sample market or else the store, and whose they are; None where none are stored. Raises as `perpetual_facts`."""
    if file is not None:
        return from_file(request, file).frame, f"file {file.name}"
    if is_sample:
        made = perpetual_marks(request.symbol, request.timeframe, seed=request.settings.sample_seed, until=request.clock.now())
        return made, "sample market"
    stored = request.store.load(_mark_key(request, venue))
    return (stored, venue) if len(stored) else (None, "")


def known_funding(request: HistoryRequest, venue: str, file: Path | None, *, is_sample: bool) -> tuple[pd.Series[float] | None, str]:
    """The same of funding rates."""
    settings = request.settings
    if file is not None:
        return read_funding(file, settings.max_file_mb), f"file {file.name}"
    if is_sample:
        return perpetual_funding(request.symbol, seed=settings.sample_seed, until=request.clock.now()), "sample market"
    stored = FundingStore(settings.store_path).read(venue, request.symbol)
    return (stored, venue) if len(stored) else (None, "")


def _mark_key(request: HistoryRequest, venue: str) -> CandleKey:
    return CandleKey(venue, request.symbol, request.timeframe, MARK)


def _download(request: HistoryRequest, found: Found, frame: pd.DataFrame) -> None:
    """Complete what is stored; a venue that does not serve it leaves it as it is, which the run then says."""
    from forwardtrader.feeds.venues.exchange import CcxtVenue, endpoint_of, is_known
    from forwardtrader.feeds.venues.reach import reachable

    settings, begins, ends = request.settings, frame.index[0].to_pydatetime(), frame.index[-1].to_pydatetime() + request.timeframe.delta
    if found.venue != request.key.venue or not is_known(settings.exchange) or _is_stored(request, found, begins, ends):
        return
    if not reachable([endpoint_of(settings.exchange, settings.exchange_url)])[0]:
        return
    venue = CcxtVenue(settings.exchange, timeout_s=settings.request_timeout_s, base_url=settings.exchange_url)
    try:
        complete(venue, request, found.venue, TimeRange(begins, ends))
    except NOT_SERVED as reason:
        log.event(_LOG, "perpetual_facts_not_served", symbol=request.symbol, reason=str(reason))


def complete(venue: CcxtVenue, request: HistoryRequest, stored_as: str, wanted: TimeRange) -> None:
    """Download funding and marks of `wanted` into the store. Raises as `Download.run`."""
    complete_funding(venue, request, stored_as, wanted)
    complete_marks(venue, request, stored_as, wanted)


def complete_funding(venue: CcxtVenue, request: HistoryRequest, stored_as: str, wanted: TimeRange) -> None:
    """The funding alone."""
    rates = FundingStore(request.settings.store_path)
    retry = partial(with_retry, sleep=interrupt.sleep)
    download_funding(venue, (stored_as, request.symbol), (wanted.start, wanted.end), rates, retry)


def complete_marks(venue: CcxtVenue, request: HistoryRequest, stored_as: str, wanted: TimeRange) -> None:
    """The marks alone."""
    Download(venue.of_marks(), _mark_key(request, stored_as), request.store, request.clock).run(wanted)


def _is_stored(request: HistoryRequest, found: Found, begins: datetime, ends: datetime) -> bool:
    marks = request.store.read(_mark_key(request, found.venue))
    rates = FundingStore(request.settings.store_path).read(found.venue, request.symbol)
    day = pd.Timedelta(hours=9)
    known = len(rates) and rates.index[0] <= pd.Timestamp(begins) + day and rates.index[-1] >= pd.Timestamp(ends) - day
    return bool(known and marks is not None and marks.info.covered_from <= begins and marks.info.covered_to >= ends)
