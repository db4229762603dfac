"""A session with real orders that is killed, its folder gone: another machine goes on with it from Firestore, with equal books."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from rich.console import Console

from forwardtrader.core.errors import AccountLocked, ConfigError, StartRefused, StoreDamaged
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.preflight.shared_state import synchronised
from forwardtrader.live.preflight.takeover import take_over
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.session.session import LiveSession
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import PATIENCE_S, ROOT
from tests.live.books import require_agreement
from tests.live.firestore_emulator import Emulator, new_project
from tests.live.machine_runner import VenueClock
from tests.live.recorded_session import wait_for
from tests.live.session_runner import bars_of
from tests.processes import begin

SELL = {"side": "sell", "kind": "market"}  # beside a position and a stop that rests, by then
SPEED = 20.0  # a minute's bar in three seconds
SYMBOL = "BTC/USDT"
READY = ("protocol", "url", "ws_url", "api_key", "api_secret", "admin_url", "admin_token", "symbols", "seed")
LEASE_S = 3.0  # what is left of it, where the rest of three minutes is not waited for


class World:
    """One exchange, one project of Firestore, and machines that share nothing else."""

    def __init__(self, venue: SandboxHandle, emulator: Emulator, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.venue, self.emulator, self.place, self._patch = venue, emulator, place, patch
        self.project = new_project()
        self.clock = VenueClock(venue)
        self.said: list[str] = []
        patch.setenv("BINANCE_API_KEY", venue.api_key)
        patch.setenv("BINANCE_API_SECRET", venue.api_secret)

    def be(self, machine: str) -> Path:
        """Work as that machine from now on; returns its folder."""
        self._patch.setenv("XDG_STATE_HOME", str(self.place / f"state-{machine}"))
        (self.place / machine).mkdir(exist_ok=True)
        return self.place / machine

    def words(self, machine: str, *more: str) -> list[str]:
        folder = self.be(machine)
        settings = (
            f"live.sessions_path={folder}", f"live.state_path={folder / 'state.db'}", f"feeds.store_path={folder / 'candles'}",
            f"feeds.exchange_url={self.venue.url}", f"live.firestore_project={self.project}", "live.firestore_writes_per_day=0",
            "live.poll_seconds=1", "strategies.slippage_bps=0", "risk.max_clock_offset_s=1e12",  # its market is faster than its clock
        )  # fmt: skip
        words = ["--session", "one", "--quiet", "--symbol", SYMBOL, "--timeframe", "1m", "--exchange", "binance", "--live"]
        words += ["--yes-real-money", "--yes-real-money", "--strategy", f"{ROOT / 'tests/live/guarded.py'}:Guarded", *more]
        return [*words, *(word for setting in settings for word in ("--set", setting))]

    def request(self, machine: str, *more: str) -> LiveRequest:
        return read_request(self.words(machine, *more))

    def start(self, machine: str, *more: str, **spec: Any) -> subprocess.Popen[str]:
        """A session in a process of its own, which dies where `spec` says."""
        ready = {name: getattr(self.venue, name) for name in READY}
        return begin([sys.executable, "-m", "tests.live.machine_runner", json.dumps({"venue": ready, **spec}), *self.words(machine, *more)])

    def die(self, machine: str, **spec: Any) -> None:
        process = self.start(machine, **spec)
        said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL, said

    def run(self, request: LiveRequest) -> LiveSession:
        session = LiveSession(request, self.clock, SessionView(Console(), shown=False))
        assert session.run() == 0
        return session

    def lose(self, machine: str) -> Path:
        """The folder is gone; a copy of it may come back with the machine."""
        kept = self.place / f"{machine}-kept"
        shutil.copytree(self.place / machine, kept)
        shutil.rmtree(self.place / machine)
        return kept

    def end_lease(self) -> None:
        """As if its three minutes were nearly over."""
        [held] = list(FirestoreMirror(self.project)._client.collection("accounts").stream())
        held.reference.update({"life_s": LEASE_S})

    def go_on(self, machine: str, bars: int = 4) -> LiveSession:
        """Take over, trade, and compare everybody's books."""
        request = take_over(self.request(machine, "--bars", str(bars)), self.clock, self.said.append)
        session = self.run(request)
        with closing(Journal(request.folder / "journal.db")) as journal:
            require_agreement(self.venue, journal, session.progress.strategy, prefix="one")
        assert len(self.stops()) == 1
        return session

    def wipe(self) -> None:
        address = f"http://127.0.0.1:{self.emulator.port}/emulator/v1/projects/{self.project}/databases/(default)/documents"
        with urlopen(Request(address, method="DELETE"), timeout=PATIENCE_S):
            pass

    def stops(self) -> list[dict[str, Any]]:
        """Those that rest at the venue."""
        return [o for o in self.venue.orders() if "stop_price" in o and o["status"].lower() == "new"]


def kinds_of(session: LiveSession) -> set[str]:
    """Of its alerts."""
    with closing(SessionStore(session.request.folder / "session.db", reads=True)) as store:
        return {note["kind"] for note in store.notes()}


@pytest.fixture
def world(firestore: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with start_sandbox(protocol="binance", speed=SPEED, waits=True, history=600, seed=3, fee_asset="quote") as venue:
        venue.control("begin")
        yield World(venue, firestore, tmp_path, monkeypatch)


# In the wire: nobody knows whether it arrived. Executed: nobody but the venue knows, and the mirror has none of it.
POINTS = ("before the wire", "before the answer is kept", "amid its executions", "after the answer is kept")


@pytest.mark.slow
@pytest.mark.parametrize("mirrored", [True, False], ids=["which the mirror has", "which the mirror has not"])
@pytest.mark.parametrize("point", POINTS)
def test_a_session_killed_around_an_order_goes_on_on_another_machine_with_equal_books(world: World, point: str, mirrored: bool) -> None:
    world.die("first", point=point, count=1, **SELL, **({"mirrored": world.project} if mirrored else {}))
    world.lose("first")
    assert len(world.stops()) == 1
    world.end_lease()
    session = world.go_on("second")
    if mirrored and point.startswith("before"):  # all that it sent: half of the position has no stop, which is known to be meant so
        assert not kinds_of(session) & {"position_unprotected", "stop_stands_still"}


@pytest.mark.slow
def test_only_one_machine_trades_before_during_and_after_a_takeover_by_the_command(world: World) -> None:
    """The lease's three minutes are waited for."""
    first = world.start("first", point="before the answer is kept", count=2, mirrored=world.project, **SELL)
    wait_for(lambda: world.stops() or first.poll() is not None)
    with pytest.raises(AccountLocked, match=r"is traded by .*stop the session there first"):
        world.run(world.request("stranger", "--bars", "1"))
    said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == -signal.SIGKILL, said
    kept = world.lose("first")

    second = world.start("second", "--from-firestore", "--bars", "12")
    wait_for(lambda: (world.place / "second" / "one" / "session.json").is_file() or second.poll() is not None, 2 * PATIENCE_S)
    shutil.copytree(kept, world.place / "first")
    with pytest.raises(AccountLocked, match="is traded by"):
        world.run(world.request("first", "--bars", "1"))
    out, err = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 0, (out, err)
    assert "is held by" in out and "waiting" in out and "session one restored" in out
    with closing(Journal(world.place / "second" / "one" / "journal.db")) as journal:
        require_agreement(world.venue, journal, prefix="one")
    assert len(world.stops()) == 1
    with pytest.raises(StartRefused, match=r"was last run by .*--from-firestore"):
        world.run(world.request("first", "--bars", "1"))


@pytest.mark.slow
def test_what_a_hung_firestore_kept_from_the_mirror_for_half_a_minute_is_fetched_from_the_venue(world: World) -> None:
    first = world.start("first")
    wait_for(lambda: bars_of(world.place / "first", "one") >= 4 or first.poll() is not None)
    with world.emulator.hung():
        time.sleep(30.0)
        first.kill()
        first.communicate()
    world.lose("first")
    world.end_lease()
    world.go_on("second")


@pytest.mark.slow
@pytest.mark.parametrize("in_the_middle", [False, True], ids=["after the kill", "while it ran"])
def test_a_mirror_that_was_wiped_is_one_line_until_the_files_are_sent_again(world: World, in_the_middle: bool) -> None:
    first = world.start("first")
    folder = world.place / "first"
    wait_for(lambda: bars_of(folder, "one") >= 4 or first.poll() is not None)
    if in_the_middle:
        world.wipe()
        wait_for(lambda: FirestoreMirror(world.project).get("sessions/one") is not None)  # something is written again
    first.kill()
    first.communicate()
    if not in_the_middle:
        world.wipe()
    else:
        world.end_lease()
    with pytest.raises((ConfigError, StoreDamaged), match=r"has no session 'one'|is not whole") as refused:
        take_over(world.request("second"), world.clock, world.said.append)
    assert "type --sync-firestore on the machine that has its files" in str(refused.value)
    synchronised(world.request("first"), world.clock)
    world.lose("first")
    world.go_on("second")
