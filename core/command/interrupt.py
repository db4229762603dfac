"""Interrupt handling: Ctrl-C is neither lost nor delayed.

Python raises KeyboardInterrupt wherever its main thread happens to be. Inside a `__del__` or a callback of the garbage collector it is
dropped, and during a blocking system call, such as a name lookup, it is not raised at all. So a call that may block runs in a thread that
can be abandoned, and Ctrl-C stays pending until the block that it is meant for has ended.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, TypeVar

T = TypeVar("T")

_AGAIN_S: Final = 0.05  # until a dropped Ctrl-C is pressed again
_SLICE_S: Final = 0.25  # the longest time until a dropped Ctrl-C is noticed


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """A Ctrl-C that Python drops in this block, which is a whole command, is raised again a moment later, and at the latest at its end.

    Nothing changes where Ctrl-C is handled otherwise, and where the system has no timer.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or not hasattr(signal, "setitimer") or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    hook, handler = sys.unraisablehook, signal.signal(signal.SIGALRM, _press_again)
    dropped = _Dropped(hook)
    sys.unraisablehook = dropped
    try:
        yield
        if dropped.waits:
            raise KeyboardInterrupt
    finally:
        dropped.forget()
        sys.unraisablehook = hook
        signal.signal(signal.SIGALRM, handler)


class _Dropped:
    """Notices a Ctrl-C that was dropped, and has it pressed again once Python is out of where it was.

    Args:
        otherwise: handles everything else that Python drops.
    """

    def __init__(self, otherwise: Callable[[sys.UnraisableHookArgs], object]) -> None:
        self._otherwise = otherwise
        self._is_set = False

    def __call__(self, told: sys.UnraisableHookArgs) -> None:
        if told.exc_type is KeyboardInterrupt and threading.current_thread() is threading.main_thread():
            self._is_set = True
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            self._otherwise(told)

    @property
    def waits(self) -> bool:
        """Whether one was dropped and not pressed again yet."""
        return self._is_set and signal.getitimer(signal.ITIMER_REAL)[0] > 0

    def forget(self) -> None:
        if self._is_set:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _press_again(_number: int, _frame: FrameType | None) -> None:
    signal.raise_signal(signal.SIGINT)


class _Pending:
    """Whether Ctrl-C was pressed since the outermost `deferred` block was entered."""

    pressed = False


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """No Ctrl-C is lost in this block: the next `run` or `sleep`, or at the latest the end of the block, raises it.

    Nothing changes where Ctrl-C is handled otherwise: a handler of its own, a thread other than the main one, a background job of a shell.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _Pending.pressed = False
    signal.signal(signal.SIGINT, _press)
    try:
        yield
        _raise_pending()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _Pending.pressed = False


def sleep(seconds: float) -> None:
    """`time.sleep` that a pending Ctrl-C ends."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        _raise_pending()
        time.sleep(min(left, _SLICE_S))
    _raise_pending()


def run(call: Callable[[], T]) -> T:
    """Run a blocking call; Ctrl-C abandons it to a daemon thread. Returns its result, or raises its error."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    answers: list[T] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            answers.append(call())
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=work, name="interruptible", daemon=True).start()
    while not done.wait(_SLICE_S):
        _raise_pending()
    _raise_pending()
    if errors:
        raise errors.pop()  # popped: a frame that keeps it would form a cycle
    return answers[0]


def _press(_number: int, _frame: FrameType | None) -> None:
    _Pending.pressed = True
    raise KeyboardInterrupt


def _raise_pending() -> None:
    if _Pending.pressed:
        raise KeyboardInterrupt
