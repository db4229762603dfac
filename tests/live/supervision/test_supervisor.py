"""The supervisor: the loop comes first, and what it leaves lying is carried out once, without it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.heartbeat import Heartbeat, newest_beat
from forwardtrader.live.mailbox import Answer, Command, Mailbox, send, wait_for_answer
from forwardtrader.live.supervision.interruption import Interruption
from forwardtrader.live.supervision.supervisor import Supervisor

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


class Session:
    """What a supervisor does to a session."""

    def __init__(self) -> None:
        self.done: list[ControlCommand] = []
        self.ended: list[tuple[str, int]] = []

    def acts_on(self, verb: ControlCommand) -> bool:
        return verb is not ControlCommand.RESUME

    def carry_out(self, command: Command) -> tuple[bool, str]:
        self.done.append(command.verb)
        return True, f"{command.verb} done"

    def end(self, reason: str, code: int) -> None:
        self.ended.append((reason, code))


class Watched:
    """A session with its supervisor, and a time that is set."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.session, self.killed = folder, 100.0, Session(), 0
        interruption = Interruption()
        interruption.kill = self.kill  # type: ignore[method-assign]
        self.supervisor = Supervisor(
            folder, Mailbox(folder, CLOCK), Heartbeat(folder, CLOCK, monotonic=self.time), interruption=interruption, monotonic=self.time
        )

    def time(self) -> float:
        return self.now

    def kill(self) -> None:
        self.killed += 1

    def send(self, verb: ControlCommand) -> Command:
        command = send(self.folder, verb, CLOCK)
        assert command is not None
        return command

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.supervisor.look()

    def answer(self, command: Command) -> Answer | None:
        return wait_for_answer(self.folder, command, 0.0)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with control.held(control.lock_of(tmp_path), "the session"):
        yield Watched(tmp_path)


def test_the_loop_gets_a_command_first_and_once(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    command = watched.send(ControlCommand.FLATTEN)
    watched.after(0.1)
    assert watched.supervisor.take() == [command]
    watched.after(60.0)
    assert (watched.supervisor.take(), watched.session.done) == ([], [])


def test_what_the_loop_leaves_lying_is_carried_out_and_answered_within_a_second(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    pause, resume = watched.send(ControlCommand.PAUSE), watched.send(ControlCommand.RESUME)
    watched.after(0.1)
    assert watched.session.done == []
    watched.after(0.8)
    assert watched.session.done == [ControlCommand.PAUSE]
    answer = watched.answer(pause)
    assert answer is not None and (answer.obeyed, answer.text) == (True, "pause done")
    assert watched.supervisor.take() == [resume], "only the loop can resume"


def test_nothing_adds_exposure_while_a_command_waits_and_no_order_leaves_once_killed(watched: Watched) -> None:
    supervisor = watched.supervisor
    supervisor.watch_over(watched.session)
    assert (supervisor.interlock(), supervisor.switch()) == ("", "")
    watched.send(ControlCommand.PAUSE)
    assert "control command" in supervisor.interlock(), "before anybody has looked"
    watched.after(0.1)
    assert "control command" in supervisor.interlock(), "before the loop has taken it"
    supervisor.take()
    assert supervisor.interlock() == ""
    watched.send(ControlCommand.KILL)
    assert supervisor.switch() == "killed"


def test_a_kill_switch_turned_by_hand_is_a_kill_and_turned_once(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    control.kill(watched.folder)
    for _ in range(5):
        watched.after(0.5)
    assert watched.session.done == [ControlCommand.KILL]


def test_a_kill_whose_command_comes_after_its_switch_is_carried_out_once_and_its_sender_told_so(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    control.kill(watched.folder)
    watched.after(0.1)
    command = watched.send(ControlCommand.KILL)
    for _ in range(5):
        watched.after(0.5)
    assert watched.session.done == [ControlCommand.KILL]
    answer = watched.answer(command)
    assert answer is not None and answer.text == "kill done"


def test_a_killed_session_that_does_not_end_is_ended(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    watched.send(ControlCommand.KILL)
    watched.after(0.1)
    watched.after(1.0)
    assert watched.session.ended == []
    watched.after(4.0)
    assert watched.session.ended == [("killed while its loop hung", 4)]


def test_a_signal_ends_a_loop_that_hangs_and_leaves_one_that_turns_alone(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    watched.supervisor.signalled(signal.SIGTERM)
    for _ in range(30):
        watched.supervisor.turn()
        watched.after(1.0)
    assert watched.session.ended == []
    watched.after(11.0)
    assert [code for _, code in watched.session.ended] == [143]


def test_a_second_signal_ends_any_session_soon(watched: Watched) -> None:
    watched.supervisor.watch_over(watched.session)
    for _ in range(2):
        watched.supervisor.signalled(signal.SIGINT)
    watched.supervisor.turn()
    watched.after(1.0)
    assert watched.session.ended == []
    watched.after(1.5)
    assert [code for _, code in watched.session.ended] == [130]


def test_a_kill_ends_a_start_and_a_pause_waits_for_the_first_decision(watched: Watched) -> None:
    pause = watched.send(ControlCommand.PAUSE)
    watched.after(0.1)
    answer = watched.answer(pause)
    assert answer is not None and answer.obeyed and "starting" in answer.text
    assert watched.supervisor.take() == [pause]
    kill = watched.send(ControlCommand.KILL)
    watched.after(0.1)
    assert watched.killed == 1
    answer = watched.answer(kill)
    assert answer is not None and answer.obeyed


def test_the_heartbeat_has_the_age_of_the_last_turn(watched: Watched) -> None:
    watched.supervisor.beat()
    found = newest_beat(watched.folder)
    assert found is not None and found[0].turn_age_s is None
    watched.supervisor.watch_over(watched.session)
    watched.after(3.0)
    watched.supervisor.beat()
    found = newest_beat(watched.folder)
    assert found is not None and found[0].turn_age_s == 3.0
