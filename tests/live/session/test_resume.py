"""Resuming: the newest recorded bar, the executions that were recorded, and the rows that are new."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.settings import RiskSettings
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.execution.events import Execution, Replaced
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Rows
from forwardtrader.live.request import read_request
from forwardtrader.live.session.resume import ResumedSession, SavedState
from forwardtrader.strategies.backtrader.hosting import restoring, takes_part
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.trading_state.guard import TradingGuard
from tests.live.session_runner import request_for, run, start, wait_for_bars
from tests.live.test_session_live import REAL

COUNTING = """
import backtrader as bt

class Counting(bt.Strategy):
    def __init__(self):
        self.average = bt.ind.SMA(period=20)
        self.live_bars = 0
        self.levels = {}

    def next(self):
        if self.data.is_current:
            self.live_bars += 1
            self.levels[str(self.live_bars)] = round(self.average[0], 2)

    def state(self):
        return {"live_bars": self.live_bars, "levels": self.levels}

    def restore(self, saved):
        self.live_bars, self.levels = saved["live_bars"], dict(saved["levels"])
"""

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


def fills_of(store: SessionStore) -> list[tuple[Any, ...]]:
    return [(row[3], row[4], row[5], row[6]) for row in store.fills(0, store.marks().fills, 10)]


def row(size: float, client_id: str = "a") -> tuple[Any, ...]:
    return (738_000.0, "BTC/USDT", "buy", size, 100.0, 0.0, "USDT", client_id, "why", 0.0)


def test_executions_that_replace_a_stand_in_replace_its_row(store: SessionStore) -> None:
    stand_in = replace(execution("synthetic-a-1"), fee_currency="")
    real = tuple(replace(execution(name), size=Decimal(size), fee=Decimal("0.1")) for name, size in (("7", "0.4"), ("8", "0.6")))
    resumed = ResumedSession(store, REQUEST, LSTMStrategy)
    resumed.booked(stand_in)
    resumed.replaced(Replaced(stand_in, real))  # both before the next bar: the row is recorded first
    record(store, rows=Rows(("BTC/USDT",), [row(0.3, "b"), row(1.0)], [], []), executions=resumed.take_booked())
    for _ in range(2):  # a process that died in between does it again
        resumed.correct_fills()
        assert fills_of(store) == [(0.3, 100.0, 0.0, "USDT"), (0.4, 100.0, 0.1, "USDT"), (0.6, 100.0, 0.1, "USDT")]
        assert store.kept_executions() == {("BTC/USDT", "7"), ("BTC/USDT", "8")}
        resumed = ResumedSession(store, REQUEST, LSTMStrategy)
        resumed.replaced(Replaced(stand_in, real))
    assert all(resumed.has_kept(e) for e in real)


class Plain(bt.Strategy):
    state = "long"  # a name that many use for something else


def test_only_a_strategy_with_both_methods_takes_part() -> None:
    assert not takes_part(Plain)
    assert takes_part(LSTMStrategy)
    assert restoring(Plain, {}, 0.0, lambda *_: None) is Plain
    assert restoring(LSTMStrategy, {}, 0.0, lambda *_: None) is LSTMStrategy


class Odd:
    def __init__(self, value: Any) -> None:
        self.value = value

    def state(self) -> Any:
        return self.value() if callable(self.value) else self.value

    def restore(self, saved: Any) -> None: ...


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), lambda: 1 / 0])
def test_a_state_that_cannot_be_kept_is_told_and_the_one_before_stands(tmp_path: Path, value: Any) -> None:
    journal, store, told = Journal(tmp_path / "j.db"), SessionStore(tmp_path / "s.db"), []
    memory = SavedState(store, journal, lambda where, error: told.append(where))
    store.record([], [], snapshot=memory.snapshot(Odd({"bars": 7}), 1))  # type: ignore[arg-type]
    store.record([], [], snapshot=memory.snapshot(Odd(value), 2))  # type: ignore[arg-type]
    assert told == ["state"]
    assert SavedState(store, journal, lambda *_: None).saved == {"bars": 7}
    store.close()
    journal.close()


def test_limits_of_the_account_are_kept_beside_any_strategy(tmp_path: Path) -> None:
    journal, store = Journal(tmp_path / "j.db"), SessionStore(tmp_path / "s.db")
    memory = SavedState(store, journal, lambda *_: None)
    memory.guard = TradingGuard.of(RiskSettings(max_drawdown=0.1))
    assert memory.guard is not None
    for at, (equity, strategy) in enumerate([(100.0, Odd({"bars": 7})), (80.0, Odd(lambda: 1 / 0)), (80.0, object())]):
        memory.guard.on_bar(float(at), equity)
        store.record([], [], snapshot=memory.snapshot(strategy, at))  # type: ignore[arg-type]
    again = SavedState(store, journal, lambda *_: None)
    assert again.saved == {"bars": 7}
    assert again.limits == memory.guard.as_dict()
    store.close()
    journal.close()


def test_a_state_that_an_earlier_version_kept_in_the_journal_is_found(tmp_path: Path) -> None:
    journal, store = Journal(tmp_path / "j.db"), SessionStore(tmp_path / "s.db")
    journal.remember("strategy", {"bars": 7})
    assert SavedState(store, journal, lambda *_: None).saved == {"bars": 7}
    store.close()
    journal.close()


def state_of(tmp_path: Path) -> Any:
    store = SessionStore(tmp_path / "one" / "session.db")
    kept = store.snapshot()
    store.close()
    assert kept is not None
    return kept[1]["strategy"]


def test_a_killed_session_gives_a_strategy_of_anybody_its_state_back(tmp_path: Path) -> None:
    (tmp_path / "counting.py").write_text(COUNTING)
    more = (*REAL, "--strategy", f"{tmp_path / 'counting.py'}:Counting")
    process = start(tmp_path, "one", 0, *more)
    wait_for_bars(tmp_path, "one", 40, process)
    process.kill()
    process.communicate()
    before = state_of(tmp_path)
    assert before["live_bars"] >= 39
    assert run(request_for(tmp_path, "one", 10, *more)) == 0
    after = state_of(tmp_path)
    # Ten bars on; one that was played while the process died comes back as an old one.
    assert 9 <= after["live_bars"] - before["live_bars"] <= 11
    assert {key: after["levels"][key] for key in before["levels"]} == before["levels"]
