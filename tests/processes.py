"""Processes that tests start: each is ended and its pipes are closed when its test is over, whatever became of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

from tests import ROOT

_begun: list[subprocess.Popen[str]] = []


def begin(words: Sequence[str], **named: Any) -> subprocess.Popen[str]:
    """Start a command with pipes for what it says; takes what `subprocess.Popen` takes."""
    given: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **named}
    process: subprocess.Popen[str] = subprocess.Popen(words, **given)
    _begun.append(process)
    return process


def end_all() -> None:
    """Kill what still runs of those that were begun, and close what is open of them; called after each test."""
    while _begun:
        process = _begun.pop()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
