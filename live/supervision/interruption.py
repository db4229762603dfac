"""SIGINT and SIGTERM of a session's process: never lost, whatever the main thread is doing, and counted.

Python raises an exception of a handler wherever the main thread happens to be, and drops it inside a callback of the garbage collector or
a `__del__`. So a handler that has to end a start leaves a mark, every step of the start looks at it, and the supervisor repeats a signal
that nobody has noticed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from forwardtrader.core.errors import RiskHalt

_REPEAT_S: Final = 1.5
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """The signals of one run of a session.

    Attributes:
        first: number of the first signal; 0 while there was none.
        heard: told of each one; must not block.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.first = 0
        self.heard: Callable[[int], None] = lambda _number: None
        self._monotonic = monotonic
        self._main: int | None = None
        self._running: Callable[[int], None] | None = None
        self._is_pending = False
        self._is_killed = False
        self._is_repeated = False
        self._raised_at = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        """While the block runs, the signals come here. Outside the main thread whoever runs us has a way of its own to stop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._main = threading.get_ident()
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def of_a_start(self) -> Iterator[None]:
        """A signal ends the block: SIGINT as KeyboardInterrupt, SIGTERM with exit code 143, a kill as RiskHalt. A second one ends the
        process at once.
        """
        try:
            yield
            self.check()
        finally:
            self._is_pending = False

    def hand_over(self, running: Callable[[int], None]) -> None:
        """The start is done: from now on signals are handed to the running session."""
        self._running = running
        self.check()

    def check(self) -> None:
        """Raise what is pending; called at every step of a start."""
        if self._is_pending:
            self._raise()

    def kill(self) -> None:
        """End the start, from another thread."""
        self._is_killed = self._is_pending = True
        self._nudge()

    def repeat(self) -> None:
        """Send a signal again that the main thread has not noticed; called regularly from another thread."""
        if self._is_pending and self._monotonic() - self._raised_at >= _REPEAT_S:
            self._nudge()

    def _nudge(self) -> None:
        self._raised_at = self._monotonic()
        if self._main is not None:
            self._is_repeated = True
            signal.pthread_kill(self._main, signal.SIGINT)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._is_repeated:
            self._is_repeated = False
            self.check()
            return
        again, self.first = bool(self.first), self.first or number
        self.heard(number)
        if self._running is not None:
            self._running(number)
            return
        if again:
            os._exit(128 + number)
        self._is_pending, self._raised_at = True, self._monotonic()
        self._raise()

    def _raise(self) -> None:
        if self._is_killed:
            raise RiskHalt("killed while it was starting; use --resume to let it start again")
        if self.first == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt
