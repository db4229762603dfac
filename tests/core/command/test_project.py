"""The project that a command works in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forwardtrader.core.command import project
from forwardtrader.core.errors import ConfigError
from forwardtrader.core.settings import Settings
from tests import ROOT


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(project.VARIABLE)
    monkeypatch.setattr(project, "_typed_in", None)


def test_the_nearest_folder_above_with_a_config_file_is_the_project(tmp_path: Path) -> None:
    inner = tmp_path / "notebooks" / "old"
    inner.mkdir(parents=True)
    (tmp_path / "config.yaml").write_text("models:\n  units: 8\n")
    assert project.project_of(None, inner) == tmp_path
    (inner.parent / "config.yaml").write_text("# mine\nrisk: {}\n")
    assert project.project_of(None, inner) == inner.parent


@pytest.mark.parametrize("content", [b"logging:\n  level: info\n", b"", b"\xff\xfe", b"  models: indented\n"])
def test_a_settings_file_of_another_tool_above_makes_no_project(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    (tmp_path / "work").mkdir()
    assert project.project_of(None, tmp_path / "work") == ROOT


def test_our_settings_files_are_known_by_their_headings() -> None:
    assert set(project.ROOMS) == set(Settings.model_fields)


def test_a_command_typed_in_a_folder_that_is_gone_says_so_in_one_line(tmp_path: Path) -> None:
    script = "import os, sys; os.rmdir(os.getcwd()); from forwardtrader.__main__ import main; sys.exit(main(['trials']))"
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=gone, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "the folder that this was typed in is gone; change to one that exists\n")


def test_a_folder_with_earlier_reports_is_a_project(tmp_path: Path) -> None:
    (tmp_path / "reports" / "output").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    assert project.project_of(None, tmp_path / "data") == tmp_path


def test_a_folder_that_belongs_to_no_project_is_given_the_checkout(tmp_path: Path) -> None:
    assert project.project_of(None, tmp_path) == ROOT


def test_without_a_checkout_the_folder_itself_is_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "ROOT", tmp_path / "site-packages")
    assert project.project_of(None, tmp_path) == tmp_path


def test_what_is_named_comes_before_what_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("flag", "variable"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").touch()
    monkeypatch.setenv(project.VARIABLE, "variable")
    assert project.project_of(None, tmp_path) == tmp_path / "variable"
    assert project.project_of(Path("flag"), tmp_path) == tmp_path / "flag"


def test_a_project_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="project nowhere is not a folder"):
        project.project_of(Path("nowhere"), tmp_path)


def test_paths_and_strategies_that_were_typed_are_found_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.yaml").write_text("feeds: {}\n")
    typed_in = tmp_path / "data"
    typed_in.mkdir()
    (typed_in / "mine.py").touch()
    monkeypatch.chdir(typed_in)
    assert project.typed_path("btc.csv") == Path("btc.csv")
    assert project.enter()
    assert Path.cwd() == tmp_path
    assert project.typed_path("btc.csv") == typed_in / "btc.csv"
    assert project.typed_path("/else/btc.csv") == Path("/else/btc.csv")
    assert project.typed_object("mine.py:Mine") == f"{typed_in / 'mine.py'}:Mine"
    assert project.typed_object("mine:Mine") == f"{typed_in / 'mine.py'}:Mine"
    assert project.typed_object("installed.package:Mine") == "installed.package:Mine"


def test_a_command_typed_in_another_folder_counts_its_trials_in_its_project(tmp_path: Path) -> None:
    mine, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    mine.mkdir()
    elsewhere.mkdir()
    (mine / "config.yaml").write_text("reports:\n  ledger_path: counted.sqlite\n")
    words = [sys.executable, "-m", "forwardtrader", "trials", "--project", str(mine)]
    done = subprocess.run(words, cwd=elsewhere, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "no trials yet in counted.sqlite")
    assert done.stderr == f"project {mine}\n"
    assert not list(elsewhere.iterdir())
