"""The heartbeat of a session: a file that is touched every second, an address that is called while all is well, and systemd's watchdog.

Whoever watches from outside sees a session that died, or hangs, by the age of the file or by calls that stay away.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

from forwardtrader.core import log
from forwardtrader.core.atomic import private_file
from forwardtrader.core.clock import Clock

_LOG: Final = log.logger("live")
_FILE: Final = "heartbeat.json"
_EVERY_S: Final = 1.0
_CALL_EVERY_S: Final = 30.0
_CALL_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Beat:
    """One heartbeat. `turn_age_s` is the age of the loop's last turn; None before the first."""

    at: str
    pid: int
    turn_age_s: float | None


class Heartbeat:
    """Writes the file, and calls the address where there is one; neither is waited for.

    Args:
        url: called with GET every thirty seconds while the loop turns; "" for none.
        notify_socket: systemd's, told every second that all is well until the loop hangs; "" for none.
        longest_turn_s: a turn that takes longer hangs.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, url: str = "", notify_socket: str = "", longest_turn_s: float = 60.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._path = folder / _FILE
        self._clock = clock
        self._url = url
        self._notify_socket = notify_socket
        self._longest_turn_s = longest_turn_s
        self._monotonic = monotonic
        self._next = self._next_call = monotonic()
        self._is_written = True
        self._calling: threading.Thread | None = None

    def beat(self, turn_age_s: float | None) -> None:
        """The supervisor is alive; called several times a second."""
        now = self._monotonic()
        if now >= self._next:
            self._next = now + _EVERY_S
            self._write(Beat(at=self._clock.now().isoformat(), pid=os.getpid(), turn_age_s=turn_age_s))
            if self._notify_socket and (turn_age_s is None or turn_age_s < self._longest_turn_s):  # a start takes as long as it takes
                tell_systemd(self._notify_socket, "WATCHDOG=1")
        if self._url and now >= self._next_call and turn_age_s is not None and turn_age_s < self._longest_turn_s:
            self._next_call = now + _CALL_EVERY_S
            self._call_in_background()

    def _write(self, beat: Beat) -> None:
        temporary = self._path.with_name(f".{self._path.name}")
        try:
            private_file(temporary)
            temporary.write_text(json.dumps(asdict(beat)), encoding="utf-8")
            temporary.replace(self._path)
            self._is_written = True
        except OSError as error:
            if self._is_written:  # once; a full disk is reported by what must be written
                log.event(_LOG, "heartbeat_not_written", reason=str(error))
            self._is_written = False

    def _call_in_background(self) -> None:
        if self._calling is None or not self._calling.is_alive():
            self._calling = threading.Thread(target=self._call, name="heartbeat", daemon=True)
            self._calling.start()

    def _call(self) -> None:
        try:
            with urlopen(Request(self._url), timeout=_CALL_TIMEOUT_S):
                pass
        except (OSError, ValueError) as error:
            log.event(_LOG, "heartbeat_not_called", reason=type(error).__name__)


def tell_systemd(address: str, text: str) -> None:
    """Send one notification to the socket that systemd names in NOTIFY_SOCKET; one that does not arrive is missed there."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)
            link.sendto(text.encode(), f"\0{address[1:]}" if address.startswith("@") else address)
    except (OSError, AttributeError) as error:  # systems without such sockets have no systemd
        log.event(_LOG, "systemd_not_told", logging.DEBUG, reason=str(error))


def newest_beat(folder: Path) -> tuple[Beat, float] | None:
    """The newest heartbeat of a session and its age in seconds; None where there is none."""
    path = folder / _FILE
    try:
        age = time.time() - path.stat().st_mtime  # the clock that the file system stamps with
        found = json.loads(path.read_text(encoding="utf-8"))
        return Beat(at=str(found["at"]), pid=int(found["pid"]), turn_age_s=found["turn_age_s"]), max(0.0, age)
    except (OSError, ValueError, KeyError, TypeError):
        return None
