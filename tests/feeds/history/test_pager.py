"""Paged downloads are complete, resume where they stopped, and wait as requested."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import DownloadCutShort, UnknownSymbol, VenueBusy, VenueUnreachable
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.history import pager
from forwardtrader.feeds.history.pager import Download, TimeRange, missing_ranges, with_retry
from forwardtrader.feeds.venues.exchange import CcxtVenue
from forwardtrader.feeds.venues.port import MemoryVenue
from tests.feeds.history.downloads import ALL, BARS, CACHE, CLOCK, KEY, NOW, Pauses, over_http, same
from tests.feeds.loopback_venue import DOWN, NOTHING, TOO_MANY, LoopbackVenue, serving
from tests.feeds.made_candles import HOUR, START, made


@pytest.fixture(autouse=True)
def _loopback_stands_for_the_real_venue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.feeds.venues.port.is_loopback", lambda address: False)


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with serving(LoopbackVenue({"BTC/USDT": BARS, "ETH/USDT": made(2600, seed=1)}, now=NOW)) as venue:
        yield venue


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path, CLOCK)


def test_pages_of_a_thousand_bars_join_to_the_closed_candles(venue: LoopbackVenue, store: CandleStore) -> None:
    assert over_http(venue, store).run(ALL) == 2500
    same(store, BARS[:2500])
    assert [page["limit"] for page in venue.pages()] == ["1000"] * 3


def test_a_venue_of_another_protocol_with_the_newest_row_first_gives_the_same_candles(venue: LoopbackVenue, store: CandleStore) -> None:
    key = CandleKey("bybit", "BTC/USDT", HOUR)
    client = CcxtVenue("bybit", base_url=venue.url)
    assert Download(client, key, store, CLOCK, sleep=Pauses()).run(ALL) == 2500
    same(store, BARS[:2500], key)
    assert (str(client.rules("BTC/USDT").step), str(client.rules("BTC/USDT").min_notional)) == ("0.000001", "1.0")


def test_the_store_knows_what_was_covered_and_when(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(TimeRange(START - timedelta(days=300), NOW))
    stored = store.read(KEY)
    assert stored is not None
    assert stored.info == StoredInfo(
        source="binance", covered_from=START - timedelta(days=300), covered_to=START + timedelta(hours=2500), fetched_at=NOW
    )


def test_a_second_run_requests_only_what_is_new(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(TimeRange(START, START + timedelta(hours=2000)))
    venue.asked.clear()
    over_http(venue, store).run(ALL)
    assert [int(page["startTime"]) for page in venue.pages()] == [int((START + timedelta(hours=2000)).timestamp() * 1000)]
    same(store, BARS[:2500])


def test_earlier_bars_are_joined_in_front(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(TimeRange(START + timedelta(hours=2200), NOW))
    assert over_http(venue, store).run(ALL) == 2200
    same(store, BARS[:2500])


def test_within_the_cache_time_the_end_is_not_requested_again(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(ALL)
    venue.asked.clear()
    for minutes, added in ((50, 0), (70, 1)):
        client = over_http(venue, store)
        venue.now = NOW + timedelta(minutes=minutes)
        client.clock = FixedClock(venue.now)
        assert client.run(TimeRange(START, venue.now), cache=CACHE) == added
        assert len(venue.pages()) == added


def test_a_download_that_ended_in_the_past_does_not_pass_for_fresh(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(TimeRange(START, START + timedelta(hours=2000)))
    assert over_http(venue, store).run(ALL, cache=CACHE) == 500


def test_a_rate_limit_is_waited_out_as_the_venue_asks(venue: LoopbackVenue, store: CandleStore) -> None:
    pauses = Pauses()
    client = over_http(venue, store, pauses)
    client.venue.rules("BTC/USDT")
    venue.faults.extend([TOO_MANY, TOO_MANY])
    assert client.run(ALL) == 2500
    assert pauses == [7.0, 7.0]


def test_a_failing_venue_is_retried_with_backoff(venue: LoopbackVenue, store: CandleStore) -> None:
    pauses = Pauses()
    client = over_http(venue, store, pauses)
    client.venue.rules("BTC/USDT")
    venue.faults.extend([DOWN, DOWN, DOWN])
    assert client.run(ALL) == 2500
    assert pauses == [0.5, 1.0, 2.0]


def test_one_empty_answer_is_not_the_end(venue: LoopbackVenue, store: CandleStore) -> None:
    client = over_http(venue, store)
    client.venue.rules("BTC/USDT")
    venue.faults.append(NOTHING)
    assert client.run(ALL) == 2500
    same(store, BARS[:2500])


def test_candles_that_end_early_are_kept_and_reported(venue: LoopbackVenue, store: CandleStore) -> None:
    venue.ends = START + timedelta(hours=1499)
    with pytest.raises(DownloadCutShort, match=r"end at 2024-03-03 11:00, 2024-04-14 04:00 was requested; they are kept"):
        over_http(venue, store).run(ALL)
    same(store, BARS[:1500])
    venue.ends = None
    assert over_http(venue, store).run(ALL) == 1000  # the rest is asked for again, and not taken for covered


def test_a_venue_that_dies_half_way_leaves_what_came(venue: LoopbackVenue, store: CandleStore) -> None:
    client = over_http(venue, store)
    client.venue.page("BTC/USDT", HOUR, START)
    dying = MemoryVenue("binance", {"BTC/USDT": BARS})
    pages, real = [0], dying.page

    def page(symbol: str, timeframe: Timeframe, since: datetime) -> pd.DataFrame:
        pages[0] += 1
        if pages[0] > 2:
            raise VenueUnreachable("binance does not answer")
        return real(symbol, timeframe, since)

    dying.page = page  # type: ignore[method-assign]
    with pytest.raises(VenueUnreachable):
        Download(dying, KEY, store, CLOCK, sleep=Pauses()).run(ALL)
    same(store, BARS[:2000])
    venue.asked.clear()
    assert over_http(venue, store).run(ALL) == 500
    assert len(venue.pages()) == 1


def test_control_c_keeps_the_pages_that_came(store: CandleStore) -> None:
    seen: list[datetime] = []

    def progress(at: datetime) -> None:
        seen.append(at)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Download(MemoryVenue("binance", {"BTC/USDT": BARS}, page_bars=300), KEY, store, CLOCK, progress=progress).run(ALL)
    same(store, BARS[:900])
    stored = store.read(KEY)
    assert stored is not None
    assert stored.info.fetched_at is None


def test_an_interrupted_fill_in_front_leaves_no_hole_behind(store: CandleStore) -> None:
    venue = MemoryVenue("binance", {"BTC/USDT": BARS}, page_bars=30)
    Download(venue, KEY, store, CLOCK).run(TimeRange(START + timedelta(hours=2000), NOW))
    pages: list[datetime] = []

    def progress(at: datetime) -> None:
        pages.append(at)
        if len(pages) == 25:  # in the middle of the second block
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Download(venue, KEY, store, CLOCK, progress=progress).run(ALL)
    Download(venue, KEY, store, CLOCK).run(ALL)
    same(store, BARS[:2500])


@settings(max_examples=12, deadline=None)
@given(
    removed=st.sets(st.integers(1, 396), max_size=150),
    page_bars=st.integers(7, 90),
    parts=st.lists(st.tuples(st.integers(0, 380), st.integers(1, 400)), min_size=1, max_size=3),
)
def test_any_order_of_downloads_gives_what_the_venue_has(
    tmp_path_factory: pytest.TempPathFactory, removed: set[int], page_bars: int, parts: list[tuple[int, int]]
) -> None:
    frame = BARS[:400].drop(BARS.index[sorted(removed)])
    store, venue = CandleStore(tmp_path_factory.mktemp("store")), MemoryVenue("binance", {"BTC/USDT": frame}, page_bars=page_bars)
    clock = FixedClock(START + timedelta(hours=400))
    for first, count in parts:
        span = TimeRange(START + timedelta(hours=first), START + timedelta(hours=first + count))
        try:
            Download(venue, KEY, store, clock, sleep=Pauses()).run(span)
        except (DownloadCutShort, UnknownSymbol):
            continue  # a run of missing bars at the end that was asked for
    Download(venue, KEY, store, clock, sleep=Pauses()).run(TimeRange(START, START + timedelta(hours=400)))
    same(store, frame)


def test_a_range_is_missing_only_outside_what_is_covered() -> None:
    held = StoredInfo(source="x", covered_from=START, covered_to=START + timedelta(days=9), fetched_at=NOW - timedelta(minutes=30))
    before, after = START - timedelta(days=1), START + timedelta(days=10)
    none = timedelta(0)
    assert missing_ranges(None, ALL, now=NOW, cache=none) == [ALL]
    assert missing_ranges(held, TimeRange(START, START + timedelta(days=8)), now=NOW, cache=none) == []
    both = missing_ranges(held, TimeRange(before, after), now=NOW, cache=none)
    assert both == [TimeRange(START + timedelta(days=9), after), TimeRange(before, START)]
    assert missing_ranges(held, TimeRange(before, after), now=NOW, cache=CACHE) == [TimeRange(before, START)]


def test_retries_end() -> None:
    pauses = Pauses()

    def busy() -> None:
        raise VenueBusy("slow down")

    with pytest.raises(VenueBusy):
        with_retry(busy, pauses)
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]

    def dead() -> None:
        raise VenueUnreachable("gone")

    with pytest.raises(VenueUnreachable):
        with_retry(dead, pauses, only_busy=True)
    assert len(pauses) == 5


def test_pages_that_an_interruption_kept_out_of_the_store_do_not_count_as_covered(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pager, "_FLUSH_SECONDS", 0.0)
    append, calls = store.append, []

    def interrupted_once(*given: Any, **named: Any) -> int:
        calls.append(given)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return append(*given, **named)

    monkeypatch.setattr(store, "append", interrupted_once)
    venue = MemoryVenue("binance", {"BTC/USDT": BARS}, page_bars=300)
    with pytest.raises(KeyboardInterrupt):
        Download(venue, KEY, store, CLOCK).run(ALL)
    Download(venue, KEY, store, CLOCK).run(ALL)
    same(store, BARS[:2500])
