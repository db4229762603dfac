"""Taking a session over: its settings come from where it was begun, its lease is waited for, and no real order is sent unasked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import ConfigError, StartRefused, StoreDamaged
from forwardtrader.live.mirror.session_mirror import asked
from forwardtrader.live.mirror.sync import synchronise
from forwardtrader.live.output.firestore import FirestoreLeases, FirestoreMirror
from forwardtrader.live.output.lease import Lease, MemoryLeases
from forwardtrader.live.output.state_store import Event
from forwardtrader.live.parity.command import compare
from forwardtrader.live.preflight.owner import machine_name
from forwardtrader.live.preflight.takeover import as_begun, take_over, wait_for_lease
from forwardtrader.live.request import LiveRequest, read_request
from tests.live.firestore_emulator import Emulator, new_project
from tests.live.session_runner import SYMBOLS, Momentum, bars_of, request_for, run

REAL = ("--live", "--yes-real-money", "--yes-real-money")


def begun_as(request: LiveRequest) -> dict[str, Any]:
    return {"config": request.settings.model_dump(mode="json"), "request": asked(request)}


def test_settings_come_from_where_it_was_begun_and_places_and_secrets_from_here() -> None:
    there = read_request(
        [
            "--session",
            "one",
            "--symbol",
            "ETH/USDT",
            "--timeframe",
            "5m",
            "--set",
            "strategies.cash=777",
            "--set",
            "live.state_path=/there.db",
        ]
    )
    document = begun_as(there)
    document["config"]["feeds"]["exchange_url"] = "https://***@x.example"
    here = read_request(["--session", "one", "--set", "live.state_path=here.db", "--set", "models.save_path=mine"])
    taken = as_begun(here, document, "practice")
    assert (taken.symbols, str(taken.timeframe), taken.settings.strategies.cash) == (("ETH/USDT",), "5m", 777)
    assert (taken.settings.live.state_path, taken.settings.live.firestore_project) == ("here.db", "practice")
    assert (taken.settings.models.save_path, taken.settings.feeds.exchange_url) == ("mine", "")


def test_real_orders_are_asked_for_here_and_a_practice_account_is_nowhere_else() -> None:
    plain, real = read_request(["--session", "one"]), read_request(["--session", "one", *REAL])
    with pytest.raises(ConfigError, match="add --live --yes-real-money"):
        as_begun(plain, begun_as(real), "p")
    assert as_begun(real, begun_as(real), "p").mode == "live"
    with pytest.raises(ConfigError, match="practice exchange of its machine"):
        as_begun(real, begun_as(read_request(["--live", "--sandbox"])), "p")
    with pytest.raises(ConfigError, match="trades on paper"):
        as_begun(real, begun_as(plain), "p")
    with pytest.raises(ConfigError, match="another version"):
        as_begun(plain, {"config": {"unknown": {}}, "request": {}}, "p")


class MovingClock:
    """Goes on by a minute whenever it is looked at."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at


def test_a_lease_is_waited_for_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.preflight.takeover._ASK_EVERY_S", 0.0)
    leases, clock, said = MemoryLeases(), MovingClock(), []
    leases.held["session-one"] = Lease("there", clock.at.timestamp() + 170, 4, "one")
    assert wait_for_lease(read_request(["--session", "one"]), None, leases, clock, said.append) == 5
    assert said == ["session-one is held by there, until 00:02:50 UTC unless renewed; waiting"]


def test_without_a_project_or_of_a_session_that_nobody_knows_it_is_one_line(firestore: Emulator, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"set live\.firestore_project"):
        take_over(read_request(["--session", "one"]), SystemClock(), print)
    with pytest.raises(ConfigError, match="has no session 'one'"):
        take_over(request_for(tmp_path, "one", 1, "--set", f"live.firestore_project={new_project()}"), SystemClock(), print)


def test_after_the_wait_the_session_is_taken_as_it_is_then_and_the_lease_is_given_back_where_that_will_not_do(
    firestore: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine may stand by for days."""
    project = new_project()
    request = request_for(tmp_path, "one", 1, "--set", f"live.firestore_project={project}")
    begun = begun_as(replace(request, sandbox=True))
    mirror = FirestoreMirror(project)
    mirror.put([Event(1, "sessions/one", {"settings": "a"}), Event(1, "sessions/one/settings/a", begun)])

    def waits(*_given: object) -> int:
        mirror.put([Event(2, "sessions/one", {"settings": "b", "machine": "there", "updated": "later"})])
        return wait_for_lease(*_given)  # type: ignore[arg-type]

    monkeypatch.setattr("forwardtrader.live.preflight.takeover.wait_for_lease", waits)
    with pytest.raises(StoreDamaged, match=r"its settings are missing.*--sync-firestore"):
        take_over(request, SystemClock(), print)
    now = SystemClock().now().timestamp()
    taken = FirestoreLeases(project).take("session-one", Lease("another", now + 60, 0, "one"), now)
    assert taken.holder == "another"
    mirror.put([Event(3, "sessions/one/settings/b", begun)])
    FirestoreLeases(project).take("session-one", Lease("another", now, taken.token, "one"), now)
    with pytest.raises(StoreDamaged, match=r"session 'one' is not whole \(KeyError: 'state/plan'\); type --sync-firestore"):
        take_over(request, SystemClock(), print)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Works as another machine from now on: with a name, a folder and locks of its own."""

    def become(name: str) -> Path:
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / f"state-{name}"))
        (tmp_path / name).mkdir(exist_ok=True)
        return tmp_path / name

    return become


@pytest.mark.slow
def test_a_session_on_paper_goes_on_on_another_machine_and_equals_its_replay(
    firestore: Emulator, machine: Callable[[str], Path], practice_ends: None
) -> None:
    project, said = new_project(), []
    asked_for = ("--set", f"live.firestore_project={project}", "--set", "live.firestore_writes_per_day=0")

    def trade(request: LiveRequest) -> None:
        """However slow the machine is: what waited at the end is sent too."""
        assert run(request) == 0
        synchronise(request, SystemClock(), FirestoreMirror(project))

    first = machine("first")
    trade(request_for(first, "one", 40, *asked_for))
    name = machine_name()

    second = machine("second")
    with pytest.raises(StartRefused, match=r"was last run by .*--from-firestore"):
        run(request_for(second, "one", 5, *asked_for))
    request = take_over(request_for(second, "one", 30, *asked_for), SystemClock(), said.append)
    assert said[-1].startswith("session one restored: 40 bars, ") and name in said[-1]
    trade(request)
    assert bars_of(second, "one") == 70
    parity = compare(second / "one", SystemClock(), {symbol: Momentum() for symbol in SYMBOLS})
    assert (parity.first_difference, parity.bars) == (None, 70)
    logs = [each for each in FirestoreMirror(project).below("sessions/one") if "/trading_logs/" in each]
    assert len(logs) == 70

    machine("first")
    for _ in range(2):  # a try leaves nothing that would let the next one pass
        with pytest.raises(StartRefused, match="was last run by"):
            run(request_for(first, "one", 5, *asked_for))
    request = take_over(request_for(first, "one", 5, *asked_for), SystemClock(), said.append)
    assert "older files of session one are kept" in said[-2]
    trade(request)
    assert bars_of(first, "one") == 75
