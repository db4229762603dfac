"""Signals of a session's process: noticed whatever the main thread is doing, and never lost."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from forwardtrader.core.errors import RiskHalt
from forwardtrader.live.supervision.interruption import Interruption
from tests import PATIENCE_S, ROOT


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_a_start(number: int, error: type[BaseException]) -> None:
    heard: list[int] = []
    interruption = Interruption()
    interruption.heard = heard.append
    before = signal.getsignal(number)
    with interruption.handled(), pytest.raises(error), interruption.of_a_start():
        press(number)
        time.sleep(5)
        raise AssertionError("the start went on")
    assert signal.getsignal(number) is before
    assert (heard, interruption.first) == ([number], number)


def test_a_signal_that_a_garbage_collection_drops_ends_the_start_at_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    gc.collect()  # what other tests left is no concern of this one
    dropped: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", dropped.append)

    def callback(phase: str, _info: object) -> None:
        if phase == "start" and not dropped:
            press()
            time.sleep(0)  # the handler runs here, and what it raises is dropped by the collector

    interruption, steps = Interruption(), 0
    with interruption.handled(), pytest.raises(KeyboardInterrupt), interruption.of_a_start():
        gc.callbacks.append(callback)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(callback)
        steps += 1
        interruption.check()
        steps += 1
    assert [type(one.exc_value) for one in dropped] == [KeyboardInterrupt]
    assert steps == 1


def test_a_signal_that_nobody_noticed_is_sent_again_and_once_noticed_no_more() -> None:
    now = [0.0]
    interruption = Interruption(lambda: now[0])
    with interruption.handled(), pytest.raises(KeyboardInterrupt), interruption.of_a_start():
        with contextlib.suppress(KeyboardInterrupt):  # as somebody else's code may do
            press()
        interruption.repeat()  # too early
        now[0] = 2.0
        interruption.repeat()
        time.sleep(5)
        raise AssertionError("it was not sent again")
    now[0] = 9.0
    interruption.repeat()


def test_a_kill_ends_a_start_as_a_halt() -> None:
    interruption = Interruption()
    with interruption.handled(), pytest.raises(RiskHalt, match="--resume"), interruption.of_a_start():
        interruption.kill()
        time.sleep(5)
        raise AssertionError("the start went on")


def test_once_the_session_runs_signals_are_its_own() -> None:
    handed: list[int] = []
    interruption = Interruption()
    with interruption.handled():
        with interruption.of_a_start():
            interruption.hand_over(handed.append)
        press()
        press(signal.SIGTERM)
    assert handed == [signal.SIGINT, signal.SIGTERM]


SECOND = """
import os, signal, time
from forwardtrader.live.supervision.interruption import Interruption
interruption = Interruption()
with interruption.handled(), interruption.of_a_start():
    while True:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            pass
"""


def test_a_second_ctrl_c_ends_a_start_at_once() -> None:
    assert subprocess.run([sys.executable, "-c", SECOND], cwd=ROOT, timeout=PATIENCE_S, check=False).returncode == 130
