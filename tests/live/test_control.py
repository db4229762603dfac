"""Locks of sessions, the kill switch, and which session a command means that names none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from forwardtrader.core.errors import AccountLocked, ConfigError
from forwardtrader.live import control


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


def test_to_look_whether_a_session_runs_changes_nothing(tmp_path: Path) -> None:
    assert not control.is_running(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with control.held(control.lock_of(tmp_path), "the session"):
        control.lock_of(tmp_path).with_suffix(".pid").write_text("77")
        assert control.is_running(tmp_path)
    assert not control.is_running(tmp_path)
    assert control.holder(control.lock_of(tmp_path)) == 77


def test_the_kill_switch_is_a_file_that_any_hand_may_make(tmp_path: Path) -> None:
    (tmp_path / "killed").touch()
    assert control.is_killed(tmp_path)
    assert control.lift_kill(tmp_path)
    assert not control.is_killed(tmp_path)
    assert not control.lift_kill(tmp_path)


def test_without_a_name_the_one_running_session_is_meant_and_else_those_that_exist_are_listed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none at all"):
        control.the_one(tmp_path, "--kill")
    for name in ("paper", "btc"):
        control.lock_of(tmp_path / name).parent.mkdir()
        control.lock_of(tmp_path / name).touch()
    with pytest.raises(ConfigError, match=r"no session runs .* btc, paper.*--session"):
        control.the_one(tmp_path, "--kill")
    with control.held(control.lock_of(tmp_path / "btc"), "the session"):
        assert control.the_one(tmp_path, "--kill") == "btc"
        with control.held(control.lock_of(tmp_path / "paper"), "the session"), pytest.raises(ConfigError, match="btc, paper"):
            control.the_one(tmp_path, "--kill")
    control.kill(tmp_path / "paper")
    assert control.the_one(tmp_path, "--resume", killed=True) == "paper"
    with pytest.raises(ConfigError, match="several"):
        control.the_one(tmp_path, "--status", at_rest=True)
