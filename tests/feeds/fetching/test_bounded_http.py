"""One request: bounded in bytes and time, and never led to another host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from forwardtrader.core.errors import (
    ConfigError,
    InvalidSetting,
    TradingError,
    VenueBusy,
    VenueRedirected,
    VenueRefused,
    VenueUnreachable,
)  # fmt: skip
from forwardtrader.feeds.fetching.bounded_http import filled_in, get, shown
from tests.feeds.fetching.loopback_source import BUSY, DOWN, REFUSED, Answer, LoopbackSource, drip, endless, redirect, said, served
from tests.feeds.loopback_venue import closed_address


@pytest.fixture(name="source")
def _source() -> Iterator[LoopbackSource]:
    with served() as source:
        yield source


@pytest.mark.parametrize(
    ("answer", "error", "fault"),
    [
        (DOWN, VenueUnreachable, r"an error of its own \(503\)"),
        (BUSY, VenueBusy, "fewer requests"),
        (REFUSED, VenueRefused, r"refused \(403\)"),
        (redirect("http://example.org/x"), VenueRedirected, "another host, http://example.org/x"),
        (redirect("//example.org/x"), VenueRedirected, "another host"),
        (redirect("file:///etc/passwd"), VenueRedirected, "another host"),
        (endless(), VenueUnreachable, "more than 200,000 bytes"),
        ((200, {"Content-Encoding": "gzip"}, b"\x1f\x8b"), VenueUnreachable, "packed"),
        ((200, {"Content-Length": "99"}, iter([b"cut"])), VenueUnreachable, "does not answer"),
    ],
)
def test_what_is_no_answer_is_an_error_that_says_why(source: LoopbackSource, answer: Answer, error: type[TradingError], fault: str) -> None:
    source.faults.append(answer)
    with pytest.raises(error, match=fault):
        get(f"{source.url}/a?key=1", timeout_s=20.0, most_bytes=200_000)


def test_a_redirect_within_the_host_is_followed_and_a_circle_is_not(source: LoopbackSource) -> None:
    source.routes["/new"] = lambda _query: said([1])
    source.faults.append(redirect("/new"))
    assert get(f"{source.url}/old", timeout_s=20.0) == b"[1]"
    source.routes["/circle"] = lambda _query: redirect("/circle")
    with pytest.raises(VenueRedirected, match="in a circle"):
        get(f"{source.url}/circle", timeout_s=20.0)


def test_an_answer_that_drips_ends_with_the_time_limit(source: LoopbackSource) -> None:
    source.faults.append(drip(source.stop))
    began = time.monotonic()
    with pytest.raises(VenueUnreachable, match=r"in full within 0\.3 s"):
        get(f"{source.url}/a", timeout_s=0.3)
    assert time.monotonic() - began < 30.0  # not for ever


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with pytest.raises(VenueUnreachable):
        get(f"{closed_address()}/a", timeout_s=5.0)


def test_keys_come_from_the_environment_and_are_never_shown() -> None:
    url = "https://api.example.org/v1/flows?key=${FLOWS_KEY}&x=1"
    assert filled_in(url, {"FLOWS_KEY": "s3cret"}) == "https://api.example.org/v1/flows?key=s3cret&x=1"
    assert shown(filled_in(url, {"FLOWS_KEY": "s3cret"})) == shown(url) == "https://api.example.org/v1/flows"
    assert "hunter2" not in shown("https://me:hunter2@a.org/x")
    with pytest.raises(ConfigError, match="FLOWS_KEY"):
        filled_in(url, {})
    with pytest.raises(InvalidSetting, match="not encrypted"):
        filled_in(url.replace("https", "http"), {"FLOWS_KEY": "s3cret"})


def test_requests_work_in_any_thread_at_once(source: LoopbackSource) -> None:
    source.routes["/a"] = lambda _query: said([1])
    bodies: list[bytes] = []
    threads = [threading.Thread(target=lambda: bodies.append(get(f"{source.url}/a", timeout_s=20.0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bodies == [b"[1]"] * 4
