"""What an earlier process of a session left, and from which bar on this one has work to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.live.execution.events import Execution
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Rows, rows_of
from forwardtrader.live.request import LiveRequest
from forwardtrader.live.session.snapshot import VERSION, can_be_frozen, freeze, thaw

_LOG = log.logger("live")


class ResumedSession:
    """The recorded bars, and the snapshot that stands for them where there is one.

    Attributes:
        last: open time (ms) of the newest recorded bar; None at the first start.
        freezes: whether a snapshot is kept after every bar.
    """

    def __init__(self, store: SessionStore, request: LiveRequest, kind: type[bt.Strategy]) -> None:
        self.last = store.last_bar()
        self.freezes = request.mode == "paper" and can_be_frozen(kind)
        self._is_paper = request.mode == "paper"
        self._step_ms = request.timeframe.seconds * 1000
        self._rows_to = store.newest_row()
        self._told = store.told_executions()
        self._heard: list[tuple[str, str]] = []
        at, body = store.snapshot() or (None, {})
        usable = self.freezes and at is not None and at == self.last and body.get("version") == VERSION
        self._frozen: dict[str, Any] | None = body if usable else None

    @property
    def is_frozen(self) -> bool:
        """Whether the recorded bars need not be played again."""
        return self._frozen is not None

    def begins(self, first_live: datetime) -> datetime:
        """Open time of the first bar that is played: the session's first, or the one after the snapshot."""
        if self._frozen is None or self.last is None:
            return first_live
        return datetime.fromtimestamp((self.last + self._step_ms) / 1000, UTC)

    def is_before(self, at: int) -> bool:
        """Whether the bar that opened at `at` (ms) only warms indicators up."""
        return self._frozen is not None and self.last is not None and at < self.last

    def resume(self, strategy: Any, at: int) -> bool:
        """Put the strategy where the snapshot of this bar left it; False where there is nothing to do."""
        if self._frozen is None or at != self.last:
            return False
        saved, self._frozen = self._frozen, None
        thaw(strategy, saved)
        log.event(_LOG, "resumed_from_snapshot", at=at, orders=len(saved["orders"]))
        return True

    def was_told(self, execution: Execution) -> bool:
        """Whether the fill of an execution is kept; one that an earlier process died of before that must be told again."""
        return self._told is None or (execution.symbol, execution.trade_id) in self._told

    def heard(self, execution: Execution) -> None:
        """An execution was told to strategy and recorders; it is kept with their next rows."""
        self._heard.append((execution.symbol, execution.trade_id))

    def take_heard(self) -> list[tuple[str, str]]:
        """Executions told since the last call, by symbol and trade id."""
        heard, self._heard = self._heard, []
        return heard

    def rows(self, strategy: Any, number: float) -> Rows:
        """Take what the recorders collected up to the bar with Backtrader's time `number`, less what is kept already.

        With real orders an execution is never one that was told before.
        """
        found = rows_of(strategy)
        if self._rows_to is None or number > self._rows_to:
            return found
        return replace(found, fills=[] if self._is_paper else found.fills, orders=[], equity=[])

    def snapshot(self, strategy: Any, at: int) -> tuple[int, dict[str, Any]] | None:
        """What a later process needs of this bar."""
        is_new = self.last is None or at > self.last
        return (at, freeze(strategy)) if self.freezes and is_new else None
