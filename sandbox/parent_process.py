"""The parent process: the exchange ends when it is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil

from forwardtrader.core.errors import InvalidSetting


class ParentProcess:
    """Watches the process that the exchange belongs to.

    Args:
        pid: its process id; 0 for none, and the exchange never ends by itself.
        grace_s: how long an orphaned exchange waits for a new parent, such as a restarted session.
    """

    def __init__(self, pid: int, grace_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._grace_s = grace_s
        self._monotonic = monotonic
        self._process: psutil.Process | None = None
        self._orphaned_at: float | None = None
        if pid:
            self.follow(pid)

    def follow(self, pid: int) -> None:
        """Follow another process from now on.

        Raises:
            InvalidSetting: there is no such process.
        """
        try:
            self._process = psutil.Process(pid)
        except (psutil.Error, ValueError, TypeError) as error:
            raise InvalidSetting(f"owner {pid!r}: there is no such process") from error
        self._orphaned_at = None

    def is_gone(self) -> bool:
        """Whether the parent has been gone for the grace period; to be polled."""
        if self._process is None or self._is_alive(self._process):
            self._orphaned_at = None
            return False
        if self._orphaned_at is None:
            self._orphaned_at = self._monotonic()
        return self._monotonic() - self._orphaned_at >= self._grace_s

    @staticmethod
    def _is_alive(process: psutil.Process) -> bool:
        """Whether it still runs; neither a reused process id nor a zombie counts."""
        try:
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False
