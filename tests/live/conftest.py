"""What tests of whole sessions leave behind is ended here, and the Firestore emulator that tests share."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.firestore_emulator import Emulator, awake, emulator_here


@pytest.fixture
def practice_ends(tmp_path: Path) -> Iterator[None]:
    """A practice exchange waits for the restart of a session that died, and no test restarts its last one."""
    yield
    for saved in tmp_path.glob("*/practice.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(saved.read_text())["pid"], signal.SIGTERM)


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    """One for all tests that neither stop nor empty it; each takes a project of its own."""
    made = emulator_here()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def firestore(running_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """The shared emulator, awake, at the address where our client looks for one."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{running_emulator.port}")
    awake()
    return running_emulator
