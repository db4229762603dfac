"""Two copies of a session on one account: the venue shows it, and neither orders on until a person decides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import ForeignOrder, Intent
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.order_lookup import key_of
from forwardtrader.live.venue.client_ids import client_id, run_prefix
from forwardtrader.sandbox.process import SandboxHandle
from tests.live.market import practice, store_on


@pytest.fixture(params=["binance", "bybit"])
def venue(request: pytest.FixtureRequest) -> Iterator[SandboxHandle]:
    with practice(protocol=request.param) as venue:
        yield venue


def intent(name: str, limit: str | None = None) -> Intent:
    price = None if limit is None else Decimal(limit)
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal("0.01"), limit_price=price), bar=0)


@contextmanager
def copy_of_a_session(venue: SandboxHandle, journal: Path) -> Iterator[Any]:
    store = store_on(venue, journal, run="ft-one")
    store.getdata(dataname="BTC/USDT")
    store.getbroker()
    store.start()
    try:
        yield store
    finally:
        store.stop()


def send(store: Any, wanted: Intent) -> None:
    assert store.account.journal.write(wanted)
    store.loop.call(store.account.send(wanted))


@pytest.fixture
def both(venue: SandboxHandle, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    with copy_of_a_session(venue, tmp_path / "a.db") as one, copy_of_a_session(venue, tmp_path / "b.db") as other:
        yield one, other


def test_an_order_of_our_form_that_the_journal_does_not_know_halts(both: tuple[Any, Any]) -> None:
    one, other = both
    send(other, intent("ft-one-tjk3k0-1", limit="9000"))
    one.loop.call(one.account.comparison.check())
    assert "ft-one-tjk3k0-1" in one.account.halted and "--resume" in one.account.halted
    send(one, intent("ft-one-tjk3k0-2"))
    assert one.account.journal.state_of("ft-one-tjk3k0-2") is IntentState.REFUSED


def test_the_same_client_id_sent_twice_is_noticed_and_not_booked_twice(venue: SandboxHandle, both: tuple[Any, Any]) -> None:
    one, other = both
    send(one, intent("ft-one-tjk3k0-1", limit="9000"))
    one.loop.call(one.account.cancel(intent("ft-one-tjk3k0-1")))  # a venue takes a client id again when its order is closed
    send(other, intent("ft-one-tjk3k0-1"))
    reported = other.loop.call(other.account.orders.access.find(key_of(intent("ft-one-tjk3k0-1"))))
    one.loop.call(one.account.orders.on_order(reported))
    assert one.account.journal.executions() == []
    assert "ft-one-tjk3k0-1" in one.account.halted
    assert len(venue.trades()) == 1


def test_a_person_who_resumes_has_seen_those_orders(venue: SandboxHandle, tmp_path: Path, both: tuple[Any, Any]) -> None:
    one, other = both
    send(other, intent("ft-one-tjk3k0-1", limit="9000"))
    one.loop.call(one.account.comparison.check())
    assert one.account.halted
    one.loop.call(one.account.rearm())
    one.loop.call(one.account.comparison.check())
    assert not one.account.halted
    one.stop()
    with copy_of_a_session(venue, tmp_path / "a.db") as later:
        later.loop.call(later.account.comparison.check())
        assert not later.account.halted


@pytest.mark.parametrize("client_id", ["", "by-hand", "x-TKT5PX2F8a", "ft-", "web_5f3b"])
def test_orders_by_hand_are_reported_and_halt_nothing(client_id: str) -> None:
    assert not ForeignOrder("BTC/USDT", "9", "buy", Decimal(1), client_id).is_another_session


@pytest.mark.parametrize(
    "name", ["ftffszegs44we81", client_id(run_prefix("paper"), 1_700_000_000_000, 12), "ft-paper-tjk3k0-1", "ft-one-cflatten-2"]
)
def test_every_session_names_its_orders_in_a_form_that_another_one_knows(name: str) -> None:
    assert ForeignOrder("BTC/USDT", "9", "buy", Decimal(1), name).is_another_session


def test_an_order_that_rests_under_a_client_id_that_is_done_is_not_taken_for_ours(both: tuple[Any, Any]) -> None:
    one, other = both
    send(one, intent("ft-one-tjk3k0-1", limit="9000"))
    one.loop.call(one.account.cancel(intent("ft-one-tjk3k0-1")))
    send(other, intent("ft-one-tjk3k0-1", limit="9000"))
    one.loop.call(one.account.comparison.check())
    assert "ft-one-tjk3k0-1" in one.account.halted
    assert one.account.journal.state_of("ft-one-tjk3k0-1") is IntentState.DONE
