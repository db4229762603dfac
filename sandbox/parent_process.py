"""Whose practice exchange this is: it ends when the process that started it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from forwardtrader.core.errors import InvalidSetting


class ParentProcess:
    """A process that is looked after.

    Args:
        pid: its number; 0 where nobody owns the exchange, which then never ends by itself.
        patience_s: how long an exchange without its owner waits for another one, which a restarted session is.
    """

    def __init__(self, pid: int, patience_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._patience_s = patience_s
        self._monotonic = monotonic
        self._process: psutil.Process | None = None
        self._alone_since: float | None = None
        if pid:
            self.take(pid)

    def take(self, pid: int) -> None:
        """Belong to another process from now on.

        Raises:
            InvalidSetting: there is no such process.
        """
        try:
            self._process = psutil.Process(pid)
        except (psutil.Error, ValueError, TypeError) as error:
            raise InvalidSetting(f"owner {pid!r}: there is no such process") from error
        self._alone_since = None

    def is_gone(self) -> bool:
        """Whether nobody is left to play for; to be asked now and then."""
        if self._process is None or self._lives(self._process):
            self._alone_since = None
            return False
        if self._alone_since is None:
            self._alone_since = self._monotonic()
        return self._monotonic() - self._alone_since >= self._patience_s

    @staticmethod
    def _lives(process: psutil.Process) -> bool:
        """A number that was given to another process since does not count, nor does one that only waits to be buried."""
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False
