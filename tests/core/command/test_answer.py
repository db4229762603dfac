"""The answer of a command stands alone on stdout."""

from __future__ import annotations

import subprocess
import sys

import pytest

from forwardtrader.core.command import answer
from tests import ROOT

PROGRAM = """
import os, subprocess, sys
from forwardtrader.core.command import answer

with answer.alone():
    print("of the user's code")
    os.write(1, b"of a library\\n")
    subprocess.run([sys.executable, "-c", "print('of a child')"], check=True)
    answer.write("{}\\n")
    answer.write("[]\\n")
print("after it")
"""


def test_what_others_print_meanwhile_goes_to_stderr_whether_code_library_or_child() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "{}\n[]\nafter it\n"
    assert sorted(said.stderr.splitlines()) == ["of a child", "of a library", "of the user's code"]


def test_an_answer_for_people_is_left_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with answer.alone(False):
        sys.stdout.write("progress\n")
        answer.write("done")
    with answer.alone():
        sys.stdout.write("told aside\n")
        answer.write("!")
    assert capsys.readouterr() == ("progress\ndone!", "told aside\n")
