"""One owner of an account, whatever folder a session is started from, and one account of a session."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import AccountLocked, ConfigError, StartRefused
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.preflight.owner import account_of, owned, remember_account, require_journal_of, state_folder
from forwardtrader.live.request import LiveRequest, read_request
from forwardtrader.live.session.setup import open_market
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import ROOT
from tests.live.test_bad_input import words

REAL = ("--live", "--yes-real-money", "--yes-real-money")
HOLD = """
import sys
from forwardtrader.live.preflight.owner import owned
with owned("binance", "the-key"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in a folder of its own, as a copied project is."""
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=elsewhere, env={"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path / "state")},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_an_account_that_another_folders_session_holds_is_refused_and_free_when_it_died(holder: subprocess.Popen[str]) -> None:
    with pytest.raises(AccountLocked, match=f"number {holder.pid}.; one session trades an account") as found, owned("binance", "the-key"):
        pass
    assert "the-key" not in str(found.value)
    with owned("binance", "another-key"), owned("bybit", "the-key"):
        pass
    holder.kill()
    holder.wait()
    with owned("binance", "the-key"):
        pass


def test_the_locks_are_for_this_user_alone_and_name_no_key(tmp_path: Path) -> None:
    with owned("binance", "the-key"):
        folder = tmp_path / "state" / "forwardtrader" / "accounts"
        assert folder.stat().st_mode & 0o077 == 0
        assert not any("the-key" in path.name for path in folder.iterdir())


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigError, match="let XDG_STATE_HOME name a folder"), owned("binance", "the-key"):
        pass
    monkeypatch.setenv("XDG_STATE_HOME", "relative")  # which the standard says to ignore
    assert state_folder() == Path.home() / ".local" / "state" / "forwardtrader"


def test_a_journal_of_another_account_is_refused_and_one_without_is_adopted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BINANCE_API_KEY", "one")
    monkeypatch.setenv("BINANCE_API_SECRET", "s")
    request, journal = read_request(list(REAL)), Journal(tmp_path / "journal.db")
    require_journal_of(account_of(request), journal, "one")
    remember_account(journal, account_of(request))
    require_journal_of(account_of(request), journal, "one")
    monkeypatch.setenv("BINANCE_API_KEY", "two")
    with pytest.raises(StartRefused, match="nothing was taken over"):
        require_journal_of(account_of(request), journal, "one")
    with pytest.raises(StartRefused, match="practice exchange"):
        require_journal_of(account_of(read_request(["--live", "--sandbox"]), "binance"), journal, "one")
    journal.close()


@pytest.fixture(scope="module")
def venue() -> Iterator[SandboxHandle]:
    with start_sandbox(speed=1.0, history=4000, seed=3, fee_asset="quote") as handle:
        yield handle


@pytest.fixture
def begun(venue: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LiveRequest:
    """A session with real orders whose plan is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BINANCE_API_KEY", venue.api_key)
    monkeypatch.setenv("BINANCE_API_SECRET", venue.api_secret)
    request = read_request(words(tmp_path, venue.url, "--session", "one", *REAL))
    open_market(request, None, SystemClock())
    return request


def plan_of(request: LiveRequest) -> Any:
    return json.loads((request.folder / "plan.json").read_text())


def test_a_session_that_was_moved_to_another_key_or_address_is_refused(
    begun: LiveRequest, venue: SandboxHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan_of(begun)["account"]["host"] == venue.url.removeprefix("http://")
    assert venue.api_key not in (begun.folder / "plan.json").read_text()
    open_market(begun, 1, SystemClock())
    moved = read_request(words(tmp_path, "http://127.0.0.1:9", "--session", "one", *REAL))
    with pytest.raises(StartRefused, match=r"not to binance \(spot\) at 127\.0\.0\.1:9"):
        open_market(moved, 1, SystemClock())
    monkeypatch.setenv("BINANCE_API_KEY", "another")
    with pytest.raises(StartRefused, match="belongs to binance"):
        open_market(begun, 1, SystemClock())


def test_before_its_first_bar_a_session_may_still_get_another_key(begun: LiveRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    first = plan_of(begun)["account"]
    monkeypatch.setenv("BINANCE_API_KEY", "another")
    open_market(begun, None, SystemClock())
    assert plan_of(begun)["account"] != first


def test_a_plan_of_an_earlier_version_is_adopted_once(begun: LiveRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(begun)
    del plan["account"]
    (begun.folder / "plan.json").write_text(json.dumps(plan))
    open_market(begun, 1, SystemClock())
    assert plan_of(begun)["account"]["venue"] == "binance"
    monkeypatch.setenv("BINANCE_API_KEY", "another")
    with pytest.raises(StartRefused):
        open_market(begun, 1, SystemClock())
