"""Start the practice exchange as a process of its own, and talk to it. It is reached as any venue is: over its sockets and requests."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from forwardtrader.core.errors import ConfigError, VenueUnreachable
from forwardtrader.core.installed import ROOT

_PATIENCE_S: Final = 30.0
_START_S: Final = 180.0  # many symbols have many bars to read, and the machine may be busy; one that dies is noticed at once


@dataclass(frozen=True)
class PracticeAddress:
    """Where a practice exchange is and what opens it; kept in the session's folder so that a restart finds it."""

    protocol: str
    url: str
    ws_url: str
    api_key: str
    api_secret: str
    admin_url: str
    admin_token: str
    pid: int


class PracticeVenue:
    """A running practice exchange; also a `Clock` that tells its market's time."""

    def __init__(self, address: PracticeAddress, process: subprocess.Popen[str] | None = None) -> None:
        self.address = address
        self._process = process
        self._opener = build_opener(ProxyHandler({}))  # loopback never goes through a proxy

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.control("state")["market_time"] / 1000, UTC)

    def begin(self) -> None:
        """Let the market run by the clock, once the session is ready for it."""
        self.control("begin")

    def adopt(self) -> None:
        """Make this process the one that the exchange ends with."""
        self.control("owner", pid=os.getpid())

    def advance(self) -> Any:
        """In lockstep: play the next bar; `ended` says whether it was the last one."""
        return self.control("advance")

    def control(self, command: str, **asked: Any) -> Any:
        """Raises VenueUnreachable or, for a command that was refused, ConfigError."""
        headers = {"Authorization": f"Bearer {self.address.admin_token}", "Content-Type": "application/json"}
        request = Request(f"{self.address.admin_url}/{command}", json.dumps(asked, default=str).encode(), headers)
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise ConfigError(f"practice exchange, {command}: {json.load(error).get('error', error.reason)}") from error
        except OSError as error:
            raise VenueUnreachable(f"the practice exchange at {self.address.url} does not answer: {error}") from error

    def is_alive(self) -> bool:
        try:
            self.control("state")
        except (VenueUnreachable, ConfigError):
            return False
        return True

    def stop(self) -> None:
        """End its process; does nothing where it has ended."""
        if self._process is None:  # it was started by an earlier process of this session
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.address.pid, signal.SIGTERM)
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def save(self, path: Path) -> None:
        """Keep the address, readable by the owner only."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(self.address), file)


def start_practice(settings: dict[str, Any]) -> PracticeVenue:
    """Start `python -m sandbox` with these settings and wait until it serves.

    Raises:
        ConfigError: it refused the settings; the message is its own.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "forwardtrader.sandbox", "--settings", json.dumps(settings, default=str)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        start_new_session=True,  # Ctrl-C is for the session, which ends it in its own time
    )  # fmt: skip
    assert process.stdout is not None and process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        said = process.communicate()[1].strip().splitlines()
        raise ConfigError(said[-1] if said else "the practice exchange did not start")
    said_now = json.loads(line)
    names = ("protocol", "url", "ws_url", "api_key", "api_secret", "admin_url", "admin_token")
    return PracticeVenue(PracticeAddress(**{name: said_now[name] for name in names}, pid=process.pid), process)


def find_practice(path: Path) -> PracticeVenue | None:
    """The practice exchange whose address was saved, if it still runs."""
    try:
        venue = PracticeVenue(PracticeAddress(**json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return None
    return venue if venue.is_alive() else None
