"""The past of a run's factors: fetched once, asked again where it may have grown, and a note where it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.factors.record import read_record
from forwardtrader.feeds.fetching.history import complete
from tests.feeds.fetching.loopback_futures import NOW
from tests.feeds.fetching.loopback_source import DOWN, LoopbackSource, said, served

STAMP = int(NOW.timestamp())


@pytest.fixture(name="source")
def _source() -> Iterator[LoopbackSource]:
    with served() as source:
        yield source


def feeds(source: LoopbackSource, folder: Path, **said: object) -> FeedSettings:
    entry = {"kind": "fear_greed", "url": f"{source.url}/fng/", **said}
    return FeedSettings.model_validate({"factors": [entry], "factor_path": str(folder), "source": "download"})


def mood(*values: int) -> list[dict[str, str]]:
    """Newest first and numbers as text, as alternative.me answers."""
    return [{"value": str(v), "value_classification": "Fear", "timestamp": str(STAMP - 86_400 * n)} for n, v in enumerate(values)]


def test_it_is_fetched_once_and_again_when_it_may_have_grown(source: LoopbackSource, tmp_path: Path) -> None:
    source.routes["/fng/"] = lambda _query: said({"name": "Fear and Greed Index", "data": mood(30, 40, 50), "metadata": {"error": None}})
    asked, clock = feeds(source, tmp_path), FixedClock(NOW)
    for _ in range(3):
        assert complete(asked, NOW - timedelta(days=9), NOW + timedelta(days=1), clock) == ()
    assert len(source.asked) == 1
    clock.at = NOW + timedelta(hours=2)
    complete(asked, NOW - timedelta(days=9), clock.at, clock)
    assert len(source.asked) == 2
    table = read_record(Path(asked.located_factors[0].file))
    assert table["value"].tolist() == [50.0, 40.0, 30.0]
    assert (table["known_at"] - table["timestamp"]).unique().tolist() == [timedelta(days=1, hours=1)]


def test_a_source_that_fails_is_a_note_and_no_error(source: LoopbackSource, tmp_path: Path) -> None:
    source.faults.append(DOWN)
    [note] = complete(feeds(source, tmp_path), NOW - timedelta(days=9), NOW, FixedClock(NOW))
    assert note.startswith("factor fear_and_greed could not be fetched, and its record is used as it is: http://127.0.0.1")


def test_nothing_is_asked_where_the_store_alone_is_meant(source: LoopbackSource, tmp_path: Path) -> None:
    asked = feeds(source, tmp_path).model_copy(update={"source": "store"})
    assert complete(asked, None, NOW, FixedClock(NOW)) == ()
    assert source.asked == []


def test_a_missing_key_is_the_users_mistake(source: LoopbackSource, tmp_path: Path) -> None:
    asked = feeds(source, tmp_path, url=f"{source.url}/fng/?key=${{NO_SUCH_KEY_AT_ALL}}")
    with pytest.raises(ConfigError, match="NO_SUCH_KEY_AT_ALL"):
        complete(asked, None, NOW, FixedClock(NOW))
