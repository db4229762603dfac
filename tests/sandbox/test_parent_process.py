"""A practice exchange ends with its parent process, and a market that waits does not move."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.sandbox.parent_process import ParentProcess
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import PATIENCE_S
from tests.processes import begin

pytestmark = pytest.mark.executes


def sleeper() -> subprocess.Popen[str]:
    return begin([sys.executable, "-c", "import time; time.sleep(600)"])


def wait_until_gone(pid: int, patience_s: float = PATIENCE_S) -> None:
    until = time.monotonic() + patience_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "the practice exchange outlives its parent process"
        time.sleep(0.05)


def test_the_exchange_ends_when_its_parent_is_killed() -> None:
    parent = sleeper()
    with start_sandbox(speed="lockstep", owner=parent.pid) as venue:
        venue.advance()
        parent.kill()  # and not waited for: it stays behind as a zombie
        wait_until_gone(venue.pid)
        parent.wait()


def test_another_parent_can_take_it_over_in_time() -> None:
    first, second = sleeper(), sleeper()
    with start_sandbox(speed="lockstep", owner=first.pid, orphan_s=600.0) as venue:
        first.kill()
        first.wait()
        venue.control("owner", pid=second.pid)
        with pytest.raises(ConfigError, match="no such process"):
            venue.control("owner", pid=first.pid)
        venue.advance()
        second.kill()
        second.wait()
        venue.advance()  # it waits for yet another one


def test_the_grace_period_of_an_orphan_starts_when_its_parent_is_gone() -> None:
    process, now = sleeper(), [0.0]
    parent = ParentProcess(process.pid, 10.0, monotonic=lambda: now[0])
    now[0] = 100.0
    assert not parent.is_gone()
    process.kill()
    process.wait()
    assert not parent.is_gone()
    now[0] = 109.0
    assert not parent.is_gone()
    now[0] = 110.0
    assert parent.is_gone()
    parent.follow(os.getpid())
    assert not parent.is_gone()


def test_nobodys_exchange_never_ends_by_itself() -> None:
    assert not ParentProcess(0, 0.0).is_gone()
    with pytest.raises(InvalidSetting):
        ParentProcess(2**22 + 1, 0.0)


def test_a_market_that_waits_stands_still_until_the_command_begin() -> None:
    with start_sandbox(speed=36_000.0, waits=True) as venue:
        before = venue.market_time()
        time.sleep(0.3)
        assert venue.market_time() == before
        venue.control("begin")
        assert moved(venue, before)


def moved(venue: SandboxHandle, before: int) -> bool:
    until = time.monotonic() + PATIENCE_S
    while venue.market_time() == before and time.monotonic() < until:
        time.sleep(0.02)
    return venue.market_time() > before
