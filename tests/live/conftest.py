"""What tests of whole sessions leave behind is ended here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.preloaded import preloaded


@pytest.fixture(autouse=True, scope="package")
def quick_processes() -> Iterator[None]:
    """Processes of our own are forked from one that has imported all of it."""
    with preloaded():
        yield


@pytest.fixture(autouse=True)
def processes_as_ever(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the test is about how a process is started, it is started as a user's is."""
    with preloaded(forks=not request.node.get_closest_marker("executes")):
        yield


@pytest.fixture
def practice_ends(tmp_path: Path) -> Iterator[None]:
    """A practice exchange waits for the restart of a session that died, and no test restarts its last one."""
    yield
    for saved in tmp_path.glob("*/practice.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(saved.read_text())["pid"], signal.SIGTERM)
