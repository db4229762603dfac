"""The practice exchange as a child process, and its market in lockstep."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.live.session.sandbox_process import (
    Lockstep,
    MarketStart,
    PracticeAddress,
    PracticeVenue,
    find_practice,
    start_practice,
)
from tests.live.session_runner import request_for, run, start
from tests.sandbox.test_parent_process import wait_until_gone


def test_the_practice_exchange_does_not_outlive_its_session(tmp_path: Path) -> None:
    run(request_for(tmp_path, "one", 3, symbols=("BTC/USDT",)))
    pid = json.loads((tmp_path / "one" / "practice.json").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_practice_exchange_ends_with_a_session_that_is_killed_before_its_first_bar(tmp_path: Path) -> None:
    process = start(tmp_path, "one", 0)
    address = tmp_path / "one" / "practice.json"
    until = time.monotonic() + 60
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
    path.write_text("{")
    assert find_practice(path) is None


def test_settings_that_are_wrong_are_refused_with_the_exchanges_own_words() -> None:
    with pytest.raises(ConfigError, match="protocol"):
        start_practice({"protocol": "kraken"})


class Practice:
    """A practice market of three bars."""

    def __init__(self) -> None:
        self.played = self.begun = 0

    def advance(self) -> dict[str, bool]:
        self.played += 1
        return {"ended": self.played == 3}

    def begin(self) -> None:
        self.begun += 1


class Bridge:
    first_live, newest, delivered, is_stopping = 100, -1, 90, False

    def caught_up(self, at: int) -> bool:
        return at <= self.delivered

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


def test_a_market_by_the_clock_is_begun_once() -> None:
    practice: Any = Practice()
    start = MarketStart(practice)
    start()
    start()
    assert practice.begun == 1
