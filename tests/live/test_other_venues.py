"""Whole sessions at venues that are reached as real ones are: one that trades, one that confirms it, and clocks that are off."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.request import read_request
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import PATIENCE_S
from tests.live.session_runner import Momentum

SPEED = 60.0  # a minute's bar in a second
BOTH = {"speed": SPEED, "waits": True, "history": 4000, "seed": 3, "fee_asset": "quote"}
SMALL = ("models.train_window=1d", "models.retrain_every=1d", "models.horizons=[1,24]", "strategies.cooldown=2", "live.poll_seconds=1")


class VenueClock:
    """The market's time, which runs faster than this machine's."""

    def __init__(self, venue: SandboxHandle) -> None:
        self._venue = venue

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._venue.market_time() / 1000, UTC)


@pytest.fixture
def traded() -> Iterator[SandboxHandle]:
    with start_sandbox(**BOTH, protocol="binance") as venue:
        yield venue


@pytest.fixture
def other() -> Iterator[SandboxHandle]:
    with start_sandbox(**BOTH, protocol="bybit") as venue:
        yield venue


def session(folder: Path, traded: SandboxHandle, *flags: str, clock: Any = None) -> LiveSession:
    words = ["--session", "one", "--quiet", "--symbol", "BTC/USDT", "--timeframe", "1m", "--exchange", "binance", *flags]
    for setting in (
        *SMALL, f"live.sessions_path={folder}", f"live.state_path={folder / 'state.db'}", f"feeds.store_path={folder / 'candles'}",
        f"feeds.exchange_url={traded.url}",
    ):  # fmt: skip
        words += ["--set", setting]
    supply = FixedSupply({"BTC/USDT": Momentum()})
    return LiveSession(read_request(words), clock or VenueClock(traded), SessionView(Console(), shown=False), supply=supply)


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def after_bars(live: LiveSession, count: int, patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while live.progress.bars < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def notes_of(folder: Path) -> list[str]:
    store = SessionStore(folder / "one" / "session.db")
    try:
        return [note["kind"] for note in store.notes()]
    finally:
        store.close()


@pytest.mark.slow
def test_a_session_whose_witness_diverges_holds_back_and_its_replay_holds_back_too(
    tmp_path: Path, traded: SandboxHandle, other: SandboxHandle
) -> None:
    live = session(tmp_path, traded, "--exchange", "bybit", "--set", f'feeds.confirm_urls=["{other.url}"]', "--bars", "45")

    def diverge() -> None:
        after_bars(live, 8)
        other.arm("F38", bps=400.0)  # from its next bar on it is four per cent above
        after_bars(live, 32)
        other.arm("F38", bps=-1e4 * (1 - 1 / 1.04))

    for venue in (traded, other):
        venue.control("begin")
    acts = beside(diverge)
    assert live.run() == 0
    acts.join(PATIENCE_S)
    assert "venues_disagreed" in notes_of(tmp_path) and "venues_agreed" in notes_of(tmp_path)
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None and parity.equal
    assert parity.bars == 45
    store = SessionStore(tmp_path / "one" / "session.db")
    held = store.blocked_entries()
    store.close()
    assert held and all("disagree" in reason for reason in held.values())
    assert any("venues disagreed" in told for told in parity.deviations)


@pytest.mark.slow
def test_a_silent_witness_stops_nobody(tmp_path: Path, traded: SandboxHandle, other: SandboxHandle) -> None:
    live = session(tmp_path, traded, "--exchange", "bybit", "--set", f'feeds.confirm_urls=["{other.url}"]', "--bars", "25")

    def fall_silent() -> None:
        after_bars(live, 1)
        merge, until = live.parts.bridge._markets["1m"].merge, time.monotonic() + 60
        while merge.counts["agreed"] < 5:  # a busy machine may need some bars until it listens
            assert time.monotonic() < until
            time.sleep(0.05)
        other.kill()

    for venue in (traded, other):
        venue.control("begin")
    acts = beside(fall_silent)
    assert live.run() == 0
    acts.join(PATIENCE_S)
    assert notes_of(tmp_path).count("venues_alone") == 1
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None and parity.bars == 25
    counts = live.parts.bridge._markets["1m"].merge.counts
    assert counts["agreed"] >= 5 and counts["alone"] >= 10


class WallClock:
    """This machine's clock, `ahead_s` of the right time."""

    ahead_s = 0.0

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(seconds=self.ahead_s)


@pytest.fixture
def at_real_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxHandle]:
    with start_sandbox(**{**BOTH, "speed": 1.0, "waits": False}) as venue:
        monkeypatch.setenv("BINANCE_API_KEY", venue.api_key)
        monkeypatch.setenv("BINANCE_API_SECRET", venue.api_secret)
        yield venue


REAL = ("--live", "--yes-real-money", "--yes-real-money")


def test_real_orders_do_not_start_by_a_clock_that_is_off(tmp_path: Path, at_real_time: SandboxHandle) -> None:
    clock = WallClock()
    clock.ahead_s = 30.0
    live = session(tmp_path, at_real_time, *REAL, clock=clock)
    with pytest.raises(ConfigError, match=r"clock is \+(29|30|31)\.\d s off the venue's; set it \(NTP\).*no order was sent"):
        live.run()
    assert at_real_time.orders() == []


def test_a_clock_that_goes_off_holds_real_orders_back_until_it_is_right_again(
    tmp_path: Path, at_real_time: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwardtrader.live.monitoring.watchdog._CLOCK_EVERY_S", 0.5)
    clock = WallClock()
    live = session(tmp_path, at_real_time, *REAL, "--set", "risk.on_trouble=hold", "--set", "risk.max_clock_offset_s=5", clock=clock)
    seen: list[str] = []

    def wait_for(held: bool) -> None:
        until = time.monotonic() + PATIENCE_S
        while bool(live.parts.bridge.risk_limits.hold) is not held and time.monotonic() < until:
            time.sleep(0.05)
        seen.append(live.parts.bridge.risk_limits.hold)

    def go_off() -> None:
        until = time.monotonic() + PATIENCE_S
        while live._parts is None and time.monotonic() < until:
            time.sleep(0.05)
        at_real_time.arm("F20", milliseconds=-20_000)  # the venue's own clock jumps
        wait_for(True)
        clock.ahead_s = -20.0  # and this one is set by it
        wait_for(False)
        live.parts.bridge.request_stop()

    acts = beside(go_off)
    assert live.run() == 0
    acts.join(PATIENCE_S)
    assert "clock is +" in seen[0] and "off the venue's" in seen[0] and not seen[1]
    assert [kind for kind in notes_of(tmp_path) if kind.startswith("clock")] == ["clock_off", "clock_off_no_more"]
