"""Downloads are complete, go on where they stopped, wait as asked, and know when they did not reach the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import DownloadCutShort, UnknownSymbol, VenueBusy, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.history import download, pager
from forwardtrader.feeds.history.download import obtain
from forwardtrader.feeds.history.pager import Download, Span, lacking, with_retry
from forwardtrader.feeds.venues.exchange import CcxtVenue
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.feeds.venues.port import MemoryVenue
from tests import ROOT
from tests.feeds.loopback_venue import DOWN, NOTHING, TOO_MANY, LoopbackVenue, closed_address, serving
from tests.feeds.made_candles import HOUR, START, made

KEY = CandleKey("binance", "BTC/USDT", HOUR)
BARS = made(2600)
NOW = START + timedelta(hours=2500, minutes=20)
CLOCK = FixedClock(NOW)
ALL = Span(START, NOW)
CACHE = timedelta(minutes=60)
_END_S = 15.0  # of a command that was told to end; most of it is the machine's


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


class Pauses(list[float]):
    """A sleep that only remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def over_http(venue: LoopbackVenue, store: CandleStore, pauses: Pauses | None = None) -> Download:
    return Download(CcxtVenue("binance", base_url=venue.url), KEY, store, CLOCK, sleep=pauses if pauses is not None else Pauses())


def same(store: CandleStore, wanted: pd.DataFrame, key: CandleKey = KEY) -> None:
    pd.testing.assert_frame_equal(store.load(key), wanted, check_freq=False, check_exact=True)


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
    over_http(venue, store).run(Span(START - timedelta(days=300), NOW))
    stored = store.read(KEY)
    assert stored is not None
    assert stored.info == StoredInfo(
        source="binance", covered_from=START - timedelta(days=300), covered_to=START + timedelta(hours=2500), fetched_at=NOW
    )


def test_a_second_run_asks_only_for_what_is_new(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(Span(START, START + timedelta(hours=2000)))
    venue.asked.clear()
    over_http(venue, store).run(ALL)
    assert [int(page["startTime"]) for page in venue.pages()] == [int((START + timedelta(hours=2000)).timestamp() * 1000)]
    same(store, BARS[:2500])


def test_earlier_bars_are_joined_in_front(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(Span(START + timedelta(hours=2200), NOW))
    assert over_http(venue, store).run(ALL) == 2200
    same(store, BARS[:2500])


def test_within_the_cache_time_the_end_is_not_asked_for_again(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(ALL)
    venue.asked.clear()
    for minutes, added in ((50, 0), (70, 1)):
        client = over_http(venue, store)
        venue.now = NOW + timedelta(minutes=minutes)
        client.clock = FixedClock(venue.now)
        assert client.run(Span(START, venue.now), cache=CACHE) == added
        assert len(venue.pages()) == added


def test_a_download_that_ended_in_the_past_does_not_pass_for_fresh(venue: LoopbackVenue, store: CandleStore) -> None:
    over_http(venue, store).run(Span(START, START + timedelta(hours=2000)))
    assert over_http(venue, store).run(ALL, cache=CACHE) == 500


def test_too_many_requests_waits_as_long_as_the_venue_says(venue: LoopbackVenue, store: CandleStore) -> None:
    pauses = Pauses()
    client = over_http(venue, store, pauses)
    client.venue.rules("BTC/USDT")
    venue.faults.extend([TOO_MANY, TOO_MANY])
    assert client.run(ALL) == 2500
    assert pauses == [7.0, 7.0]


def test_a_stumbling_venue_is_asked_again_at_growing_distance(venue: LoopbackVenue, store: CandleStore) -> None:
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
    with pytest.raises(DownloadCutShort, match=r"end at 2024-03-03 11:00, 2024-04-14 04:00 was asked for; they are kept"):
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
    Download(venue, KEY, store, CLOCK).run(Span(START + timedelta(hours=2000), NOW))
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
        span = Span(START + timedelta(hours=first), START + timedelta(hours=first + count))
        try:
            Download(venue, KEY, store, clock, sleep=Pauses()).run(span)
        except (DownloadCutShort, UnknownSymbol):
            continue  # a run of missing bars at the end that was asked for
    Download(venue, KEY, store, clock, sleep=Pauses()).run(Span(START, START + timedelta(hours=400)))
    same(store, frame)


def test_a_span_is_lacking_only_outside_what_is_covered() -> None:
    held = StoredInfo(source="x", covered_from=START, covered_to=START + timedelta(days=9), fetched_at=NOW - timedelta(minutes=30))
    before, after = START - timedelta(days=1), START + timedelta(days=10)
    none = timedelta(0)
    assert lacking(None, ALL, now=NOW, cache=none) == [ALL]
    assert lacking(held, Span(START, START + timedelta(days=8)), now=NOW, cache=none) == []
    both = lacking(held, Span(before, after), now=NOW, cache=none)
    assert both == [Span(START + timedelta(days=9), after), Span(before, START)]
    assert lacking(held, Span(before, after), now=NOW, cache=CACHE) == [Span(before, START)]


def test_patience_ends() -> None:
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


def given_settings(store: CandleStore, url: str, **more: object) -> FeedSettings:
    return FeedSettings(store_path=str(store.root), exchange_url=url, **more)  # type: ignore[arg-type]


def test_obtaining_stores_candles_and_the_venues_own_rules(venue: LoopbackVenue, store: CandleStore) -> None:
    key = obtain(given_settings(store, venue.url), "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE)
    assert key == KEY
    same(store, BARS[:2500])
    assert str(market_rules("BTC/USDT", "binance", store_path=store.root).tick) == "0.05"


def test_nobody_reachable_is_decided_quickly(store: CandleStore) -> None:
    began = time.monotonic()
    with pytest.raises(VenueUnreachable, match=r"no venue served BTC/USDT 1h: binance cannot be reached; check the network, or use"):
        obtain(given_settings(store, closed_address()), "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE)
    assert time.monotonic() - began < 4.0


def test_the_next_venue_in_order_is_asked_where_the_first_is_silent(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    short = MemoryVenue("kraken", {"BTC/USDT": BARS[1800:]})
    whole = MemoryVenue("coinbase", {"BTC/USDT": BARS}, page_bars=300)
    venues = {"kraken": short, "coinbase": whole}
    monkeypatch.setattr("forwardtrader.feeds.venues.reach.reachable", lambda addresses: [a.host != "api.binance.com" for a in addresses])
    monkeypatch.setattr("forwardtrader.feeds.venues.exchange.CcxtVenue", lambda name, **given: venues[name])
    wished = FeedSettings(store_path=str(store.root), fallback_exchanges=("kraken", "coinbase"))
    key = obtain(wished, "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE)
    assert key.venue == "coinbase"  # kraken does not reach back to the start
    same(store, BARS[:2500], key)
    only = FeedSettings(store_path=str(store.root), fallback_exchanges=("kraken",))
    assert obtain(only, "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE).venue == "kraken"


def run_command(store: CandleStore, url: str, *more: str) -> list[str]:
    sets = [f"feeds.store_path={store.root}", f"feeds.exchange_url={url}"]
    arguments = ["--symbol", "BTC/USDT", "--timeframe", "1h", "--exchange", "binance", "--from", "2024-01-01", "--to", "2024-03-31", *more]
    return [*arguments, *(part for each in sets for part in ("--set", each))]


def test_the_command_says_what_came(venue: LoopbackVenue, store: CandleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main(run_command(store, venue.url)) == 0
    assert "binance BTC/USDT 1h: 2184 bars, 2024-01-01 00:00 .. 2024-03-31 23:00, no gaps; from binance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--from", "soon"], 2, "'soon' is not a date; write it like 2024-01-31"),
        (["--from", "2024-05-01"], 2, "must lie before --to"),
        (["--from", "2924-05-01", "--to", "2925-01-01"], 2, "before now"),
        (["--exchange", "binnance"], 2, "did you mean binance"),
        (["--symbol", "BTC/USTD"], 2, "nearest are BTC/USDT"),
        (["--timeframe", "7h"], 2, "has no 7h candles"),
        (["--timeframe", "hourly"], 2, "'hourly' is not known"),
        (["--set", "feeds.exchange_ur=x"], 2, "did you mean 'exchange_url'"),
    ],
)
def test_the_command_refuses_mistakes_in_one_line(
    venue: LoopbackVenue, store: CandleStore, capsys: pytest.CaptureFixture[str], more: list[str], code: int, said: str
) -> None:
    assert download.main(run_command(store, venue.url, *more)) == code
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_the_command_ends_with_3_where_nobody_answers(store: CandleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main(run_command(store, closed_address())) == 3
    assert "cannot be reached" in capsys.readouterr().err


_PREPARED = """
import hashlib, signal, socket, sys
from forwardtrader.feeds.candles import store as candle_store
from forwardtrader.feeds.history import download, pager
from forwardtrader.feeds.venues import port as venue
pager._FLUSH_SECONDS = 0.0
venue.is_loopback = lambda address: False
"""
_DROPPED = """
class Pressed:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)  # what is raised in here is dropped by Python
append, calls = candle_store.CandleStore.append, []
def pressed_after_two(*given, **named):
    done = append(*given, **named)
    calls.append(1)
    if len(calls) == 2:
        Pressed()
    return done
candle_store.CandleStore.append = pressed_after_two
"""
_UNRESOLVED = """
look_up, asked = socket.getaddrinfo, []
def never_found(*given, **named):
    asked.append(1)
    if len(asked) < 2:  # whether anybody answers at all
        return look_up(*given, **named)
    print("asked", flush=True)
    hashlib.pbkdf2_hmac("sha512", b"", b"", 2**31 - 1)  # as a look-up does, it returns to Python when it is done and not before
socket.getaddrinfo = never_found
"""


@contextmanager
def command_beside(store: CandleStore, url: str, more: str = "") -> Iterator[subprocess.Popen[str]]:
    code = f"{_PREPARED}{more}sys.exit(download.main({run_command(store, url)!r}))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, text=True
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The code and the stderr of a command that was told to end."""
    _, err = process.communicate(timeout=_END_S)
    return process.returncode, err


def stuck_after_two_pages(venue: LoopbackVenue) -> threading.Event:
    answer, go_on = venue.answer, threading.Event()

    def slowly(path: str, query: dict[str, str]) -> tuple[int, dict[str, str], str]:
        if len(venue.pages()) >= 2 and not go_on.is_set():
            go_on.wait(60)
            return DOWN
        return answer(path, query)

    venue.answer = slowly  # type: ignore[method-assign]
    return go_on


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL, "dropped"])
def test_a_stopped_command_goes_on_where_it_was(venue: LoopbackVenue, store: CandleStore, how: signal.Signals | str) -> None:
    go_on = stuck_after_two_pages(venue)
    with command_beside(store, venue.url, _DROPPED if how == "dropped" else "") as process:
        until = time.monotonic() + 60
        while len(store.load(KEY)) < 2000 and time.monotonic() < until:
            time.sleep(0.05)
        if isinstance(how, signal.Signals):
            process.send_signal(how)
        code, err = end_of(process)
    assert code == (-signal.SIGKILL if how == signal.SIGKILL else 130), err
    same(store, BARS[:2000])
    go_on.set()
    venue.asked.clear()
    assert download.main(run_command(store, venue.url)) == 0
    assert len(venue.pages()) == 1
    assert len(store.load(KEY)) == 2184


def test_control_c_does_not_wait_for_a_name_to_be_found(venue: LoopbackVenue, store: CandleStore) -> None:
    with command_beside(store, venue.url, _UNRESOLVED) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGINT)
        code, err = end_of(process)
    assert (code, err.count("\n")) == (130, 1), err


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


def test_dates_are_read_as_utc_days() -> None:
    assert download._day("2024-01-31") == datetime(2024, 1, 31, tzinfo=UTC)
    assert pager._FLUSH_SECONDS > 0
