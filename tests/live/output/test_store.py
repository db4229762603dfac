"""The session store: what is recorded is there after a restart, and a bar is recorded once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import Forecast
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live.output.store import SessionStore

AT = 1_700_000_100_000
FORECAST = Forecast(
    at=datetime.fromtimestamp(AT / 1000, UTC), horizon=24, location=0.001, scale=0.02, quantiles=(-0.03, -0.01, 0.0, 0.01, 0.03), p_up=0.5,
    model_id="m",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def test_a_bar_and_its_forecast_are_recorded_once(store: SessionStore) -> None:
    store.record([("A/B", Bar(AT, 1.0, 2.0, 0.5, 1.5, 9.0))], [("A/B", FORECAST)], (AT, 100.0, 1.0, 2.0))
    store.record([("A/B", Bar(AT, 7.0, 7.0, 7.0, 7.0, 7.0))], [("A/B", replace(FORECAST, location=9.0))])
    assert store.last_bar() == AT
    assert store.bars("A/B").iloc[0].tolist() == [1.0, 2.0, 0.5, 1.5, 9.0]
    assert store.forecast("A/B", FORECAST.at) == FORECAST
    assert store.forecasts()["location"].tolist() == [0.001]
    assert store.usage().to_dict("records") == [{"at": AT, "memory_mb": 100.0, "cpu_percent": 1.0, "iteration_ms": 2.0}]


def test_the_newest_snapshot_replaces_the_one_before_and_numpy_numbers_are_numbers(store: SessionStore) -> None:
    assert store.snapshot() is None
    store.record([], [], snapshot=(1, {"a": 1}))
    store.record([], [], snapshot=(2, {"a": np.float64(0.1)}))
    assert store.snapshot() == (2, {"a": 0.1})
    with pytest.raises(TypeError, match="set"):
        store.record([], [], snapshot=(3, {"a": {1}}))
    assert store.snapshot() == (2, {"a": 0.1})


def test_blocked_entries_commands_and_alerts_are_there_after_a_restart(store: SessionStore, tmp_path: Path) -> None:
    store.block_entry(5, "A/B", "stale")
    store.block_entry(9, "A/B", "stale")
    store.block_entry(9, "A/B", "")
    store.command(5, "pause", "2024-01-01T00:00:00+00:00")
    store.note("2024-01-01T00:00:00+00:00", "error", "drift", size=2)
    again = SessionStore(tmp_path / "session.db", reads=True)
    assert again.blocked_entries() == {(5, "A/B"): "stale", (9, "A/B"): ""}
    assert again.blocked_entries(after=5) == {(9, "A/B"): ""}
    assert (again.entry_block(5, "A/B"), again.entry_block(5, "C/D")) == ("stale", "")
    assert again.commands() == [(5, "pause")]
    assert again.notes() == [{"at": "2024-01-01T00:00:00+00:00", "level": "error", "kind": "drift", "facts": {"size": 2}}]
    again.close()


def test_bars_that_come_after_those_of_the_other_symbols_are_known_by_their_turn(store: SessionStore, tmp_path: Path) -> None:
    def bar(n: int) -> Bar:
        return Bar(AT + n * 300_000, 1.0, 1.0, 1.0, 1.0, 1.0)

    assert store.record([("A", bar(0)), ("B", bar(0))], []) == []
    assert store.record([("A", bar(1))], []) == []
    assert store.record([("A", bar(1)), ("B", bar(1))], []) == ["B"]
    assert store.record([("A", bar(1)), ("B", bar(1))], []) == [], "it is recorded already"
    assert store.record([("C", bar(1))], []) == ["C"]
    assert store.record([("A", bar(2)), ("B", bar(2))], []) == []
    store.close()
    again = SessionStore(tmp_path / "session.db")
    assert again.record([("B", bar(2)), ("C", bar(2))], []) == ["C"]
    assert again.record([("C", bar(3))], []) == []
    late = {symbol: again.late(symbol).to_dict() for symbol in "ABC"}
    again.close()
    at = [pd.Timestamp(bar(n).at, unit="ms", tz="UTC") for n in range(3)]
    assert late == {"A": {}, "B": {at[1]: 1}, "C": {at[1]: 2, at[2]: 1}}
