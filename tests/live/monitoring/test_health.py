"""The health of a session: alerts are logged, recorded and sent; failures in a row halt it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.output.store import SessionStore

CLOCK = FixedClock(datetime(2024, 1, 1, tzinfo=UTC))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def test_an_alert_is_recorded_and_sent_without_secrets_and_found_again_after_a_restart(store: SessionStore) -> None:
    sent: list[tuple[str, str]] = []
    health = SessionHealth(store, CLOCK, lambda _kind, level, text: sent.append((level, text)))
    health.notify("orders_refused", reason="signature=deadbeef", count=2)
    assert sent == [("warning", "orders refused: reason signature=***, count 2")]
    [note] = store.notes()
    assert (note["at"], note["level"], note["facts"]) == (CLOCK.now().isoformat(), "warning", {"reason": "signature=***", "count": 2})
    assert [alert.text for alert in SessionHealth(store, CLOCK).alerts] == [sent[0][1]]


def test_the_page_shows_the_newest_twenty_alerts(store: SessionStore) -> None:
    health = SessionHealth(store, CLOCK)
    for number in range(25):
        health.notify("drift", "info", number=number)
    assert [alert.text for alert in health.alerts] == [f"drift: number {n}" for n in range(5, 25)]


def test_five_failures_in_a_row_halt_and_a_good_bar_between_them_does_not(store: SessionStore) -> None:
    health = SessionHealth(store, CLOCK)
    for _ in range(4):
        assert not health.failed("next", ValueError("odd"))
        health.bar_ends()
    health.bar_ends()
    assert [health.failed("next", ValueError("odd")) for _ in range(5)] == [False, False, False, False, True]
    assert (health.failures, health.failures_in_a_row) == (9, 5)
    assert store.notes()[-1]["facts"] == {"where": "next", "reason": "ValueError: odd", "count": 9}


def test_the_process_is_this_one(store: SessionStore) -> None:
    health = SessionHealth(store, CLOCK)
    health.bar_begins()
    at, memory, _, took = health.usage(7)
    assert (at, health.process().pid) == (7, os.getpid())
    assert memory > 10 and took >= 0
