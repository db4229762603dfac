"""The download command takes the first venue that serves, and can be interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.errors import VenueUnreachable
from forwardtrader.core.settings import FeedSettings
from forwardtrader.feeds.candles.store import CandleStore
from forwardtrader.feeds.history import download, pager
from forwardtrader.feeds.history.download import obtain
from forwardtrader.feeds.venues.market_rules import market_rules
from forwardtrader.feeds.venues.port import MemoryVenue
from tests import PATIENCE_S, ROOT
from tests.feeds.history.downloads import ALL, BARS, CACHE, CLOCK, KEY, NOW, same
from tests.feeds.loopback_venue import DOWN, LoopbackVenue, closed_address, serving
from tests.feeds.made_candles import HOUR, made

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
    assert time.monotonic() - began < 30.0


def test_the_next_venue_in_order_serves_if_the_first_is_unreachable(store: CandleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    short = MemoryVenue("kraken", {"BTC/USDT": BARS[1800:]})
    whole = MemoryVenue("coinbase", {"BTC/USDT": BARS}, page_bars=300)
    venues = {"kraken": short, "coinbase": whole}
    monkeypatch.setattr("forwardtrader.feeds.venues.reach.reachable", lambda addresses: [a.host != "api.binance.com" for a in addresses])
    monkeypatch.setattr("forwardtrader.feeds.venues.exchange.CcxtVenue", lambda name, **given: venues[name])
    configured = FeedSettings(store_path=str(store.root), fallback_exchanges=("kraken", "coinbase"))
    key = obtain(configured, "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE)
    assert key.venue == "coinbase"  # kraken does not reach back to the start
    same(store, BARS[:2500], key)
    only = FeedSettings(store_path=str(store.root), fallback_exchanges=("kraken",))
    assert obtain(only, "BTC/USDT", HOUR, ALL, store=store, clock=CLOCK, cache=CACHE).venue == "kraken"


def run_command(store: CandleStore, url: str, *more: str) -> list[str]:
    sets = [f"feeds.store_path={store.root}", f"feeds.exchange_url={url}"]
    arguments = ["--symbol", "BTC/USDT", "--timeframe", "1h", "--exchange", "binance", "--from", "2024-01-01", "--to", "2024-03-31", *more]
    return [*arguments, *(part for each in sets for part in ("--set", each))]


def test_the_command_prints_what_the_store_holds(venue: LoopbackVenue, store: CandleStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert download.main(run_command(store, venue.url)) == 0
    assert "binance BTC/USDT 1h: 2184 bars, 2024-01-01 00:00 .. 2024-03-31 23:00, no gaps; from binance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--from", "soon"], 2, "'soon' is not a date; write it like 2024-01-31"),
        (["--from", "2024-05-01"], 2, "must lie before --to"),
        (["--from", "2924-05-01", "--to", "2925-01-01"], 2, "before now"),
        (["--exchange", "binnance"], 2, "did you mean binance"),
        (["--symbol", "BTC/USTD"], 2, "nearest are BTC/USDT"),
        (["--timeframe", "7h"], 2, "has no 7h candles"),
        (["--timeframe", "hourly"], 2, "'hourly' is not known"),
        (["--set", "feeds.exchange_ur=x"], 2, "did you mean 'feeds.exchange_url'"),
    ],
)
def test_the_command_refuses_mistakes_in_one_line(
    venue: LoopbackVenue, store: CandleStore, capsys: pytest.CaptureFixture[str], more: list[str], code: int, message: str
) -> None:
    assert download.main(run_command(store, venue.url, *more)) == code
    err = capsys.readouterr().err
    assert message in err
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
        until = time.monotonic() + PATIENCE_S
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


def test_dates_are_read_as_utc_days() -> None:
    assert download._day("2024-01-31") == datetime(2024, 1, 31, tzinfo=UTC)
    assert pager._FLUSH_SECONDS > 0
