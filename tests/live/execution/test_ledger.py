"""The order ledger: each execution counts once, and an order ends after its last one."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.ccxt_orders import order_report
from forwardtrader.live.execution.events import Acknowledged, Ended, Execution, Filled, ForeignOrder, Intent, Refused, Replaced
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.execution.ledger import OrderLedger


def intent(name: str = "a", size: str = "1.0") -> Intent:
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal(size)), bar=0)


def execution(trade: str, size: str, client_id: str = "a", side: str = "buy", fee: str = "0", currency: str = "") -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade, client_id=client_id, venue_id="7", side=side, size=Decimal(size), price=Decimal(100),
        fee=Decimal(fee), fee_currency=currency, at=1,
    )  # fmt: skip


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    journal, told = Journal(tmp_path / "j.db"), []
    journal.write(intent())
    yield OrderLedger(journal, told.append), told
    journal.close()


def report(status: str, filled: str, trades: Any = None, client_id: str = "a") -> Any:
    return order_report(
        {
            "id": "7", "clientOrderId": client_id, "symbol": "BTC/USDT", "side": "buy", "amount": 1.0, "status": status, "filled": filled,
            "average": 100.0, "trades": trades,
        }
    )  # fmt: skip


def test_an_answer_without_trades_is_no_error_and_says_how_much_is_missing(ledger: Any) -> None:
    book, told = ledger
    assert book.order(report("closed", "1.0", None)) == 1
    assert told == [Acknowledged("a", "7")]


def test_an_order_ends_after_its_last_execution_was_told(ledger: Any) -> None:
    book, told = ledger
    assert book.order(report("canceled", "0.4")) == Decimal("0.4")
    book.execution(execution("1", "0.4"))
    book.order(report("canceled", "0.4"))
    assert [type(event) for event in told] == [Acknowledged, Filled, Ended]


def test_a_foreign_order_is_told_once_and_left_alone(ledger: Any) -> None:
    book, told = ledger
    for _ in range(2):
        other = order_report({"id": "99", "clientOrderId": "theirs", "symbol": "BTC/USDT", "side": "buy", "amount": 2, "status": "open"})
        book.order(other)
    assert told == [ForeignOrder("BTC/USDT", "99", "buy", Decimal(2), "theirs")]


def test_what_was_executed_cannot_be_refused_afterwards(ledger: Any) -> None:
    book, told = ledger
    book.execution(execution("1", "1.0"))
    book.refuse("a", "late verdict")
    assert not [event for event in told if isinstance(event, Refused)]


@settings(deadline=None, max_examples=40)
@given(st.permutations(["1", "2", "3", "1", "2", "open", "closed", "ack"]))
def test_however_reports_arrive_each_execution_counts_once(order: list[str]) -> None:

    with tempfile.TemporaryDirectory() as folder:
        journal, told = Journal(Path(folder) / "j.db"), []
        journal.write(intent())
        book = OrderLedger(journal, told.append)
        for piece in order:
            if piece == "ack":
                book.acknowledge("a", "7")
            elif piece in ("open", "closed"):
                book.order(report(piece, "1.0" if piece == "closed" else "0.2"))
            else:
                book.execution(execution(piece, {"1": "0.2", "2": "0.3", "3": "0.5"}[piece]))
        sizes = [event.execution.size for event in told if isinstance(event, Filled)]
        assert sum(sizes) == 1
        assert len(sizes) == 3
        assert [e for e in told if isinstance(e, Acknowledged)] == [Acknowledged("a", "7")]
        assert journal.state_of("a") is IntentState.DONE
        journal.close()


def test_an_order_that_is_closed_with_a_part_filled_ends(ledger: Any) -> None:
    book, told = ledger
    book.execution(execution("1", "0.4"))
    book.order(report("closed", "0.4"))
    assert [type(event) for event in told] == [Acknowledged, Filled, Ended]
    assert book.journal.state_of("a") is IntentState.DONE


def test_a_fill_that_a_stand_in_was_booked_for_is_not_booked_again(ledger: Any) -> None:
    book, told = ledger
    book.execution(execution("synthetic-a-0.4", "0.4"))
    book.execution(execution("1", "0.4"))
    assert book.journal.filled("a") == Decimal("0.4")
    real = execution("1", "0.4", fee="0.0004", currency="BTC")
    book.listing("a", [real, execution("2", "0.1")])
    assert told[-2:] == [Replaced(execution("synthetic-a-0.4", "0.4"), (real,)), Filled(execution("2", "0.1"))]
    assert book.journal.executions("a") == [real, execution("2", "0.1")]
    assert book.effects == {"BTC": Decimal("0.4996"), "USDT": Decimal(-50)}
    assert book.journal.replacements() == [(execution("synthetic-a-0.4", "0.4"), [real])]


PIECES = {"1": "0.2", "2": "0.3", "3": "0.1", "4": "0.4"}
REAL = [execution(trade, size, fee="0.001", currency="BTC") for trade, size in PIECES.items()]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.sampled_from(["ack", "lagging", "report", *PIECES]), max_size=12), st.data())
def test_whatever_stood_in_meanwhile_the_books_are_the_venues_in_the_end(happened: list[str], data: Any) -> None:
    """The venue executes piece by piece; reports and its list may lag, be lost or come twice, and stand-ins are booked for what lacks."""
    with tempfile.TemporaryDirectory() as folder:
        journal, told = Journal(Path(folder) / "j.db"), list[Any]()
        journal.write(intent())
        book, done = OrderLedger(journal, told.append), 0
        for piece in happened:
            done = data.draw(st.integers(done, len(REAL)))
            total = sum((e.size for e in REAL[:done]), Decimal(0))
            status = "closed" if done == len(REAL) else "open"
            if piece == "ack":
                book.acknowledge("a", "7")
            elif piece in PIECES:
                for e in REAL[:done]:
                    if e.trade_id == piece:
                        book.execution(e)
            else:
                book.listing("a", REAL[: data.draw(st.integers(0, done))])
                if book.order(report(status, str(total))) > 0:
                    book.execution(execution(f"synthetic-a-{total}", str(total - journal.filled("a"))))
                    book.order(report(status, str(total)))
            assert journal.filled("a") <= total
            if done:
                assert_same_effects(journal, book)
        book.listing("a", REAL)
        book.order(report("closed", "1.0"))
        assert {e.trade_id for e in journal.executions()} == set(PIECES)
        assert journal.state_of("a") is IntentState.DONE
        assert_same_effects(journal, book)
        reported = dict[str, Execution]()
        for event in told:
            if isinstance(event, Replaced):
                assert sum((e.size for e in event.executions), Decimal(0)) == event.stand_in.size
                del reported[event.stand_in.trade_id]
                reported |= {e.trade_id: e for e in event.executions}
            elif isinstance(event, Filled):
                assert event.execution.trade_id not in reported
                reported[event.execution.trade_id] = event.execution
        assert set(reported) == set(PIECES), "who follows the events has the same books"
        journal.close()


def assert_same_effects(journal: Journal, book: OrderLedger) -> None:
    """What the ledger counted while it ran is what it would count after a restart."""
    assert {k: v for k, v in book.effects.items() if v} == {k: v for k, v in OrderLedger(journal, bool).effects.items() if v}
