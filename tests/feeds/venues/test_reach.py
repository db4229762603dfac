"""Whether a venue answers is decided within the deadline, whatever the network does."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.feeds.venues.reach import Endpoint, is_loopback, reachable, require_encrypted
from tests import PATIENCE_S
from tests.feeds.loopback_venue import LoopbackVenue, closed_address, serving
from tests.feeds.made_candles import START, made


def test_a_listening_address_answers_and_a_closed_one_does_not() -> None:
    with serving(LoopbackVenue({"BTC/USDT": made(1)}, now=START)) as venue:
        assert reachable([Endpoint.of_url(closed_address()), Endpoint.of_url(venue.url)]) == [False, True]


def test_a_resolver_that_hangs_costs_no_more_than_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    def hanging(*_: object, **__: object) -> None:
        asked.set()
        released.wait(PATIENCE_S)
        raise socket.gaierror

    asked, released = threading.Event(), threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    began = time.monotonic()
    assert reachable([Endpoint(f"venue{i}.invalid", 443) for i in range(4)], deadline_s=0.3) == [False] * 4
    assert time.monotonic() - began < PATIENCE_S / 2
    assert asked.is_set()
    released.set()


def test_behind_a_proxy_the_proxy_has_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(LoopbackVenue({"BTC/USDT": made(1)}, now=START)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert reachable([Endpoint("api.binance.invalid", 443)]) == [True]
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
        assert reachable([Endpoint("api.binance.invalid", 443)]) == [True]
    monkeypatch.setenv("HTTPS_PROXY", "socks5://nobody.invalid:1080")
    assert reachable([Endpoint("api.binance.invalid", 443)]) == [True]  # cannot be tried from here: the venue's own client will


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "http://", "ftp://x", "http://host:port", "nonsense"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InvalidSetting, match="write it like http"):
        Endpoint.of_url(url)


def test_the_port_of_a_url_is_known() -> None:
    assert Endpoint.of_url("https://api.kraken.com/0") == Endpoint("api.kraken.com", 443)
    assert Endpoint.of_url("http://127.0.0.1:8123/api") == Endpoint("127.0.0.1", 8123)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
def test_loopback_is_an_address_of_this_machine(host: str) -> None:
    assert is_loopback(Endpoint.of_url(f"http://{host}:8080"))
    require_encrypted(f"http://{host}:8080")
    require_encrypted(f"ws://{host}:8080")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.example.org", "127.example.org", "127-0-0-1.example.org", "localhost.example.org", "128.0.0.1", "10.0.0.1", "0.0.0.0",
        "[::2]", "[::ffff:10.0.0.1]", "user@example.org", "127.0.0.1@example.org", "127.1", "2130706433",
    ],
)  # fmt: skip
def test_a_name_that_looks_like_loopback_is_another_machine_and_gets_no_keys_unencrypted(host: str) -> None:
    assert not is_loopback(Endpoint.of_url(f"http://{host}:8080"))
    for scheme in ("http", "ws", "HTTP"):
        with pytest.raises(InvalidSetting, match="is not encrypted"):
            require_encrypted(f"{scheme}://{host}:8080")
    require_encrypted(f"https://{host}:8080")


def test_localhost_counts_as_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", ("10.0.0.7", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    assert not is_loopback(Endpoint.of_url("http://localhost"))
    found.pop()
    assert is_loopback(Endpoint.of_url("http://localhost"))
