"""The facts of a run's past: fetched into their records before it reads them, as far as their sources reach."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from forwardtrader.core import atomic, log
from forwardtrader.core.clock import Clock
from forwardtrader.core.command import interrupt
from forwardtrader.core.errors import ConfigError, TradingError
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.fetching.collection import Collector
from forwardtrader.feeds.fetching.opened import collectors

EARLIEST: Final = datetime.fromisoformat("2017-01-01T00:00:00+00:00")
_LOG: Final = log.logger("feeds")


def complete(feeds: FeedSettings, start: datetime | None, end: datetime, clock: Clock) -> tuple[str, ...]:
    """Fetch what the records lack of [start, end), unless the candles come from the store or the sample market alone.

    A source that fails leaves its record as it is; so does one that was asked within `feeds.cache_minutes`.

    Returns:
        A line for each source that failed.

    Raises:
        UnknownVenue, InvalidSetting: as `collectors`; ConfigError: a variable of the environment is missing.
    """
    if feeds.source not in ("auto", "download") or not any(entry.is_fetched for entry in feeds.factors):
        return ()
    cache = timedelta(minutes=feeds.cache_minutes)
    return completed(collectors(feeds, clock), start or EARLIEST, min(end, clock.now()), cache, clock)


def completed(found: Sequence[Collector], start: datetime, end: datetime, cache: timedelta, clock: Clock) -> tuple[str, ...]:
    """As `complete`, for collectors that are open."""
    notes = []
    for collector in found:
        try:
            _complete(collector, start, end, cache, clock)
        except ConfigError:
            raise
        except (TradingError, OSError) as error:
            log.event(_LOG, "factor_source_failed", factor=collector.name, reason=str(error))
            notes.append(f"factor {collector.name} could not be fetched, and its record is used as it is: {log.redact(str(error))}")
    return tuple(notes)


def _complete(collector: Collector, start: datetime, end: datetime, cache: timedelta, clock: Clock) -> None:
    """Earlier days than were ever asked for first, then what is new."""
    place, now = Path(collector.entry.file).with_suffix(".json"), clock.now()
    since, upto, asked = _covered(place)
    if since is None or start < since:
        interrupt.run(partial(collector.collect, start, live=False))
        since, upto, asked = start, now, now
    elif asked is None or upto is None or (upto < end and now - asked >= cache):
        newest = collector.record.newest() or start
        interrupt.run(partial(collector.collect, min(newest, upto or newest), live=False))
        upto, asked = now, now
    else:
        return
    atomic.write_text(place, json.dumps({"since": since.isoformat(), "upto": upto.isoformat(), "asked": asked.isoformat()}))


def _covered(place: Path) -> tuple[datetime | None, datetime | None, datetime | None]:
    """From when, up to when and when last the source was asked in full."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        said = json.loads(place.read_text(encoding="utf-8"))
        return tuple(datetime.fromisoformat(said[key]) for key in ("since", "upto", "asked"))  # type: ignore[return-value]
    return None, None, None
