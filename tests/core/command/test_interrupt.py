"""Ctrl-C ends what waits, also where Python drops it or where the wait cannot be broken."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from forwardtrader.core.command import interrupt
from forwardtrader.core.command.cli import end_well


@pytest.fixture(autouse=True)
def _ctrl_c_means_what_it_means_in_a_terminal() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class PressedWhileItIsThrownAway:
    """Python drops what is raised in here."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    seen: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: seen.append(told.exc_type))
    return seen


def press_after(seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    return timer


def test_the_answer_and_the_error_of_a_question_come_back() -> None:
    assert interrupt.run(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        interrupt.run(lambda: 1 // 0)


@pytest.mark.parametrize("remembering", [True, False])
def test_a_question_that_is_never_answered_does_not_hold_up_ctrl_c(remembering: bool) -> None:
    never = threading.Event()
    timer = press_after(0.1)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        if remembering:
            with interrupt.deferred():
                interrupt.run(never.wait)
        else:
            interrupt.run(never.wait)
    assert time.monotonic() - began < 30
    timer.join()
    never.set()


@pytest.mark.parametrize("waiting", [lambda: interrupt.sleep(60), lambda: interrupt.run(threading.Event().wait), lambda: None])
def test_a_ctrl_c_that_python_drops_is_raised_by_the_next_wait_or_the_end(waiting: Any, dropped: list[Any]) -> None:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interrupt.deferred():
        PressedWhileItIsThrownAway()
        assert dropped == [KeyboardInterrupt]
        waiting()
    assert time.monotonic() - began < 30


def test_one_that_was_dropped_in_a_wait_ends_that_wait(dropped: list[Any]) -> None:
    def drop() -> bool:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return threading.Event().wait(60)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interrupt.deferred():
        interrupt.run(drop)
    assert time.monotonic() - began < 30


def test_what_was_dropped_outside_belongs_to_nobody(dropped: list[Any]) -> None:
    PressedWhileItIsThrownAway()
    with interrupt.deferred():
        interrupt.sleep(0.01)
    assert dropped == [KeyboardInterrupt]


def test_another_meaning_of_ctrl_c_is_left_alone() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    with interrupt.deferred():
        signal.raise_signal(signal.SIGINT)
        interrupt.sleep(0.01)
    assert heard == [signal.SIGINT]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupt.deferred():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_afterwards_everything_is_as_it_was() -> None:
    with interrupt.deferred():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    thread = threading.Thread(target=lambda: list(map(interrupt.run, [interrupt.deferred().__enter__])))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_ends_soon_though_python_drops_its_ctrl_c_and_at_the_latest_when_it_is_done(dropped: list[Any]) -> None:
    def long_one() -> int:
        PressedWhileItIsThrownAway()
        until = time.monotonic() + 60
        while time.monotonic() < until:
            sum(range(1000))
        return 0

    def short_one() -> int:
        PressedWhileItIsThrownAway()
        return 0

    began = time.monotonic()
    assert (end_well(long_one), end_well(short_one), end_well(lambda: 0)) == (130, 130, 0)
    assert time.monotonic() - began < 30
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_commands_own_meaning_of_ctrl_c_is_what_a_dropped_one_comes_to_again(dropped: list[Any]) -> None:
    """A session hands signals to its loop once it has started."""
    heard: list[int] = []

    def command() -> int:
        PressedWhileItIsThrownAway()
        signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
        until = time.monotonic() + 30
        while not heard and time.monotonic() < until:
            time.sleep(0.01)
        return 7

    assert end_well(command) == 7
    assert heard == [signal.SIGINT]
