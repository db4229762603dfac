"""Resuming: the newest recorded bar, the executions that were recorded, and the rows that are new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import backtrader as bt
import pytest

from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.live.execution.events import Execution
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.request import read_request
from forwardtrader.live.session.resume import ResumedSession
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy

FIRST = datetime(2024, 1, 1, tzinfo=UTC)
AT = int(FIRST.timestamp() * 1000)
REQUEST = read_request(["--timeframe", "1h"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def execution(trade_id: str) -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade_id, client_id="a", venue_id="1", side="buy", size=Decimal(1), price=Decimal(100), fee=Decimal(0),
        fee_currency="USDT", at=AT,
    )  # fmt: skip


def record(store: SessionStore, **more: object) -> None:
    store.record([("BTC/USDT", Bar(AT, 1.0, 1.0, 1.0, 1.0, 1.0))], [], **more)  # type: ignore[arg-type]


def test_a_first_start_has_nothing_to_resume(store: SessionStore) -> None:
    first = ResumedSession(store, REQUEST, LSTMStrategy)
    assert (first.last, first.next_bar, first.is_frozen, first.begins(FIRST)) == (None, None, False, FIRST)
    assert not first.is_warm_up(AT)
    assert not first.has_kept(execution("1"))


def test_a_snapshot_of_the_newest_bar_stands_for_the_bars_before_it(store: SessionStore) -> None:
    record(store, snapshot=(AT, {"version": 1}))
    resumed = ResumedSession(store, REQUEST, LSTMStrategy)
    assert (resumed.last, resumed.next_bar) == (AT, FIRST + timedelta(hours=1))
    assert resumed.is_frozen and resumed.begins(FIRST) == FIRST + timedelta(hours=1)
    assert resumed.is_warm_up(AT - 1) and not resumed.is_warm_up(AT)


@pytest.mark.parametrize("snapshot", [(AT - 1, {"version": 1}), (AT, {"version": 0}), None])
def test_without_a_fitting_snapshot_the_recorded_bars_are_replayed(store: SessionStore, snapshot: object) -> None:
    record(store, snapshot=snapshot)
    resumed = ResumedSession(store, REQUEST, LSTMStrategy)
    assert not resumed.is_frozen and resumed.begins(FIRST) == FIRST


def test_strategies_whose_state_is_not_known_are_never_frozen(store: SessionStore) -> None:
    record(store, snapshot=(AT, {"version": 1}))
    assert not ResumedSession(store, REQUEST, bt.Strategy).is_frozen


def test_executions_are_recorded_once_and_known_after_a_restart(store: SessionStore) -> None:
    first = ResumedSession(store, REQUEST, LSTMStrategy)
    first.booked(execution("1"))
    record(store, rows=Rows(("BTC/USDT",), [], [], []), executions=first.take_booked())
    assert first.take_booked() == []
    resumed = ResumedSession(store, REQUEST, LSTMStrategy)
    assert resumed.has_kept(execution("1")) and not resumed.has_kept(execution("2"))
