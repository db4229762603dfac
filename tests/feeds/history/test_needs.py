"""Which candles a run gets: store, venue, file or sample, and the notes about them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core import fingerprint
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import (
    CandleFileInvalid,
    InvalidDates,
    StoreDamaged,
    UnknownSymbol,
    UnknownTimeframe,
    UnknownVenue,
    VenueUnreachable,
)
from forwardtrader.core.settings import FeedSettings
from forwardtrader.core.types import DataKind, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import CandleKey, CandleStore
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.feeds.history.sample_market import sample_candles
from tests import ROOT
from tests.feeds.loopback_venue import LoopbackVenue, closed_address, serving
from tests.feeds.made_candles import DAY, HOUR, START, made

BARS = made(2600)
NOW = START + timedelta(hours=2500, minutes=20)
CLOCK = FixedClock(NOW)
KEY = CandleKey("binance", "BTC/USDT", HOUR)


@pytest.fixture(autouse=True)
def _loopback_stands_for_the_real_venue(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "practice" not in request.node.name:
        monkeypatch.setattr("forwardtrader.feeds.venues.port.is_loopback", lambda address: False)


@pytest.fixture
def venue() -> Iterator[LoopbackVenue]:
    with serving(LoopbackVenue({"BTC/USDT": BARS, "ETH/USDT": BARS}, now=NOW)) as venue:
        yield venue


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles", CLOCK)


def load(store: CandleStore, *, url: str = "", symbol: str = "BTC/USDT", start: datetime | None = START, **more: object) -> History:
    end, file = more.pop("end", None), more.pop("file", None)
    settings = FeedSettings(**{"store_path": str(store.root), "exchange_url": url or closed_address(), **more})
    return load_history(settings, symbol, start=start, end=end, clock=CLOCK, file=file)  # type: ignore[arg-type]


def keep(store: CandleStore, frame: pd.DataFrame, key: CandleKey = KEY) -> None:
    first, last = frame.index[0].to_pydatetime(), frame.index[-1].to_pydatetime()
    store.append(key, frame, StoredInfo(source="file btc.csv", covered_from=first, covered_to=last + key.timeframe.delta))


def test_auto_with_a_store_that_has_all_asks_nobody(venue: LoopbackVenue, store: CandleStore) -> None:
    keep(store, BARS[:2400])
    found = load(store, url=venue.url, end=START + timedelta(hours=2400))
    assert venue.asked == []
    assert (found.kind, found.source, len(found.candles), found.notes) == (DataKind.REAL, "file btc.csv", 2400, ())


def test_auto_downloads_what_the_store_lacks(venue: LoopbackVenue, store: CandleStore) -> None:
    keep(store, BARS[500:2000])
    found = load(store, url=venue.url)
    pd.testing.assert_frame_equal(found.candles, BARS[:2500], check_freq=False)
    assert found.source == "file btc.csv + binance"
    assert str(found.rules.tick) == "0.05"  # what the venue said, not the table


def test_auto_downloads_into_an_empty_store_and_then_rests_for_the_cache_time(venue: LoopbackVenue, store: CandleStore) -> None:
    first = load(store, url=venue.url)
    venue.asked.clear()
    again = load(store, url=venue.url)
    assert venue.asked == []
    assert (first.kind, first.fingerprint) == (DataKind.REAL, again.fingerprint)
    load(store, url=venue.url, cache_minutes=0)
    assert venue.asked == []  # the running bar is not closed yet, so nothing is lacking


def test_auto_uses_the_store_as_it_is_where_no_venue_answers(store: CandleStore) -> None:
    keep(store, BARS[:2000])
    found = load(store)
    assert (found.kind, len(found.candles)) == (DataKind.REAL, 2000)
    assert "the store is used as it is, to 2024-03-24 07:00; no venue served BTC/USDT 1h" in found.notes[0]


def test_auto_uses_another_venues_stored_candles_before_the_sample(store: CandleStore) -> None:
    keep(store, BARS[:2000], CandleKey("kraken", "BTC/USDT", HOUR))
    assert load(store).kind is DataKind.REAL


def test_auto_takes_the_sample_only_with_an_empty_store_and_no_venue(store: CandleStore) -> None:
    found = load(store)
    assert found.kind is DataKind.SAMPLE
    assert found.source == "sample market, seed 0"
    assert any("SAMPLE" in note for note in found.notes)
    assert any("no venue served" in note for note in found.notes)
    assert store.held() == []  # simulated candles never enter the store


def test_a_practice_exchange_never_passes_for_the_real_one(venue: LoopbackVenue, store: CandleStore) -> None:
    practised = load(store, url=venue.url)
    assert (practised.kind, len(practised.candles)) == (DataKind.SAMPLE, 2500)
    assert practised.source == f"practice_binance_127.0.0.1_{venue.url.rpartition(':')[2]}"
    assert "SAMPLE data, printed by a practice exchange" in practised.notes[0]
    assert store.read(KEY) is None
    assert load(store).source == "sample market, seed 0"  # nor does it stand in for it later
    keep(store, BARS[:100])
    assert load(store, source="store", exchange_url="").kind is DataKind.REAL


def test_a_short_stretch_of_a_long_market_takes_the_memory_of_the_stretch(store: CandleStore) -> None:
    """Twenty symbols of minute bars took 1.5 GB, since each held on to the years that were cut away."""
    frame = load(store, source="sample", start=NOW - timedelta(days=2)).candles
    for values in (candles.times_of(frame).asi8, *(frame[name].to_numpy() for name in frame)):
        owner: Any = values
        while isinstance(owner.base, np.ndarray):
            owner = owner.base
        assert owner.nbytes <= 8 * frame.size


def test_other_symbols_in_the_store_do_not_forbid_the_sample(store: CandleStore) -> None:
    keep(store, BARS, CandleKey("binance", "ETH/USDT", HOUR))
    assert load(store).kind is DataKind.SAMPLE


def test_the_same_symbol_at_another_timeframe_forbids_the_sample(store: CandleStore) -> None:
    keep(store, BARS)
    with pytest.raises(VenueUnreachable, match=r"the store holds binance BTC/USDT 1h, not binance BTC/USDT 4h"):
        load(store, timeframe="4h")


def test_a_symbol_nobody_knows_is_answered_with_the_nearest(venue: LoopbackVenue, store: CandleStore) -> None:
    with pytest.raises(UnknownSymbol, match=r"binance does not list 'BTC/USTD'; nearest are BTC/USDT"):
        load(store, url=venue.url, symbol="BTC/USTD")
    with pytest.raises(UnknownSymbol, match=r"the sample market does not list 'BTC/USTD'; nearest are .*BTC/USDT"):
        load(store, symbol="BTC/USTD")
    keep(store, BARS)
    with pytest.raises(UnknownSymbol, match=r"the store .* does not list 'BTC/USTD'; nearest are BTC/USDT; import a file"):
        load(store, symbol="BTC/USTD", source="store")


def test_a_misspelt_venue_or_timeframe_is_no_reason_for_the_sample(store: CandleStore) -> None:
    with pytest.raises(UnknownVenue, match="did you mean binance"):
        load(store, exchange="binnance")
    with pytest.raises(UnknownTimeframe, match="use a form like 1m"):
        load(store, timeframe="1hour")


def test_candles_under_a_name_that_is_no_venue_are_used_without_asking(store: CandleStore) -> None:
    days = made(400, timeframe=DAY, start=START - timedelta(days=300))
    week = days[days.index.day_of_week < 5]
    keep(store, week, CandleKey("file", "SPY", DAY))
    found = load(store, symbol="SPY", exchange="file", timeframe="1d", start=None)
    assert (len(found.candles), found.gaps, found.rules.periods_per_year, found.notes) == (len(week), (), 252, ())


def test_source_store_never_asks(venue: LoopbackVenue, store: CandleStore) -> None:
    with pytest.raises(UnknownSymbol, match=r"the store .* is empty; import a file"):
        load(store, url=venue.url, source="store")
    keep(store, BARS[:100])
    assert len(load(store, url=venue.url, source="store").candles) == 100
    assert venue.asked == []


def test_source_download_fails_where_nobody_answers_even_with_a_store(store: CandleStore) -> None:
    keep(store, BARS[:100])
    with pytest.raises(VenueUnreachable) as failed:
        load(store, source="download")
    assert failed.value.exit_code == 3


def test_source_sample_is_the_sample_whatever_is_stored(store: CandleStore) -> None:
    keep(store, BARS)
    found = load(store, source="sample", sample_seed=3, start=None)
    assert found.kind is DataKind.SAMPLE
    pd.testing.assert_frame_equal(found.candles, sample_candles("BTC/USDT", HOUR, seed=3, until=NOW), check_freq=False)


def test_a_file_is_used_without_entering_the_store(store: CandleStore, tmp_path: Path) -> None:
    path = tmp_path / "btc.csv"
    BARS[:300].drop(BARS.index[7]).to_csv(path)
    found = load(store, file=path)
    assert (found.kind, found.source, len(found.candles)) == (DataKind.REAL, "file btc.csv", 299)
    assert [gap.bars for gap in found.gaps] == [1]
    assert found.notes == ("BTC/USDT: 1 gaps, 1 bars missing, longest from 2024-01-01 07:00 (1 bars); never filled",)
    assert store.held() == []
    with pytest.raises(CandleFileInvalid, match="no such file"):
        load(store, file=tmp_path / "none.csv")


def test_a_damaged_store_is_downloaded_again(venue: LoopbackVenue, store: CandleStore) -> None:
    keep(store, BARS[:2000])
    os.truncate(store.path(KEY), 5000)
    found = load(store, url=venue.url)
    pd.testing.assert_frame_equal(found.candles, BARS[:2500], check_freq=False)
    assert len(store.damaged(KEY)) == 1


def test_a_damaged_store_without_a_venue_is_an_error_and_never_the_sample(store: CandleStore) -> None:
    keep(store, BARS[:2000])
    os.truncate(store.path(KEY), 5000)
    for _ in range(2):
        with pytest.raises(StoreDamaged, match=r"damaged .*import them again, or delete .*1h.parquet.damaged-"):
            load(store)
    keep(store, BARS[:2000])
    os.truncate(store.path(KEY), 5000)
    with pytest.raises(StoreDamaged):
        load(store, source="store")


def test_a_venue_that_lost_the_symbol_leaves_the_store_in_use(venue: LoopbackVenue, store: CandleStore) -> None:
    keep(store, BARS[:2000], CandleKey("binance", "OLD/USDT", HOUR))
    found = load(store, url=venue.url, symbol="OLD/USDT")
    assert "does not list 'OLD/USDT'" in found.notes[0]


def test_candles_that_end_early_are_used_with_a_note(venue: LoopbackVenue, store: CandleStore) -> None:
    venue.ends = START + timedelta(hours=1499)
    found = load(store, url=venue.url)
    assert len(found.candles) == 1500
    assert "end at 2024-03-03 11:00" in found.notes[0]


def test_the_range_is_cut_to_what_was_asked_for(store: CandleStore) -> None:
    keep(store, BARS)
    start, end = START + timedelta(hours=100), START + timedelta(hours=200)
    found = load(store, start=start, end=end, source="store")
    assert (found.candles.index[0], found.candles.index[-1]) == (start, end - timedelta(hours=1))
    assert found.fingerprint == fingerprint.of_frame(found.candles)


def test_impossible_ranges_are_refused_with_what_there_is(store: CandleStore) -> None:
    keep(store, BARS[:2400])
    with pytest.raises(InvalidDates, match=r"ends .* before it begins"):
        load(store, start=START, end=START)
    with pytest.raises(InvalidDates, match=r"spans 2024-01-01 .. 2024-04-09: no bar .* from 2030-01-01 on; choose days inside it"):
        load(store, start=datetime(2030, 1, 1, tzinfo=UTC), source="store")


def test_loading_needs_none_of_the_heavy_packages() -> None:
    heavy = ("ccxt", "scipy", "pyarrow.parquet", "rich", "keras", "requests", "backtrader")
    code = f"import sys, forwardtrader.feeds.history.needs; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_every_timeframe_of_the_sample_is_a_valid_history(store: CandleStore) -> None:
    for text in ("15m", "30m", "1h", "4h", "1d", "1w"):
        found = load(store, source="sample", timeframe=text, start=None)
        assert found.gaps == ()
        assert found.timeframe == Timeframe.parse(text)
