"""Child processes of a command."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from forwardtrader.core.command.child import child_command, child_environment


def test_a_child_finds_the_package_and_nothing_of_the_folder_it_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").touch()
    for name in ("forwardtrader", "numpy", "rich"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for the package')\n")
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(child_command("reports.trial_ledger"), env=child_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_works_in_the_project_of_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(child_command("__main__", "trials"), env=child_environment(), capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "no trials yet in reports/output/trials.sqlite"
    assert done.stderr == ""
