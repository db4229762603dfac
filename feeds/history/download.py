"""`forwardtrader download`: candles from the first configured exchange that serves them, into the store."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import pandas as pd

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command import interrupt
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings, parse_assignment
from forwardtrader.core.errors import InvalidDates, UnknownSymbol, UnknownTimeframe, VenueRefused, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.store import MARK, CandleKey, CandleStore, describe
from forwardtrader.feeds.flags import download_parser
from forwardtrader.feeds.history.pager import Download, Progress, TimeRange, with_retry
from forwardtrader.feeds.perpetuals.funding_store import FundingStore
from forwardtrader.feeds.venues.contracts import settle_currency
from forwardtrader.feeds.venues.market_rules import store_rules
from forwardtrader.feeds.venues.port import Venue, stored_under

if TYPE_CHECKING:
    import argparse

EARLIEST: Final = datetime(2017, 1, 1, tzinfo=UTC)
_SHALLOW: Final = timedelta(days=30)  # a venue whose oldest candle is later than this after the start does not reach back


@interrupt.deferred()
def obtain(
    settings: FeedSettings, symbol: str, timeframe: Timeframe, wanted: TimeRange, *, store: CandleStore, clock: Clock, cache: timedelta
) -> CandleKey:
    """Download what the store lacks from the first configured venue that serves it; returns the key it is stored under.

    The venue named by `settings.exchange` is used if it answers. Otherwise the fallback venues are tried in order; one without candles as
    old as `wanted.start` is used only if no other has them. Ctrl-C ends it at once, even during a blocking call.

    Raises:
        VenueUnreachable: none serves it; the message has the reason of each. Other errors as `Download.run`.
    """
    from forwardtrader.feeds.venues.exchange import require_known

    names = _names(settings)
    require_known(names[0])
    reasons: dict[str, str] = {}
    shallow: list[Venue] = []
    for name in _answering(names, settings.exchange_url):
        try:
            venue = _opened(name, settings, symbol)
            if name == names[0] or _reaches_back(venue, symbol, timeframe, wanted):
                key = CandleKey(stored_under(name, settings.exchange_url), symbol, timeframe)
                return _download(venue, key, wanted, store, clock, cache)
            shallow.append(venue)
        except (VenueUnreachable, VenueRefused) as reason:
            reasons[name] = str(reason)
        except (UnknownSymbol, UnknownTimeframe) as reason:
            if name == names[0]:
                raise
            reasons[name] = str(reason)
    if shallow:
        return _download(shallow[0], CandleKey(shallow[0].name, symbol, timeframe), wanted, store, clock, cache)
    raise _not_served(f"{symbol} {timeframe}", names, reasons)


def _opened(name: str, settings: FeedSettings, symbol: str) -> Venue:
    """A venue whose rules of `symbol` have been stored."""
    from forwardtrader.feeds.venues.exchange import CcxtVenue

    venue = CcxtVenue(name, timeout_s=settings.request_timeout_s, base_url=settings.exchange_url)
    rules = with_retry(partial(venue.rules, symbol), interrupt.sleep, only_busy=True)
    store_rules(settings.store_path, stored_under(name, settings.exchange_url), rules)
    return venue


def _not_served(what: str, names: Sequence[str], reasons: Mapping[str, str]) -> VenueUnreachable:
    unreachable = ", ".join(name for name in names if name not in reasons)
    details = "; ".join([*reasons.values(), *([f"{unreachable} cannot be reached"] if unreachable else [])])
    return VenueUnreachable(f"no venue served {what}: {details}; check the network, or use --source sample or --data FILE")


def _download(venue: Venue, key: CandleKey, wanted: TimeRange, store: CandleStore, clock: Clock, cache: timedelta) -> CandleKey:
    with _shown(str(key), wanted) as progress:
        Download(venue, key, store, clock, progress=progress).run(wanted, cache=cache)
    return key


def _reaches_back(venue: Venue, symbol: str, timeframe: Timeframe, wanted: TimeRange) -> bool:
    first = with_retry(lambda: venue.page(symbol, timeframe, wanted.start), interrupt.sleep)
    return len(first) > 0 and bool(candles.times_of(first)[0] < pd.Timestamp(wanted.start) + _SHALLOW)


@contextmanager
def _shown(title: str, wanted: TimeRange) -> Iterator[Progress]:
    """A progress bar over the requested days; hidden if stderr is no terminal."""
    from rich import progress as rich
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _at: None  # a disabled bar ends with an empty line in older versions of rich
        return
    columns = (rich.TextColumn("{task.description}"), rich.BarColumn(), rich.TextColumn("{task.fields[at]}"), rich.TimeRemainingColumn())
    with rich.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=(wanted.end - wanted.start).total_seconds(), at="")
        yield lambda at: bar.update(task, completed=(at - wanted.start).total_seconds(), at=f"{at:%Y-%m-%d}")


def _names(settings: FeedSettings) -> list[str]:
    fallbacks = () if settings.exchange_url else settings.fallback_exchanges
    return list(dict.fromkeys((settings.exchange, *fallbacks)))


def _answering(names: Sequence[str], base_url: str) -> Iterator[str]:
    from forwardtrader.feeds.venues.exchange import endpoint_of
    from forwardtrader.feeds.venues.reach import reachable

    answers = reachable([endpoint_of(name, base_url) for name in names])
    if answers[0]:
        yield names[0]
        names = names[1:]
        answers = reachable([endpoint_of(name) for name in names]) if names else []
    yield from (name for name, answer in zip(names, answers, strict=True) if answer)


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader download`: one symbol into the store, and one line that says what the store now holds."""
    return run(download_parser(), argv, download)


def download(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read.

    Raises:
        InvalidDates, ConfigError, TradingError: wrong dates or settings, or no exchange that serves the candles.
    """
    named = {"feeds.timeframe": given.timeframe, "feeds.exchange": given.exchange}
    overrides = {key: value for key, value in named.items() if value} | dict(map(parse_assignment, given.assignments))
    settings = load_settings(given.config and typed_path(given.config), overrides=overrides).feeds
    clock = SystemClock()
    start = _day(given.start) if given.start else EARLIEST
    end = _day(given.end) + timedelta(days=1) if given.end else clock.now()
    if end <= start or start > clock.now():
        raise InvalidDates(f"--from {start:%Y-%m-%d} must lie before --to and before now; give an earlier day")
    store = CandleStore(settings.store_path, clock)
    timeframe = Timeframe.parse(settings.timeframe)
    key = obtain(
        settings, given.symbol or settings.symbols[0], timeframe, TimeRange(start, end), store=store, clock=clock, cache=timedelta(0)
    )
    sys.stdout.write(f"{describe(store, key)}\n")
    if settle_currency(key.symbol):
        _download_facts(settings, key, TimeRange(start, end), store, clock)
    return 0


def _download_facts(settings: FeedSettings, key: CandleKey, wanted: TimeRange, store: CandleStore, clock: Clock) -> None:
    """Funding and mark price of a perpetual, from the venue that served its candles."""
    from forwardtrader.feeds.history.perpetual_facts import complete
    from forwardtrader.feeds.history.sources import HistoryRequest
    from forwardtrader.feeds.venues.exchange import CcxtVenue

    stored = store.read(key)
    first = stored.info.covered_from if stored else wanted.start
    is_first_choice = key.venue == stored_under(settings.exchange, settings.exchange_url)
    name, url = (settings.exchange, settings.exchange_url) if is_first_choice else (key.venue, "")
    venue = CcxtVenue(name, timeout_s=settings.request_timeout_s, base_url=url)
    request = HistoryRequest(settings=settings, symbol=key.symbol, timeframe=key.timeframe, clock=clock)
    complete(venue, request, key.venue, TimeRange(max(wanted.start, first), wanted.end))
    rates = FundingStore(settings.store_path).read(key.venue, key.symbol)
    sys.stdout.write(f"{describe(store, replace(key, kind=MARK))}\n{key.venue} {key.symbol} funding: {len(rates)} settlements\n")


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError as error:
        raise InvalidDates(f"{text!r} is not a date; write it like 2024-01-31") from error
