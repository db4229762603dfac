"""How far the mirror is behind: read from the state store, whether a session runs or not."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from forwardtrader.core.clock import Clock
from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.mirror.budget import day_of
from forwardtrader.live.output.state_store import StateStore


@dataclass(frozen=True, kw_only=True)
class MirrorStatus:
    """What all sessions that share a state store have not in Firestore yet.

    Attributes:
        oldest_s: how long the oldest document waits; None: none does.
        dropped: documents that Firestore never takes as they are.
        writes, writes_per_day: of this day of its quota; 0 for no limit.
    """

    project: str
    waiting: int
    oldest_s: float | None
    dropped: int
    writes: int
    writes_per_day: int

    @property
    def text(self) -> str:
        """In one line, for a person."""
        age = "" if self.oldest_s is None else f", the oldest for {self.oldest_s:.0f} s"
        most = f" of {self.writes_per_day}" if self.writes_per_day else ""
        refused = f", {self.dropped} refused" if self.dropped else ""
        return f"Firestore {self.project}: {self.waiting} documents wait{age}{refused}, {self.writes}{most} writes today"


def mirror_status(live: LiveSettings, clock: Clock) -> MirrorStatus | None:
    """How the mirror stands now; None where Firestore is not configured, or nothing was ever written for it."""
    path = Path(live.state_path)
    if not live.firestore_project or not path.is_file():
        return None
    with closing(StateStore(path, clock)) as store:
        lag, now = store.lag(), clock.now()
        return MirrorStatus(
            project=live.firestore_project, waiting=lag.waiting, oldest_s=None if lag.since is None else now.timestamp() - lag.since,
            dropped=lag.dropped, writes=store.spent(day_of(now)), writes_per_day=live.firestore_writes_per_day,
        )  # fmt: skip
