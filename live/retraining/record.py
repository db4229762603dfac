"""The promotion record of one session: in its own folder, for a resume, and in the registry, for all sessions.

A person's orders are in the registry only, until the session has carried them out.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from forwardtrader.core.clock import Clock
from forwardtrader.models.online.lifecycle import Decision
from forwardtrader.models.registry.promotion_log import Author, PromotionLog, PromotionRecord, promotion_stack


class ModelRecord:
    """The decisions of one session, oldest first.

    Args:
        folder: the session's; its name is that of the session.
        shared: the record of the registry.
    """

    def __init__(self, folder: Path, shared: PromotionLog, market: str, clock: Clock) -> None:
        self._own = PromotionLog(folder)
        self._shared = shared
        self._market = market
        self._session = folder.name
        self._clock = clock
        self.entries: list[PromotionRecord] = self._own.entries()
        self._seen: tuple[int, int] | None = None

    @property
    def scheduled(self) -> datetime | None:
        """The newest scheduled boundary with a decision."""
        return max((e.boundary for e in self.entries if e.boundary is not None and e.by is Author.CALENDAR), default=None)

    def in_force_before(self, model_id: str) -> str | None:
        """The model in force once `model_id` is rolled back."""
        stack = [model for model in promotion_stack(self.entries) if model != model_id]
        return stack[-1] if stack else None

    def add(self, decision: Decision, order: PromotionRecord | None = None) -> PromotionRecord:
        """Record a decision; one that a person ordered is in the registry already."""
        entry = PromotionRecord(
            at=order.at if order else self._clock.now(), market=self._market, action=decision.action, by=decision.by,
            model_id=decision.card.model_id, other=decision.other, reason=decision.reason, session=self._session, since=decision.since,
            boundary=decision.boundary, changed=decision.changed,
        )  # fmt: skip
        self.entries.append(entry)
        self._own.add(entry)
        if order is None:
            self._shared.add(entry)
        return entry

    def orders(self, since: datetime) -> list[PromotionRecord]:
        """New orders of persons: those for every session if made after `since`, those for this one if made after its start (wall clock)."""
        if not self._changed():
            return []
        newest = max((e.at for e in self.entries if e.by is Author.PERSON), default=None)
        started = self.entries[0].at if self.entries else self._clock.now()
        found = self._shared.orders_after(newest or min(since, started), self._market, self._session)
        return [e for e in found if e.at > (newest or (started if e.session else since))]

    def _changed(self) -> bool:
        """Whether the registry's file was written since the last call, which comes at every bar."""
        try:
            stat = self._shared.path.stat()
        except FileNotFoundError:
            return False
        seen, self._seen = self._seen, (stat.st_mtime_ns, stat.st_size)
        return seen != self._seen
