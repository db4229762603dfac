"""A hundred thousand documents through restarts of the emulator, which forgets everything, and as many kills of whoever writes them.

It writes no more than a fiftieth of them ahead of what was sent, so that a restart has much to forget.
How many, and how often each: FIRESTORE_EVENTS and FIRESTORE_FAULTS; `make firestore-soak` runs it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.mirror.sync import compare
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import StateStore, plain
from tests.live.firestore_emulator import Emulator, awake, emulator_here, new_project
from tests.live.recorded_session import wait_for
from tests.processes import begin

pytestmark = pytest.mark.slow
EVENTS = int(os.environ.get("FIRESTORE_EVENTS", "100000"))
FAULTS = int(os.environ.get("FIRESTORE_FAULTS", "20"))
NAME = "sessions/soak/trading_logs/{:08d}"
WRITER = """
import os, sys, time
from pathlib import Path
from forwardtrader.live.mirror.mirror_queue import MirrorQueue
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.live.output.state_store import StateStore, Urgency

path, acknowledged, project, upto, ahead = sys.argv[1:]
store = StateStore(Path(path))
queue = MirrorQueue(store, FirestoreMirror(project), every_s=0.2)
queue.start()
newest = store.newest("sessions/soak/trading_logs/")
with open(acknowledged, "r+b", buffering=0) as said:
    for n in range(0 if newest is None else int(newest) + 1, int(upto)):
        store.set(f"sessions/soak/trading_logs/{n:08d}", {"n": n, "price": n / 7, "text": "x" * 50}, Urgency.LATER)
        store.set("sessions/soak", {"n": n})
        said.seek(0)
        said.write(b"%08d" % n)
        while n % 100 == 0 and store.lag().waiting > int(ahead):
            time.sleep(0.05)
queue.stop(0.0)
os._exit(0)
"""


class Writer:
    """A process that appends documents and sends them; goes on where the one before it was killed."""

    def __init__(self, folder: Path, project: str) -> None:
        self.store = folder / "state.db"
        self.said = folder / "said"
        self.said.write_text(f"{-1:08d}")
        self._words = [sys.executable, "-c", WRITER, str(self.store), str(self.said), project, str(EVENTS), str(max(100, EVENTS // 50))]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        self._process = begin(self._words)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    @property
    def is_over(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code in (None, 0), self._process.communicate()[1]
        return code == 0

    def acknowledged(self) -> int:
        return int(self.said.read_text() or -1)


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    made = emulator_here()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{made.port}")
    made.start()
    yield made
    made.stop()


def test_no_document_is_lost_through_restarts_and_kills(emulator: Emulator, tmp_path: Path) -> None:
    project, random_ = new_project(), random.Random(7)
    writer = Writer(tmp_path, project)
    writer.start()
    restarts = random_.sample([True, False] * FAULTS, 2 * FAULTS)
    for at, is_restart in zip(sorted(random_.randrange(EVENTS) for _ in restarts), restarts, strict=True):
        wait_for(lambda at=at: writer.acknowledged() >= at or writer.is_over, 3600.0)  # type: ignore[misc]
        if is_restart:
            emulator.stop()
            time.sleep(random_.random())
            emulator.start()
        else:
            said = writer.acknowledged()
            writer.kill()
            with closing(StateStore(writer.store)) as store:
                assert int(store.newest("sessions/soak/trading_logs/") or -1) >= said, "what was acknowledged is there"
            writer.start()
    wait_for(lambda: writer.is_over, 3600.0)
    mirror = awake(project)
    with closing(StateStore(writer.store)) as store:
        drain(store, mirror)
        ours = store.documents("soak")
        store.requeue(compare(ours, there(mirror)).missing)  # what the emulator forgot
        drain(store, mirror)
        found = compare(ours, there(mirror))
        assert (found.compared, found.missing, found.different, found.beyond) == (EVENTS + 1, [], [], [])
        assert [NAME.format(n) for n in range(EVENTS)] == sorted(name for name in ours if name.count("/") == 3)
        assert store.lag().dropped == 0


def drain(store: StateStore, mirror: FirestoreMirror) -> None:
    queue = MirrorQueue(store, mirror, every_s=0.2)
    queue.start()
    wait_for(lambda: not store.lag().waiting, 3600.0)
    queue.stop()


def there(mirror: FirestoreMirror) -> dict[str, dict[str, object]]:
    status = mirror.get("sessions/soak")
    found = mirror.below("sessions/soak") | ({} if status is None else {"sessions/soak": status})
    return {name: plain(body) for name, body in found.items()}
