"""Start the practice exchange from a program, as a process of its own, and talk to its control endpoint."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
from types import TracebackType
from typing import IO, Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from forwardtrader.core.errors import ConfigError, TradingError, VenueUnreachable
from forwardtrader.core.installed import ROOT
from forwardtrader.sandbox.orders.settings import SandboxSettings

PATIENCE_S: Final = 30.0


class SandboxHandle:
    """A running practice exchange. Use it as a context manager, or call `stop`.

    `url` and `ws_url` are what clients are pointed at, `api_key` and `api_secret` what they sign with.
    """

    def __init__(self, process: subprocess.Popen[str] | None, said: dict[str, Any]) -> None:
        self.protocol: str = said["protocol"]
        self.url: str = said["url"]
        self.ws_url: str = said["ws_url"]
        self.api_key: str = said["api_key"]
        self.api_secret: str = said["api_secret"]
        self.admin_url: str = said["admin_url"]
        self.admin_token: str = said["admin_token"]
        self.symbols: list[str] = said["symbols"]
        self.seed: int = said["seed"]
        self._process = process
        # Loopback must not go through a proxy that the environment names.
        self._opener = build_opener(ProxyHandler({}))

    @property
    def pid(self) -> int:
        """The number of its process; 0 where it is not ours."""
        return self._process.pid if self._process is not None else 0

    def control(self, command: str, **asked: Any) -> Any:
        """Send one command to the control endpoint and return its answer. Blocks; call it from a thread where an event loop runs.

        Raises:
            ConfigError: the command was refused; the message says why.
            VenueUnreachable: the exchange is gone.
        """
        headers = {"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json"}
        request = Request(f"{self.admin_url}/{command}", json.dumps(asked, default=str).encode(), headers)
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise ConfigError(f"control {command}: {json.load(error).get('error', error.reason)}") from error
        except OSError as error:
            raise VenueUnreachable(f"the practice exchange at {self.url} does not answer: {error}") from error

    def advance(self, bars: int = 1) -> Any:
        """In lockstep: play the next bars; returns `market_time` (ms), `advanced` and `ended`."""
        return self.control("advance", bars=bars)

    def state(self) -> Any:
        """Market time, prices, balances and open orders."""
        return self.control("state")

    def market_time(self) -> int:
        """The market's clock, milliseconds UTC."""
        return int(self.control("time")["market_time"])

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The stamped log of requests and events after entry `since`."""
        entries: list[dict[str, Any]] = self.control("log", since=since)["entries"]
        return entries

    def trades(self, since: int = 0) -> list[dict[str, Any]]:
        """Every execution after number `since`; amounts as text."""
        made: list[dict[str, Any]] = self.control("trades", since=since)["trades"]
        return made

    def orders(self) -> list[dict[str, Any]]:
        """Every order there ever was, with its client id and status."""
        made: list[dict[str, Any]] = self.control("orders")["orders"]
        return made

    def arm(self, fault: str, **options: Any) -> Any:
        """Arm a fault switch, for example `arm("F1", count=2)`; returns all armed ones."""
        return self.control("fault", name=fault, **options)

    def disarm(self, fault: str = "") -> Any:
        """Disarm one fault switch, or all."""
        return self.control("clear", name=fault)

    def stop(self) -> None:
        """End the process; does nothing where it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """End the process as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> SandboxHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_sandbox(settings: SandboxSettings | None = None, **changes: Any) -> SandboxHandle:
    """Start `python -m sandbox` and wait until it serves.

    Args:
        settings: all of them; the defaults where None.
        changes: single settings by name, over `settings`.

    Raises:
        TradingError: it did not start; the message is its own.
    """
    tree = (settings or SandboxSettings()).model_dump(mode="json") | changes
    chosen = SandboxSettings.model_validate(tree).model_dump_json()
    command = [sys.executable, "-m", "forwardtrader.sandbox", "--settings", chosen]
    # A pipe that nobody reads would stop it once it is full, so what it says goes into a file.
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=ROOT)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            raise _not_started(process, said)
    return SandboxHandle(process, json.loads(line))


def _not_started(process: subprocess.Popen[str], said: IO[str]) -> TradingError:
    # It may be about to leave by itself: its own exit code tells whose mistake it was.
    try:
        process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    said.seek(0)
    lines = said.read().strip().splitlines()
    error = ConfigError if process.returncode == 2 else TradingError
    return error(lines[-1] if lines else "the practice exchange did not start")
