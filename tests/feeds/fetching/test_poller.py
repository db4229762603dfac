"""A session's sources: recorded as they come, told once where they fail, and never in the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.factors.record import read_record
from forwardtrader.feeds.fetching.opened import collectors
from forwardtrader.feeds.fetching.poller import FAILED, WORKS, FactorPoller, tell
from tests.feeds.fetching.loopback_futures import NOW
from tests.feeds.fetching.loopback_source import HTML, LoopbackSource, drip, endless, redirect, said, served

STAMP = int(NOW.timestamp())


@pytest.fixture(name="source")
def _source() -> Iterator[LoopbackSource]:
    with served() as source:
        yield source


def poller(source: LoopbackSource, folder: Path, *, timeout_s: float = 5.0) -> FactorPoller:
    entry = {"kind": "json", "name": "flows", "url": f"{source.url}/flows", "time": "t", "column": "v", "known_after": "1h"}
    feeds = FeedSettings.model_validate({"factors": [entry], "factor_path": str(folder), "request_timeout_s": timeout_s})
    return FactorPoller(collectors(feeds, FixedClock(NOW)), timedelta(days=30), minute_s=0.0)


def until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60.0
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_what_comes_later_is_recorded_and_what_was_there_is_history(source: LoopbackSource, tmp_path: Path) -> None:
    rows = [{"t": STAMP - 86_400, "v": "1"}]
    source.routes["/flows"] = lambda _query: said(rows)
    running = poller(source, tmp_path)
    try:
        running.first(30.0)
        path = Path(running.collectors[0].entry.file)
        assert (read_record(path)["known_at"] - read_record(path)["timestamp"]).iloc[0] == timedelta(hours=1)
        rows.append({"t": STAMP - 43_200, "v": "2"})
        until(lambda: len(read_record(path)) == 2)
    finally:
        running.stop()
    assert read_record(path)["known_at"].iloc[1] == NOW
    assert running.events.empty()


@pytest.mark.parametrize("fault", ["html", "endless", "elsewhere", "drip", "nonsense"])
def test_a_source_that_fails_is_told_once_and_once_more_when_it_works(source: LoopbackSource, tmp_path: Path, fault: str) -> None:
    is_well = threading.Event()
    bad = {
        "html": lambda: HTML, "endless": endless, "elsewhere": lambda: redirect("http://example.org/"), "drip": lambda: drip(source.stop),
        "nonsense": lambda: said({"error": [1, 2]}),
    }[fault]  # fmt: skip
    source.routes["/flows"] = lambda _query: said([{"t": STAMP, "v": 1}]) if is_well.is_set() else bad()
    running = poller(source, tmp_path, timeout_s=0.5)
    heard: list[tuple[str, str]] = []

    def is_told(kind: str) -> bool:
        tell(running, lambda kind, level, **_facts: heard.append((kind, level)))
        return (kind, "warning" if kind == FAILED else "info") in heard

    try:
        running.first(30.0)
        until(lambda: running.collectors[0].failed > 2)
        assert is_told(FAILED)
        is_well.set()
        until(lambda: is_told(WORKS))
    finally:
        running.stop()
    assert heard == [(FAILED, "warning"), (WORKS, "info")]
    assert running.collectors[0].failures == 0


def test_a_source_that_hangs_does_not_keep_a_session_from_its_start(source: LoopbackSource, tmp_path: Path) -> None:
    source.routes["/flows"] = lambda _query: drip(source.stop)
    running = poller(source, tmp_path, timeout_s=20.0)
    began = time.monotonic()
    running.first(0.1)
    assert time.monotonic() - began < 15.0
    source.stop.set()
    running.stop()
