"""Control commands between processes: carried out once, by the run that they were sent to, or never; and answered."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.live import control, mailbox
from forwardtrader.live.control import ControlCommand
from forwardtrader.live.mailbox import Mailbox, is_withdrawn, send, wait_for_answer

CLOCK = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_command_to_a_session_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no session"):
        send(tmp_path / "none", ControlCommand.PAUSE, CLOCK)
    (tmp_path / "one").mkdir()
    with pytest.raises(ConfigError, match="not running"):
        send(tmp_path / "one", ControlCommand.PAUSE, CLOCK)
    assert send(tmp_path / "one", ControlCommand.KILL, CLOCK) is None
    assert control.is_killed(tmp_path / "one"), "a kill holds whether it runs or not"
    assert send(tmp_path / "one", ControlCommand.RESUME, CLOCK) is None
    assert not control.is_killed(tmp_path / "one")


def test_commands_are_given_once_and_in_order_also_those_of_one_moment(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        assert not box.is_waiting
        sent = [send(tmp_path, verb, CLOCK) for verb in (ControlCommand.PAUSE, ControlCommand.FLATTEN, ControlCommand.KILL)]
        assert box.is_waiting
        assert box.take() == sent
        assert len({command.id for command in sent if command}) == 3
        assert (box.take(), box.is_waiting) == ([], False)


def test_an_answer_reaches_the_sender_of_the_command(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        command = send(tmp_path, ControlCommand.PAUSE, CLOCK)
        assert command is not None
        [taken] = box.take()
        box.answer(taken, "paused")
        answer = wait_for_answer(tmp_path, command, 5.0)
    assert answer is not None and (answer.obeyed, answer.text, answer.verb) == (True, "paused", "pause")


def test_a_command_that_nobody_takes_is_withdrawn_and_never_carried_out(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        command = send(tmp_path, ControlCommand.FLATTEN, CLOCK)
        assert command is not None
        assert wait_for_answer(tmp_path, command, 0.1) is None
        assert is_withdrawn(tmp_path, command)
        assert box.take() == []


def test_what_was_sent_to_a_process_that_died_is_reported_and_not_carried_out_by_the_next(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        dead = Mailbox(tmp_path, CLOCK)
        begun = send(tmp_path, ControlCommand.PAUSE, CLOCK)
        assert dead.take() == [begun]
        unseen = send(tmp_path, ControlCommand.FLATTEN, CLOCK)
        CLOCK.at = datetime(2026, 1, 2, tzinfo=UTC)
        box = Mailbox(tmp_path, CLOCK)
        assert box.take() == []
        assert begun is not None and unseen is not None
        told = [wait_for_answer(tmp_path, command, 1.0) for command in (begun, unseen)]
    assert [answer.obeyed for answer in told if answer] == [False, False]
    assert "begun" in told[0].text and "not carried out" in told[1].text  # type: ignore[union-attr]


def test_what_is_sent_while_a_run_still_puts_earlier_commands_aside_is_carried_out_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, sent = mailbox._write, []

    def write_and_receive(path: Path, content: dict[str, Any]) -> None:
        write(path, content)
        if path.name == "run.json":
            sent.append(send(tmp_path, ControlCommand.FLATTEN, CLOCK))

    monkeypatch.setattr(mailbox, "_write", write_and_receive)
    with control.held(control.lock_of(tmp_path), "the session"):
        assert mailbox.Mailbox(tmp_path, CLOCK).take() == sent


def test_a_command_is_waited_for_as_long_as_somebody_gives_signs_of_carrying_it_out(tmp_path: Path) -> None:
    def waited(begun: bool, signs_s: float) -> float:
        at = [0.0]
        command = send(tmp_path, ControlCommand.KILL, CLOCK)
        assert command is not None
        if begun:
            assert box.take() == [command]

        def sleep(_seconds: float) -> None:
            at[0] += 0.5
            if at[0] <= signs_s:
                time.sleep(0.01)  # so that the file system's clock goes on
                box.sign()

        assert wait_for_answer(tmp_path, command, 2.0, sleep=sleep, monotonic=lambda: at[0]) is None
        return at[0]

    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        assert waited(begun=False, signs_s=0.0) == 2.0
        assert waited(begun=True, signs_s=0.0) == 2.0
        assert waited(begun=True, signs_s=30.0) == 32.0
        assert waited(begun=True, signs_s=1e9) == 150.0, "though not for ever"


def test_one_that_was_taken_in_the_place_of_a_session_that_has_ended_is_waited_for(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        command = send(tmp_path, ControlCommand.FLATTEN, CLOCK)
    assert command is not None and box.take() == [command]
    at = [0.0]

    def sleep(seconds: float) -> None:
        at[0] += seconds
        if at[0] > 8.0:
            box.answer(command, "sold")

    answer = wait_for_answer(tmp_path, command, 10.0, sleep=sleep, monotonic=lambda: at[0])
    assert answer is not None and answer.text == "sold"


def test_a_session_that_ends_answers_what_is_left(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        command = send(tmp_path, ControlCommand.PAUSE, CLOCK)
        box.close()
    assert command is not None
    answer = wait_for_answer(tmp_path, command, 1.0)
    assert answer is not None and not answer.obeyed and "ended" in answer.text


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"id": "x"}', "9" * 5000, json.dumps({"id": "../x", "verb": "kill"})])
def test_a_file_that_is_no_command_of_ours_is_put_aside(tmp_path: Path, content: str) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        (tmp_path / "commands" / "x.json").write_text(content)
        assert box.take() == []
        assert not box.is_waiting


def test_a_link_is_not_followed_and_a_command_for_another_run_is_not_taken(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        box = Mailbox(tmp_path, CLOCK)
        command = send(tmp_path, ControlCommand.KILL, CLOCK)
        assert command is not None
        file = tmp_path / "commands" / f"{command.id}.json"
        file.rename(tmp_path / "outside.json")
        file.symlink_to(tmp_path / "outside.json")
        assert box.take() == []
        elsewhere = {**json.loads((tmp_path / "outside.json").read_text()), "run": "another"}
        file.unlink(missing_ok=True)
        file.write_text(json.dumps(elsewhere))
        assert box.take() == []
    assert (tmp_path / "outside.json").exists()
