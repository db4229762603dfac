"""A process that is forked from one that has imported all is what a started one is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.preloaded import preloaded
from tests.processes import begin

FORKS = [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only"))]


def told(folder: Path, code: int, *, forks: bool, alone: bool = False) -> tuple[dict, list[str], str, int]:
    words = [sys.executable, "-m", "tests.told_program", str(code)]
    with preloaded(forks=forks):
        process = begin(words, cwd=folder, env={"PYTHONPATH": str(ROOT), "TOLD": "this"}, stdin=subprocess.PIPE, start_new_session=alone)
    out, trouble = process.communicate("heard")
    found, *rest = out.splitlines()
    return json.loads(found), rest, trouble, process.returncode


@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
@pytest.mark.parametrize("alone", [False, True])
def test_a_forked_process_finds_itself_to_be_what_a_started_one_is(tmp_path: Path, alone: bool) -> None:
    forked, started = (told(tmp_path, 7, forks=forks, alone=alone) for forks in (True, False))
    assert forked == started
    assert forked[0]["parent"] == os.getpid() and forked[0]["leads"] is alone
    assert forked[1:] == (["heard"], "trouble\n", 7)


@pytest.mark.parametrize("forks", FORKS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(forks: bool, number: int) -> None:
    with preloaded(forks=forks):
        process = begin([sys.executable, "-m", "tests.told_program", "0"], stdin=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(number)
    assert process.wait() == -number
