"""The status of a session: what it holds, what it waits for, and how its sources are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from forwardtrader.live.monitoring.status import status_of
from forwardtrader.live.output.store import SessionStore
from tests.live.monitoring.running import START, running_session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SessionStore]:
    made = SessionStore(tmp_path / "session.db")
    yield made
    made.close()


def test_before_its_first_bar_a_session_has_no_account(store: SessionStore, tmp_path: Path) -> None:
    status = status_of(running_session(store, tmp_path, seen=False))
    assert (status.state, status.last_bar, status.equity, status.positions, status.open_orders) == ("starting", None, None, [], [])
    assert status.symbols == ["BTC/USDT", "ETH/USDT"]


def test_the_status_has_position_value_open_orders_and_dust(store: SessionStore, tmp_path: Path) -> None:
    status = status_of(running_session(store, tmp_path))
    assert (status.equity, status.cash, status.start_equity, status.bars) == (1_200.0, 1_000.0, 1_000.0, 3)
    assert (status.last_bar, status.next_bar) == (START, START + timedelta(hours=1))
    [position] = status.positions
    assert (position.symbol, position.size, position.value, position.profit) == ("BTC/USDT", 2.0, 200.0, 20.0)
    [order] = status.open_orders
    assert (order.client_id, order.side, order.size, order.price, order.state) == ("7", "sell", 2.0, 80.0, "accepted")
    assert status.dust == {"ETH/USDT": 0.00001}
    assert status.refused == {"ETH/USDT": {"the session is paused": 2}}


def test_a_source_is_down_late_or_ok_with_the_reason(store: SessionStore, tmp_path: Path) -> None:
    [source] = status_of(running_session(store, tmp_path)).sources
    assert (source.name, source.state, source.detail) == ("binance", "ok", "2 reconnects")
    [source] = status_of(running_session(store, tmp_path, connected=False)).sources
    assert source.state == "down"
    late = running_session(store, tmp_path)
    late.watchdog._known = {"no_closed_bar": "no closed bar for 20 s"}
    [source] = status_of(late).sources
    assert (source.state, source.detail) == ("late", "no closed bar for 20 s; 2 reconnects")
