"""The parity command: what a replay logs goes to the log, and the terminal shows the result alone."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from forwardtrader.core import log
from forwardtrader.core.clock import Clock
from forwardtrader.live.parity import command
from forwardtrader.live.parity.__main__ import LOG, main


def test_orders_that_a_replay_refuses_are_logged_and_not_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuses(_given: argparse.Namespace, _clock: Clock) -> int:
        log.logger("strategies").warning("order refused")
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "run_parity", refuses)
    assert main(["one"]) == 0
    assert capfd.readouterr() == ("", "")
    assert "order refused" in (tmp_path / LOG).read_text(encoding="utf-8")
