"""Start the practice exchange as a subprocess, and call its control endpoint."""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import tempfile
from datetime import UTC, datetime
from types import TracebackType
from typing import IO, Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.core.errors import ConfigError, TradingError, VenueUnreachable
from forwardtrader.sandbox.orders.settings import SandboxSettings

PATIENCE_S: Final = 30.0


class SandboxHandle:
    """A running practice exchange. Use it as a context manager, or call `stop`.

    `url` and `ws_url` are what clients are pointed at, `api_key` and `api_secret` what they sign with.
    """

    def __init__(self, process: subprocess.Popen[str] | None, ready: dict[str, Any]) -> None:
        self.protocol: str = ready["protocol"]
        self.url: str = ready["url"]
        self.ws_url: str = ready["ws_url"]
        self.api_key: str = ready["api_key"]
        self.api_secret: str = ready["api_secret"]
        self.admin_url: str = ready["admin_url"]
        self.admin_token: str = ready["admin_token"]
        self.symbols: list[str] = ready["symbols"]
        self.seed: int = ready["seed"]
        self._process = process
        # Loopback must not go through a proxy that the environment names.
        self._opener = build_opener(ProxyHandler({}))

    @property
    def pid(self) -> int:
        """Its process id; 0 if it was not started here."""
        return self._process.pid if self._process is not None else 0

    def control(self, command: str, **params: Any) -> Any:
        """Send a command to the control endpoint and return its answer. Blocks: not for use inside an event loop.

        Raises:
            ConfigError: the command was refused; the message says why.
            VenueUnreachable: the exchange is gone.
        """
        headers = {"Authorization": f"Bearer {self.admin_token}", "Content-Type": "application/json"}
        request = Request(f"{self.admin_url}/{command}", json.dumps(params, default=str).encode(), headers)
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise ConfigError(f"control {command}: {json.load(error).get('error', error.reason)}") from error
        except OSError as error:
            raise VenueUnreachable(f"the practice exchange at {self.url} does not answer: {error}") from error

    def advance(self, bars: int = 1) -> Any:
        """In lockstep: play the next bars; returns `market_time` (ms), `advanced`, `ended`, and `trades`, the ids of executions."""
        return self.control("advance", bars=bars)

    def state(self) -> Any:
        """Market time, prices, balances and open orders."""
        return self.control("state")

    def market_time(self) -> int:
        """The market's clock, milliseconds UTC."""
        return int(self.control("time")["market_time"])

    def now(self) -> datetime:
        """The same as a time, so that the exchange is the clock of whoever trades on it."""
        return datetime.fromtimestamp(self.market_time() / 1000, UTC)

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """The log of requests and events after entry `since`."""
        entries: list[dict[str, Any]] = self.control("log", since=since)["entries"]
        return entries

    def trades(self, since: int = 0) -> list[dict[str, Any]]:
        """Every execution after number `since`; amounts as text."""
        made: list[dict[str, Any]] = self.control("trades", since=since)["trades"]
        return made

    def orders(self) -> list[dict[str, Any]]:
        """All orders, open or not, with client id and status."""
        made: list[dict[str, Any]] = self.control("orders")["orders"]
        return made

    def arm(self, fault: str, **options: Any) -> Any:
        """Arm a fault switch, for example `arm("F1", count=2)`; returns all armed ones."""
        return self.control("fault", name=fault, **options)

    def disarm(self, fault: str = "") -> Any:
        """Disarm one fault switch, or all."""
        return self.control("clear", name=fault)

    def stop(self) -> None:
        """Terminate the process; no effect if it has ended."""
        if self._process is None:
            return
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()

    def kill(self) -> None:
        """Kill the process, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def __enter__(self) -> SandboxHandle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def start_sandbox(settings: SandboxSettings | None = None, **changes: Any) -> SandboxHandle:
    """Start `python -m sandbox` and wait until it serves.

    Args:
        settings: all of them; the defaults where None.
        changes: single settings by name; they override `settings`.

    Raises:
        TradingError: it did not start; the message is its own.
    """
    tree = (settings or SandboxSettings()).model_dump(mode="json", exclude_unset=True) | changes
    chosen = SandboxSettings.model_validate(tree).model_dump_json(exclude_unset=True)
    command = child_command("sandbox", "--settings", chosen)
    # A full pipe that nobody reads would block it, so stderr goes into a file.
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=child_environment())
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
        line = process.stdout.readline() if ready else ""
        if not line:
            raise _not_started(process, errors)
    return SandboxHandle(process, json.loads(line))


def _not_started(process: subprocess.Popen[str], errors: IO[str]) -> TradingError:
    # It may be about to exit by itself: its exit code says whether the settings were wrong.
    try:
        process.communicate(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
    errors.seek(0)
    lines = errors.read().strip().splitlines()
    error = ConfigError if process.returncode == 2 else TradingError
    return error(lines[-1] if lines else "the practice exchange did not start")
