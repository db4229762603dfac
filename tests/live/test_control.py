"""Locks and control commands of a session, between two processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forwardtrader.core.errors import AccountLocked, ConfigError
from forwardtrader.live import control
from forwardtrader.live.control import ControlCommand


def test_a_command_to_a_session_that_does_not_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no session"):
        control.send(tmp_path / "none", ControlCommand.PAUSE)
    (tmp_path / "one").mkdir()
    with pytest.raises(ConfigError, match="not running"):
        control.send(tmp_path / "one", ControlCommand.PAUSE)


def test_commands_are_received_once_and_in_order_and_a_kill_stays(tmp_path: Path) -> None:
    with control.held(control.lock_of(tmp_path), "the session"):
        for command in (ControlCommand.PAUSE, ControlCommand.FLATTEN, ControlCommand.KILL):
            control.send(tmp_path, command)
        assert control.receive(tmp_path) == [ControlCommand.PAUSE, ControlCommand.FLATTEN, ControlCommand.KILL]
        assert control.receive(tmp_path) == []
        assert control.is_running(tmp_path)
    assert control.is_killed(tmp_path) and not control.is_running(tmp_path)
    control.send(tmp_path, ControlCommand.RESUME)
    assert not control.is_killed(tmp_path)


def test_a_lock_has_one_holder_whose_number_is_named(tmp_path: Path) -> None:
    lock = tmp_path / "account.lock"
    assert control.holder(lock) is None
    with control.held(lock, "the account"):
        assert control.holder(lock) == os.getpid()
        with (
            pytest.raises(AccountLocked, match=rf"the account is in use by another process \(number {os.getpid()}\)"),
            control.held(lock, "the account"),
        ):
            pass
