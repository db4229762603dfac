"""`python -m tests.live.machine_runner SPEC FLAGS...`: the live command at a practice exchange elsewhere, killed around one of its orders.

SPEC is JSON: `venue`, the ready line of the exchange; `point`, `side`, `kind` and `count` as for `kill_runner`, or none of them; and
`mirrored`, the project whose mirror has the intent before the process dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Any

from forwardtrader.live.cli import command
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.output.firestore import FirestoreMirror
from forwardtrader.sandbox.process import SandboxHandle
from tests import PATIENCE_S
from tests.live.kill_runner import Fuse, lay


class VenueClock:
    """The market's time, which runs faster than this machine's."""

    def __init__(self, venue: SandboxHandle) -> None:
        self._venue = venue

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._venue.market_time() / 1000, UTC)


class MirroredFuse(Fuse):
    """Kills once the mirror has the intent; what was on its way stays there until then."""

    def __init__(self, project: str, **given: Any) -> None:
        super().__init__(**given)
        self._project = project

    def burn(self, intent: Intent) -> bool:
        threading.Thread(target=self._die_once_mirrored, args=(intent,), daemon=True).start()
        return True

    def _die_once_mirrored(self, intent: Intent) -> None:
        mirror, until = FirestoreMirror(self._project), time.monotonic() + PATIENCE_S
        while mirror.get(f"sessions/one/orders/{intent.client_id}") is None and time.monotonic() < until:
            time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGKILL)


def main(words: list[str]) -> int:
    asked = json.loads(words[0])
    venue, project = SandboxHandle(None, asked.pop("venue")), asked.pop("mirrored", "")
    if asked:
        lay(MirroredFuse(project, **asked) if project else Fuse(**asked))
    return command(words[1:], VenueClock(venue))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
