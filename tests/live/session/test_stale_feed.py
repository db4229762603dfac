"""Entries that were blocked for a stale feed are a fact of the session: the replay blocks them at the same bars."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.monitoring.terminal import SessionView
from forwardtrader.live.monitoring.watchdog import BLOCKED
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.retraining.stock import FixedSupply
from forwardtrader.live.session.session import LiveSession
from tests.live.session_runner import SYMBOLS, Momentum, request_for

REAL = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0")
STALE, FRESH = 30, 80


class StaleFrom(FixedSupply):
    """Lets the watchdog see a feed without a closed bar from bar `STALE` to bar `FRESH`; the market waits for the session meanwhile."""

    session: Any
    bars = 0

    def bar_closed(self, at: datetime) -> None:
        self.bars += 1
        dog = self.session.parts.watchdog
        dog._longest_bar_age_s = 3600.0
        if self.bars in (STALE, FRESH):
            dog.bar()
            dog._bar_at -= 7200.0 if self.bars == STALE else 0.0
            dog.look()


def test_entries_blocked_for_a_stale_feed_are_recorded_and_blocked_in_the_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.monitoring.watchdog._LOOK_EVERY_S", 3600.0)
    sources = {symbol: Momentum() for symbol in SYMBOLS}
    supply = StaleFrom(sources)
    session = supply.session = LiveSession(
        request_for(tmp_path, "one", 150, *REAL), SystemClock(), SessionView(Console(), shown=False), supply=supply
    )
    assert session.run() == 0
    store = SessionStore(tmp_path / "one" / "session.db")
    blocked, kinds, bars = store.blocked_entries(), [note["kind"] for note in store.notes()], store.bars(SYMBOLS[0]).index
    store.close()
    assert [kind for kind in kinds if kind.startswith("no_closed_bar")] == ["no_closed_bar", "no_closed_bar_no_more"]
    assert blocked and all(reason.startswith(f"{BLOCKED}no closed bar for 72") for reason in blocked.values())
    stale = {int(at.timestamp() * 1000) for at in bars[STALE - 1 : FRESH]}
    assert {at for at, _ in blocked} <= stale
    parity = compare(tmp_path / "one", SystemClock(), sources)
    assert parity.first_difference is None
    assert (parity.equal, parity.bars) == (True, 150)
    assert parity.compared["fills"] > 5
