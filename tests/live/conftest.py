"""What tests of whole sessions leave behind is ended here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def practice_ends(tmp_path: Path) -> Iterator[None]:
    """A practice exchange waits for the restart of a session that died, and no test restarts its last one."""
    yield
    for saved in tmp_path.glob("*/practice.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(saved.read_text())["pid"], signal.SIGTERM)
