"""The practice exchange as a child process: start, find, control and stop it, and advance its market in lockstep.

Orders and bars reach it as they reach any venue, over its sockets and requests.
"""

from __future__ import annotations

import ipaddress
import json
import os
import select
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import psutil

from forwardtrader.core import atomic
from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.core.errors import ConfigError, StartRefused, VenueUnreachable
from forwardtrader.live.bridge.arrivals import Arrivals

Json = dict[str, Any]
_PATIENCE_S: Final = 30.0
PRACTICE: Final = "practice.json"  # in the session's folder
_STATE: Final = "practice"
_OF_THE_PROCESS: Final = ("waits", "owner", "orphan_s")  # settings that an exchange which goes on is given anew
_START_S: Final = 180.0  # many symbols have many bars to read, and the machine may be busy; one that dies is noticed at once


@dataclass(frozen=True)
class PracticeAddress:
    """Addresses and keys of a practice exchange; saved in the session's folder so that a restart finds it.

    Attributes:
        started: when its process was created (UTC epoch seconds); 0 in a file of an earlier version.

    Raises:
        ValueError: a field is of the wrong kind, or an address is not an IP address of this machine's loopback network.
    """

    protocol: str
    url: str
    ws_url: str
    api_key: str
    api_secret: str
    admin_url: str
    admin_token: str
    pid: int
    started: float = 0.0

    def __post_init__(self) -> None:
        texts = (self.protocol, self.url, self.ws_url, self.api_key, self.api_secret, self.admin_url, self.admin_token)
        if not all(isinstance(text, str) for text in texts) or type(self.pid) is not int or not isinstance(self.started, int | float):
            raise ValueError("a field of another kind")
        for address in (self.url, self.ws_url, self.admin_url):
            if not ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback:
                raise ValueError(f"{address} is not on this machine")

    def process(self) -> psutil.Process | None:
        """The exchange's process; None where it has ended, also where another process has its number by now."""
        try:
            found = psutil.Process(self.pid)
            is_it = "forwardtrader.sandbox" in found.cmdline() and abs(found.create_time() - (self.started or found.create_time())) < 1.0
        except (psutil.Error, ValueError, OverflowError):
            return None
        return found if is_it else None


class _NoRedirect(HTTPRedirectHandler):
    """The exchange sends nobody elsewhere; followed, a redirect would take the token along."""

    def redirect_request(self, *_: object) -> None:
        return None


class PracticeVenue:
    """A running practice exchange; also the `Clock` of its market."""

    def __init__(self, address: PracticeAddress, process: subprocess.Popen[str] | None = None) -> None:
        self.address = address
        self._process = process
        self._opener = build_opener(ProxyHandler({}), _NoRedirect)  # loopback never goes through a proxy

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.control("state")["market_time"] / 1000, UTC)

    def begin(self) -> None:
        """Let the market run by its clock."""
        self.control("begin")

    def adopt(self) -> None:
        """Make this process the owner: the exchange ends when its owner does."""
        self.control("owner", pid=os.getpid())

    def advance(self) -> Json:
        """In lockstep: play the next bar; `ended` is True where it was the last one, `trades` are the ids of the account's executions."""
        return self.control("advance")

    def control(self, command: str, **arguments: object) -> Json:
        """Send a command of the exchange's control interface; returns its JSON answer.

        Raises:
            VenueUnreachable: it does not answer.
            ConfigError: it refused the command.
        """
        headers = {"Authorization": f"Bearer {self.address.admin_token}", "Content-Type": "application/json"}
        request = Request(f"{self.address.admin_url}/{command}", json.dumps(arguments, default=str).encode(), headers)
        try:
            with self._opener.open(request, timeout=_PATIENCE_S) as answer:
                found: Json = json.load(answer)
                return found
        except HTTPError as error:
            raise ConfigError(f"practice exchange, {command}: {_reason(error)}") from error
        except (OSError, ValueError) as error:
            raise VenueUnreachable(f"the practice exchange at {self.address.url} does not answer: {error}") from error

    def is_alive(self) -> bool:
        try:
            self.control("state")
        except (VenueUnreachable, ConfigError):
            return False
        return True

    def stop(self) -> None:
        """End its process; a second call does nothing."""
        if self._process is None:  # it was started by an earlier process of this session
            if (process := self.address.process()) is not None:
                process.terminate()
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
        """Write the address to a file that only the user can read, whole or not at all."""
        atomic.write_text(path, json.dumps(asdict(self.address)))
        atomic.private_file(path)


def start_practice(settings: Json) -> PracticeVenue:
    """Start `python -m sandbox` with these settings and wait until it serves.

    Raises:
        ConfigError: it refused the settings; the message is its own.
    """
    process = subprocess.Popen(
        child_command("sandbox", "--settings", json.dumps(settings, default=str)),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment(),
        start_new_session=True,  # Ctrl-C is for the session, which ends it in its own time
    )  # fmt: skip
    try:
        return PracticeVenue(_address_of(process), process)
    except BaseException:  # a signal, too
        with process:
            process.kill()
        raise


def _address_of(process: subprocess.Popen[str]) -> PracticeAddress:
    """What it says once it serves."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_S)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        lines = process.communicate()[1].strip().splitlines()
        raise ConfigError(lines[-1] if lines else "the practice exchange did not start")
    ready_line = json.loads(line)
    names = ("protocol", "url", "ws_url", "api_key", "api_secret", "admin_url", "admin_token")
    started = psutil.Process(process.pid).create_time()
    return PracticeAddress(**{name: ready_line[name] for name in names}, pid=process.pid, started=started)


def practice_account(folder: Path, settings: Json, *, is_needed: bool) -> PracticeVenue:
    """The practice exchange of a session that keeps its account there: it runs still, or goes on where it was when it ended.

    Args:
        folder: the session's.
        settings: of an exchange of which nothing is left yet.
        is_needed: the session may have sent orders to it; otherwise it begins anew.

    Raises:
        StartRefused: the account is gone.
        TradingError: the exchange did not start; the message is its own.
    """
    state = (folder / _STATE).resolve()
    if not is_needed:
        return new_practice(folder, settings | {"state": str(state)})
    running = find_practice(folder / PRACTICE)
    if running is not None:
        running.adopt()
        return running
    if not (state / "exchange.db").is_file():
        raise StartRefused(f"the practice exchange of this session has ended and {state} is gone; start a session of another name")
    return _saved(start_practice({name: settings[name] for name in _OF_THE_PROCESS} | {"state": str(state)}), folder)


def new_practice(folder: Path, settings: Json) -> PracticeVenue:
    """A practice exchange with a new account; an earlier one of the session is ended."""
    earlier = find_practice(folder / PRACTICE)
    if earlier is not None:
        earlier.stop()
    shutil.rmtree(folder / _STATE, ignore_errors=True)
    return _saved(start_practice(settings), folder)


def _saved(venue: PracticeVenue, folder: Path) -> PracticeVenue:
    """An exchange that was just started, with its address in the session's folder; where that cannot be written, it is ended."""
    try:
        venue.save(folder / PRACTICE)
    except BaseException:
        venue.stop()
        raise
    return venue


def find_practice(path: Path) -> PracticeVenue | None:
    """The practice exchange whose address was saved, if it still runs.

    Raises:
        ConfigError: the file was damaged, or names a machine that is not this one.
    """
    try:
        address = PracticeAddress(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} is not what was written ({reason}); remove it, and start the session again") from error
    venue = PracticeVenue(address)
    return venue if address.process() is not None and venue.is_alive() else None


def _reason(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


class BridgeView(Protocol):
    """What the lockstep reads of the bridge; times are open times in ms UTC."""

    is_stopping: bool

    @property
    def first_live(self) -> int:
        """The first bar that was awaited live."""

    @property
    def newest(self) -> int:
        """The newest bar that was queued for the feeds."""

    def caught_up(self, at: int) -> bool:
        """Whether every bar up to `at` was delivered."""

    @property
    def waits_for_market(self) -> bool:
        """Whether an order is kept back until the market reaches its price."""

    @property
    def arrivals(self) -> Arrivals:
        """Waits for what the venue has sent."""

    def turn_again(self) -> None:
        """Have the loop turn once more before it waits."""

    def request_stop(self) -> None: ...


class Lockstep:
    """Advances the practice market bar by bar, each time that the session is done with the last one; called while the session waits.

    A venue reports an execution when it happens, well before its bar is over. Here a bar is over at once, and its report races that of the
    closed bar; so the session goes on when it has both. And where the session keeps an order back until the market reaches its price, such
    as the limit beside a stop that locks the coins, it is shown the prices of the running bar one by one, as a venue shows them.

    Args:
        step: length of a bar, ms.
        is_done: whether the session is done with every bar up to the one given (ms UTC), and goes on.
        before_bar: called with the open time (ms UTC) of the next bar before it is played.
        ended: called when the market has no further bar.
    """

    def __init__(
        self, practice: PracticeVenue, bridge: BridgeView, step: int, *, is_done: Callable[[int], bool],
        before_bar: Callable[[int], None], ended: Callable[[], None],
    ) -> None:  # fmt: skip
        self._practice = practice
        self._bridge = bridge
        self._step = step
        self._is_done = is_done
        self._before_bar = before_bar
        self._ended = ended
        self._played: int | None = None

    def __call__(self) -> None:
        bridge = self._bridge
        if bridge.is_stopping:
            return
        if self._played is None:
            self._played = bridge.first_live - self._step
        if not self._is_done(bridge.newest) or not bridge.caught_up(self._played):
            return
        if bridge.waits_for_market and self._approaches(bridge):
            return
        self._played += self._step
        self._before_bar(self._played)
        played = self._practice.advance()
        if played["trades"]:
            bridge.arrivals.await_bar(self._played, played["trades"])
        if played["ended"]:
            self._ended()
            bridge.request_stop()

    def _approaches(self, bridge: BridgeView) -> bool:
        """Let the session see the next price of the running bar; False where there is none."""
        found = self._practice.control("approach")
        if found["prices"]:
            bridge.arrivals.await_prices(found["prices"])
        if found["printed"]:
            bridge.turn_again()  # nobody wakes the loop for a price
        return bool(found["printed"])


class MarketStart:
    """Lets the practice market run by its clock from the session's first wait on, when all past bars were seen."""

    def __init__(self, practice: PracticeVenue) -> None:
        self._practice = practice
        self._has_begun = False

    def __call__(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._practice.begin()
