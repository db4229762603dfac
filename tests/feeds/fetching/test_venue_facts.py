"""Facts of a venue through the real ccxt class: values at their moments, final ones only, and as far back as it keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import InvalidSetting, UnknownVenue, VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.factors.record import read_record
from forwardtrader.feeds.fetching.collection import Collector
from forwardtrader.feeds.fetching.opened import collectors
from tests.feeds.fetching.loopback_futures import HOUR_MS, NOW, SYMBOL, LoopbackFutures, value_at
from tests.feeds.fetching.loopback_source import HTML, LoopbackSource, served

HOURS = pd.Timedelta("1h")


@pytest.fixture(name="source")
def _source() -> Iterator[LoopbackSource]:
    with served() as source:
        yield source


def collector(source: LoopbackSource, kind: str, folder: Path) -> Collector:
    feeds = FeedSettings.model_validate(
        {"exchange_url": source.url, "symbols": (SYMBOL,), "factors": [kind], "factor_path": str(folder), "request_timeout_s": 5.0}
    )
    [found] = collectors(feeds, FixedClock(NOW))
    return found


@pytest.mark.parametrize(
    ("kind", "step", "lag", "rule"),
    [
        ("funding", 8, 5, lambda ms: value_at(ms) / 1e4),
        ("open_interest", 1, 65, value_at),
        ("long_short_ratio", 1, 65, value_at),
        ("taker_volume", 1, 65, lambda ms: 10.0 * value_at(ms) / 40.0),
        ("mark", 1, 65, lambda ms: 100.0),
        ("basis", 1, 65, lambda ms: 100.0 / (100.0 * value_at(ms) ** (1.001 - 1.0) * 1.001) - 1.0),
    ],
)  # fmt: skip
def test_each_value_stands_at_its_moment_and_is_known_when_it_is_final(
    source: LoopbackSource, tmp_path: Path, kind: str, step: int, lag: int, rule: object
) -> None:
    LoopbackFutures(source, NOW)
    found = collector(source, kind, tmp_path)
    found.collect(NOW - timedelta(days=9), live=False)
    table = read_record(Path(found.entry.file))
    moments = pd.DatetimeIndex(table["timestamp"])
    assert moments[-1] == pd.Timestamp("2024-03-01 08:00" if kind == "funding" else "2024-03-01 11:00", tz="UTC")
    assert (moments[1:] - moments[:-1] == step * HOURS).all()  # no hole between two pages
    assert (table["known_at"] - table["timestamp"] == timedelta(minutes=lag)).all()
    expected = [rule(int(at.timestamp() * 1000)) for at in moments]  # type: ignore[operator]
    assert table["value"].tolist() == expected


def test_where_a_month_is_kept_that_month_is_taken(source: LoopbackSource, tmp_path: Path) -> None:
    LoopbackFutures(source, NOW)
    found = collector(source, "open_interest", tmp_path)
    found.collect(NOW - timedelta(days=400), live=False)
    first = read_record(Path(found.entry.file))["timestamp"].iloc[0]
    assert pd.Timestamp(NOW) - first < pd.Timedelta(days=29)
    assert found.failures == 0


def test_the_newest_rows_are_asked_again_and_a_revision_counts_from_now(source: LoopbackSource, tmp_path: Path) -> None:
    venue = LoopbackFutures(source, NOW)
    found = collector(source, "open_interest", tmp_path)
    found.collect(NOW - timedelta(days=1), live=False)
    venue.now = found.clock.at = NOW + timedelta(hours=1)  # type: ignore[attr-defined]
    last = int(NOW.timestamp() * 1000) // HOUR_MS * HOUR_MS - HOUR_MS
    venue.revised[last] = 5.0
    assert found.collect_newest(timedelta(days=1)) == 2
    table = read_record(Path(found.entry.file)).iloc[-2:]
    assert set(table["value"]) == {5.0, value_at(last + HOUR_MS)}
    assert (table["known_at"] == pd.Timestamp(NOW) + HOURS).all()


def test_a_login_page_in_place_of_an_answer_is_an_error_that_is_counted(source: LoopbackSource, tmp_path: Path) -> None:
    LoopbackFutures(source, NOW)
    source.faults.append(HTML)
    found = collector(source, "funding", tmp_path)
    with pytest.raises(VenueUnreachable):
        found.collect(NOW - timedelta(days=1), live=False)
    assert (found.failures, found.failed) == (1, 1)
    assert found.collect(NOW - timedelta(days=1), live=False) == 3
    assert (found.failures, found.failed) == (0, 1)


def test_what_a_venue_does_not_serve_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    def opened(**said: str) -> list[Collector]:
        return collectors(FeedSettings.model_validate({"factors": [said]}), FixedClock(NOW))

    with pytest.raises(InvalidSetting, match="kraken does not serve open_interest"):
        opened(kind="open_interest", exchange="kraken")
    with pytest.raises(InvalidSetting, match="bybit does not serve taker_volume"):
        opened(kind="taker_volume", exchange="bybit")
    with pytest.raises(UnknownVenue, match="binanse"):
        opened(kind="funding", exchange="binanse")
