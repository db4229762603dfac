"""Shutdown: a session ends once no order is on its way, and a halt stops its orders."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from forwardtrader.core.clock import FixedClock
from forwardtrader.live.monitoring.health import SessionHealth
from forwardtrader.live.monitoring.progress import SessionProgress
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.shutdown import Shutdown

NOW = datetime(2024, 1, 1, tzinfo=UTC)


class Bridge:
    is_stopping = False

    def request_stop(self) -> None:
        self.is_stopping = True


class Broker:
    halted = ""
    is_settled = False


class Ending:
    """A session's end with everything that it acts on."""

    def __init__(self, store: SessionStore) -> None:
        self.bridge, self.broker, self.progress, self.store = Bridge(), Broker(), SessionProgress(NOW), store
        self.shutdown = Shutdown(self.bridge, self.broker, self.progress, SessionHealth(store, FixedClock(NOW)))
        self.cancelled = 0
        self.shutdown.before_stop = self.cancel

    def cancel(self) -> None:
        self.cancelled += 1


@pytest.fixture
def ending(tmp_path: Path) -> Iterator[Ending]:
    store = SessionStore(tmp_path / "session.db")
    yield Ending(store)
    store.close()


def test_a_session_ends_when_its_orders_are_answered_and_not_before(ending: Ending) -> None:
    ending.shutdown.advance()
    ending.broker.is_settled = True
    ending.shutdown.advance()
    assert not ending.bridge.is_stopping, "nobody asked for it"
    ending.broker.is_settled = False
    ending.shutdown.request_stop()
    ending.shutdown.advance()
    ending.shutdown.advance()
    assert (ending.bridge.is_stopping, ending.cancelled) == (False, 1)
    ending.broker.is_settled = True
    ending.shutdown.advance()
    ending.shutdown.advance()
    assert (ending.bridge.is_stopping, ending.cancelled) == (True, 1)


def test_orders_that_are_never_answered_are_waited_for_only_so_long(ending: Ending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forwardtrader.live.session.shutdown._PATIENCE_S", 0.0)
    ending.shutdown.request_stop()
    ending.shutdown.advance()
    assert ending.bridge.is_stopping


def test_the_first_signal_ends_in_good_order_and_the_second_after_the_turn(ending: Ending) -> None:
    ending.shutdown.on_signal(signal.SIGTERM)
    assert (ending.shutdown.is_requested, ending.bridge.is_stopping) == (True, False)
    assert ending.progress.reason == "stopped by SIGTERM"
    ending.shutdown.on_signal(signal.SIGINT)
    assert ending.bridge.is_stopping


def test_a_halt_stops_orders_and_its_reason_outlives_a_signal(ending: Ending) -> None:
    ending.shutdown.halt_account("no key")
    assert (ending.progress.state, ending.broker.halted, ending.shutdown.is_requested) == ("halted", "no key", False)
    ending.shutdown.on_signal(signal.SIGTERM)
    assert ending.progress.reason == "no key"
    ending.shutdown.halt("killed")
    assert (ending.progress.reason, ending.shutdown.is_requested) == ("killed", True)
    assert [(note["kind"], note["level"]) for note in ending.store.notes()] == [("account_halted", "error"), ("session_halted", "error")]
