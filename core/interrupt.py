"""Ctrl-C that is neither lost nor made to wait.

Python raises KeyboardInterrupt wherever its main thread happens to be. Inside a `__del__` or a callback of the collector it is dropped, and
while a call of the operating system does not return (a name that cannot be resolved) it is not raised at all. So what may take long is
asked for in a thread that can be left behind, and Ctrl-C is remembered until the block that it is meant for has ended.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, TypeVar

Result = TypeVar("Result")

_SLICE_S: Final = 0.25  # how long a Ctrl-C that Python dropped may go unnoticed


class _Remembered:
    """Whether Ctrl-C was pressed since the outermost `heard` began."""

    pressed = False


@contextlib.contextmanager
def heard() -> Iterator[None]:
    """While the block runs no Ctrl-C is lost: at the latest the next `ask` or `sleep`, or the end of the block, raises it.

    Where Ctrl-C has another meaning nothing is changed: another handler, a thread that is not the main one, a job in the background of a
    shell, which ignores it.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _Remembered.pressed = False
    signal.signal(signal.SIGINT, _press)
    try:
        yield
        _raise_remembered()
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _Remembered.pressed = False


def sleep(seconds: float) -> None:
    """`time.sleep` that a remembered Ctrl-C ends."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        _raise_remembered()
        time.sleep(min(left, _SLICE_S))
    _raise_remembered()


def ask(question: Callable[[], Result]) -> Result:
    """The answer to `question`, or what it raises; Ctrl-C does not wait for it, and leaves it to a thread that ends with the process."""
    if threading.current_thread() is not threading.main_thread():
        return question()
    answers: list[Result] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def find_out() -> None:
        try:
            answers.append(question())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=find_out, name="question", daemon=True).start()
    while not done.wait(_SLICE_S):
        _raise_remembered()
    _raise_remembered()
    if errors:
        raise errors.pop()  # not kept by the frame that it remembers
    return answers[0]


def _press(_number: int, _frame: FrameType | None) -> None:
    _Remembered.pressed = True
    raise KeyboardInterrupt


def _raise_remembered() -> None:
    if _Remembered.pressed:
        raise KeyboardInterrupt
