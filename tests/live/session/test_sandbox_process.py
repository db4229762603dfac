"""The practice exchange as a child process, and its market in lockstep."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.bridge.store import CCXTStore
from forwardtrader.live.execution.events import AccountEvent, Filled
from forwardtrader.live.session.sandbox_process import (
    Lockstep,
    MarketStart,
    PracticeAddress,
    PracticeVenue,
    find_practice,
    start_practice,
)
from forwardtrader.sandbox.process import SandboxHandle
from tests import PATIENCE_S
from tests.live.market import practice, store_on
from tests.live.session_runner import request_for, run, start
from tests.sandbox.small_market import FLAT, candle_file
from tests.sandbox.test_parent_process import wait_until_gone


def test_the_practice_exchange_does_not_outlive_its_session(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))
    pid = json.loads((tmp_path / "one" / "practice.json").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_practice_exchange_ends_with_a_session_that_is_killed_before_its_first_bar(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    address = tmp_path / "one" / "practice.json"
    until = time.monotonic() + PATIENCE_S
    while not address.is_file() or not address.read_text():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.005)
    process.kill()
    wait_until_gone(json.loads(address.read_text())["pid"])
    process.communicate()


def test_an_address_is_saved_for_the_user_only_and_an_exchange_that_is_gone_is_not_found(tmp_path: Path) -> None:
    address = PracticeAddress("binance", "http://127.0.0.1:9", "ws://127.0.0.1:9", "key", "secret", "http://127.0.0.1:9", "token", 1)
    path = tmp_path / "practice.json"
    assert find_practice(path) is None
    PracticeVenue(address).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["api_secret"] == "secret"
    assert find_practice(path) is None


def saved(folder: Path, **changes: object) -> Path:
    address = {
        "protocol": "binance", "url": "http://127.0.0.1:9", "ws_url": "ws://127.0.0.1:9", "api_key": "k", "api_secret": "s",
        "admin_url": "http://127.0.0.1:9", "admin_token": "t", "pid": 1,
    }  # fmt: skip
    path = folder / "practice.json"
    path.write_text(json.dumps(address | changes))
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://127.0.0.1.example.org:80"}, {"url": "http://localhost:80"}, {"ws_url": "ws://10.0.0.1:80"}, {"admin_url": "http://[::ffff:8.8.8.8]/"},
        {"admin_url": "http://[::1"}, {"url": "http://127.0.0.1:9@example.org/"}, {"pid": "1"}, {"pid": True}, {"url": None}, {"more": 1},
    ],
)  # fmt: skip
def test_an_address_that_is_not_on_this_machine_or_damaged_is_refused_in_one_line(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"practice.json is not what was written \(.*\); remove it") as refused:
        find_practice(saved(tmp_path, **changes))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\ud800", "[" * 100_000])
def test_a_damaged_address_says_what_to_do(tmp_path: Path, content: str) -> None:
    path = tmp_path / "practice.json"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(ConfigError, match="remove it, and start the session again"):
        find_practice(path)


def test_a_process_that_is_not_the_exchange_is_never_signalled(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        PracticeVenue(PracticeAddress(**json.loads(saved(tmp_path, pid=stranger.pid).read_text()))).stop()
        assert find_practice(saved(tmp_path, pid=stranger.pid)) is None
        for number in (os.getpid(), 0, -1, 2**40):
            PracticeVenue(PracticeAddress(**json.loads(saved(tmp_path, pid=number).read_text()))).stop()
        time.sleep(0.2)
        assert stranger.poll() is None
        stranger.kill()


def test_another_exchange_with_the_number_of_the_first_is_never_signalled(tmp_path: Path) -> None:
    venue = start_practice({"speed": "lockstep"})
    try:
        venue.save(tmp_path / "practice.json")
        found = find_practice(tmp_path / "practice.json")
        assert found is not None and found.address == venue.address
        old = PracticeAddress(**{**asdict(venue.address), "started": venue.address.started - 60})
        PracticeVenue(old).stop()
        assert venue.is_alive()
        found.stop()
        wait_until_gone(venue.address.pid)
    finally:
        venue.stop()


def test_the_token_follows_no_redirect(tmp_path: Path) -> None:
    asked: list[str] = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the name is the library's

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = json.loads(saved(tmp_path, admin_url=f"http://127.0.0.1:{server.server_port}").read_text())
        with pytest.raises(ConfigError, match="Found"):
            PracticeVenue(PracticeAddress(**address)).control("state")
        server.shutdown()
    assert asked == ["/state"]


def test_settings_that_are_wrong_are_refused_with_the_exchanges_own_words() -> None:
    with pytest.raises(ConfigError, match="protocol"):
        start_practice({"protocol": "kraken"})


class Practice:
    """A practice market of three bars."""

    def __init__(self) -> None:
        self.played = self.begun = 0
        self.prices = ["100", "104"]

    def advance(self) -> dict[str, Any]:
        self.played += 1
        return {"ended": self.played == 3, "trades": ["7"] if self.played == 2 else []}

    def begin(self) -> None:
        self.begun += 1

    def control(self, command: str) -> dict[str, Any]:
        assert command == "approach"
        self.prices, coming = self.prices[1:], self.prices[:1]
        return {"prices": {"BTC/USDT": coming[0]} if coming else {}, "printed": bool(coming)}


class Bridge:
    first_live, newest, delivered, is_stopping, waits_for_market = 100, -1, 90, False, False

    def __init__(self) -> None:
        self.awaited: list[tuple[int, list[str]]] = []
        self.seen: list[dict[str, str]] = []
        self.turns = 0
        self.arrivals = self

    def caught_up(self, at: int) -> bool:
        return at <= self.delivered

    def await_bar(self, at: int, trades: list[str]) -> bool:
        self.awaited.append((at, trades))
        return True

    def await_prices(self, prices: dict[str, str]) -> bool:
        self.seen.append(prices)
        return True

    def turn_again(self) -> None:
        self.turns += 1

    def request_stop(self) -> None:
        self.is_stopping = True


def test_in_lockstep_the_next_bar_is_played_when_the_session_is_done_with_the_last_one() -> None:
    practice, bridge, coming, ended = Practice(), Bridge(), [], []
    done_to = [0]
    step: Any = Lockstep(
        practice,
        bridge,
        10,
        is_done=lambda newest: newest <= done_to[0],
        before_bar=coming.append,
        ended=lambda: ended.append(True),  # type: ignore[arg-type]
    )
    step()
    assert (practice.played, coming) == (1, [100])
    step()
    assert practice.played == 1, "the bar is not delivered yet"
    bridge.newest = bridge.delivered = 100
    step()
    assert practice.played == 1, "the session is not done with it"
    done_to[0] = 100
    step()
    bridge.newest = bridge.delivered = done_to[0] = 110
    step()
    assert (practice.played, coming, ended, bridge.is_stopping) == (3, [100, 110, 120], [True], True)
    bridge.newest = bridge.delivered = done_to[0] = 120
    step()
    assert practice.played == 3
    assert bridge.awaited == [(110, ["7"])], "only executions are reported on another way than bars"


def test_in_lockstep_an_order_that_waits_for_its_price_is_shown_those_of_the_running_bar_before_that_ends() -> None:
    practice, bridge = Practice(), Bridge()
    step: Any = Lockstep(
        practice, bridge, 10, is_done=lambda _: True, before_bar=lambda _: None, ended=lambda: None,  # type: ignore[arg-type]
    )  # fmt: skip
    step()
    bridge.delivered, bridge.waits_for_market = 100, True
    step()
    step()
    assert (practice.played, bridge.seen) == (1, [{"BTC/USDT": "100"}, {"BTC/USDT": "104"}])
    assert bridge.turns == 2, "the loop does not wait after a price, for which nobody wakes it"
    step()
    assert bridge.turns == 2
    assert practice.played == 2, "it was shown all of them"


class SlowToReport(CCXTStore):
    """Its account's executions are known a while after the bar is."""

    def notify(self, event: AccountEvent) -> None:
        if isinstance(event, Filled):
            threading.Timer(0.2, super().notify, (event,)).start()
        else:
            super().notify(event)


class Held(bt.Strategy):
    """Notes what is held at the end of each bar, and at what prices was dealt."""

    params = (("enter", None),)

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.dealt: list[float] = []

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.dealt.append(round(order.info.get("gross_price", order.executed.price), 2))

    def next(self) -> None:
        if self.data.is_current:
            if not self.held:
                self.p.enter(self)
            self.held.append(bool(self.position))


def held_in_lockstep(venue: SandboxHandle, store: CCXTStore, bars: int, enter: Any) -> Held:
    cerebro, played = bt.Cerebro(quicknotify=True, stdstats=False), []

    def before_bar(at: int) -> None:
        played.append(at)
        if len(played) > bars:
            store.request_stop()

    cerebro.adddata(store.getdata(dataname="BTC/USDT"), name="BTC/USDT")
    cerebro.setbroker(store.getbroker())
    step: Any = Lockstep(
        venue, store, 60_000, is_done=lambda _: store.getbroker().is_settled, before_bar=before_bar,
        ended=lambda: None,  # type: ignore[arg-type]
    )  # fmt: skip
    store.on_idle = step
    cerebro.addstrategy(Held, enter=enter)
    try:
        [run] = cerebro.run()
    finally:
        store.stop()
    return run


def market_of(folder: Path, *bars: tuple[float, float, float, float]) -> list[str]:
    """A market of two bars of the past, then these (open, high, low, close), then some flat ones."""
    return [str(candle_file(folder / "market.csv", [FLAT] * 2 + [*bars] + [FLAT] * 5))]


def test_in_lockstep_an_execution_is_known_at_the_bar_in_which_it_happened_however_late_its_report(tmp_path: Path) -> None:
    def enter(s: Any) -> None:
        s.buy(size=0.1, exectype=bt.Order.Limit, price=95.0)

    with practice(market=market_of(tmp_path, FLAT, FLAT, (100.0, 101.0, 90.0, 100.0)), history=2) as venue:
        run = held_in_lockstep(venue, store_on(venue, kind=SlowToReport), 5, enter)
    assert run.held[:4] == [False, False, True, True]


def bracket(s: Any) -> None:
    s.buy_bracket(size=0.1, exectype=bt.Order.Market, stopprice=90.0, limitprice=110.0)


@pytest.mark.parametrize(
    ("bar", "exits"),
    [
        ((100.0, 111.0, 99.0, 100.0), 110.0),  # only touched, though the stop locks the coins
        ((100.0, 101.0, 89.0, 100.0), 90.0),
        ((112.0, 113.0, 99.0, 100.0), 112.0),  # opens beyond it
        ((100.0, 111.0, 89.0, 105.0), 90.0),  # both: the lower end is the nearer, and comes first
    ],
)
def test_in_lockstep_the_exits_of_a_bracket_that_a_bar_touches_are_executed_in_it_as_in_a_backtest(
    tmp_path: Path, bar: tuple[float, float, float, float], exits: float
) -> None:
    with practice(market=market_of(tmp_path, FLAT, FLAT, bar), history=2, fee_asset="quote") as venue:
        run = held_in_lockstep(venue, store_on(venue), 5, bracket)
        assert venue.state()["open_orders"] == []
    assert run.held[:4] == [False, True, False, False]
    assert run.dealt == [100.0, exits]


def test_a_market_by_the_clock_is_begun_once() -> None:
    practice: Any = Practice()
    start = MarketStart(practice)
    start()
    start()
    assert practice.begun == 1
