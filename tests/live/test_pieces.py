"""The parts of the order path that decide: verdicts, journal, ledger, reconciliation, barrier."""

from __future__ import annotations

import sqlite3
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import ReconciliationFailed, StorageFull, StoreDamaged
from forwardtrader.core.types import MarketRules, OrderRequest, Side
from forwardtrader.feeds.live.bar_sequence import Bar
from forwardtrader.live.bridge.bar_barrier import BarBarrier
from forwardtrader.live.bridge.open_orders import OrderBook
from forwardtrader.live.bridge.order_groups import Groups
from forwardtrader.live.execution.ccxt_errors import KNOWN, Outcome, verdict
from forwardtrader.live.execution.ccxt_orders import order_news
from forwardtrader.live.execution.events import Acknowledged, Ended, Execution, ForeignOrder, Intent, OpenOrder, Refused, Traded
from forwardtrader.live.execution.journal import Journal, State
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.reconciliation import position_of, reconcile, require_covered

RULES = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"))


def test_the_book_of_a_broker_lets_go_of_orders_that_are_done_and_keeps_those_alive() -> None:
    class Order:
        def __init__(self, ref: int) -> None:
            self.ref, self.is_alive = ref, True

        def alive(self) -> bool:
            return self.is_alive

    book, orders = OrderBook(), [Order(ref) for ref in range(300)]
    for order in orders:
        book.keep(order)
        book.keep(order, intent(f"id-{order.ref}"))
        if order.ref > 1:
            order.is_alive = False
            book.over(order)
            book.over(order)
    assert book.alive == orders[:2]
    assert [book.of_client_id(f"id-{n}") for n in (0, 2, 299)] == [orders[0], None, orders[299]]
    assert book.own(Order(1)) is orders[1]
    assert (book.own(orders[299]), book.intent_of(orders[2])) == (None, None)


def test_families_and_groups_of_orders_that_are_done_are_let_go_of() -> None:
    class Kin:
        def __init__(self, ref: int, parent: Kin | None = None) -> None:
            self.ref, self.parent, self.is_alive = ref, parent, True

        def alive(self) -> bool:
            return self.is_alive

    groups, resting = Groups(), Kin(1)
    stays = [Kin(2, resting), Kin(3, resting)]
    for order in (resting, *stays):
        groups.add(order, None)
    for ref in range(10, 3_000, 3):
        parent = Kin(ref)
        family = [parent, Kin(ref + 1, parent), Kin(ref + 2, parent)]
        for order in family:
            groups.add(order, None if order is not family[2] else family[1])
        for order in family:
            order.is_alive = False
    assert groups.children(resting) == stays
    assert groups.siblings(stays[0]) == stays[1:]
    assert len(groups._children) + len(groups._oco) < 140


def test_orders_of_one_bar_are_counted_also_where_bars_of_two_lengths_take_turns() -> None:
    book = OrderBook()
    assert [book.next_number(bar) for bar in (60, 0, 60, 0, 60)] == [1, 1, 2, 2, 3]
    assert [book.next_number(bar) for bar in range(1000, 2000)] == [1] * 1000
    assert book.next_number(1999) == 2
    assert len(book._numbers) <= 200


def intent(name: str = "a", size: str = "1.0") -> Intent:
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal(size)), bar=0)


def execution(trade: str, size: str, client_id: str = "a", side: str = "buy", fee: str = "0", currency: str = "") -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade, client_id=client_id, venue_id="7", side=side, size=Decimal(size), price=Decimal(100),
        fee=Decimal(fee), fee_currency=currency, at=1,
    )  # fmt: skip


TABLE = [
    ("InvalidOrder", "-1013 Filter failure: LOT_SIZE", Outcome.REJECTED),
    ("BadRequest", "-1013 Filter failure: NOTIONAL", Outcome.REJECTED),
    ("InsufficientFunds", "-2010 Account has insufficient balance for requested action.", Outcome.MARGIN),
    ("InvalidOrder", "-2010 Duplicate order sent.", Outcome.ADOPT),
    ("InvalidNonce", "-1021 Timestamp for this request", Outcome.RESEND),
    ("DDoSProtection", "418 I'm a teapot", Outcome.BUSY),
    ("RateLimitExceeded", "-1015 Too many new orders", Outcome.BUSY),
    ("RateLimitExceeded", '{"code":-1003}', Outcome.UNKNOWN),
    ("OperationFailed", "-1006 An unexpected response", Outcome.UNKNOWN),
    ("OperationFailed", "-1008 Server is currently overloaded", Outcome.UNKNOWN),
    ("RequestTimeout", "-1007 Timeout waiting for response", Outcome.UNKNOWN),
    ("ExchangeNotAvailable", "reset by peer", Outcome.UNKNOWN),
    ("CancelledError", "", Outcome.UNKNOWN),
    ("KeyError", "'orderId'", Outcome.UNKNOWN),
    ("AuthenticationError", "-2015 Invalid API-key", Outcome.HALT),
    ("DDoSProtection", '{"code":-2015,"msg":"Invalid API-key"}', Outcome.HALT),
]


@pytest.mark.parametrize(("name", "text", "outcome"), TABLE)
def test_every_answer_to_an_order_has_its_meaning(name: str, text: str, outcome: Outcome) -> None:
    assert verdict([name, "Exception"], text) is outcome


def test_every_error_of_ccxt_is_in_the_table() -> None:
    from ccxt.base import errors

    known = {n for n, e in vars(errors).items() if isinstance(e, type) and issubclass(e, Exception) and e.__module__.startswith("ccxt")}
    assert known - set(KNOWN) == set()


def test_an_intent_is_durable_before_anything_else_and_written_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    assert journal.write(intent())
    with sqlite3.connect(tmp_path / "j.db") as other:
        assert other.execute("select client_id, state from intents").fetchall() == [("a", "written")]
    assert not journal.write(intent())
    journal.mark("a", State.ACKNOWLEDGED, venue_id="7")
    journal.mark("a", State.ACKNOWLEDGED)
    assert (journal.client_id_of("7"), journal.venue_id("a"), journal.client_id_of("")) == ("a", "7", "")
    assert [i for i, _ in journal.open_intents()] == [intent()]
    journal.mark("a", State.DONE)
    assert journal.open_intents() == []
    journal.close()


def test_a_journal_that_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"not a database at all, but long enough to look like one" * 20)
    with pytest.raises(StoreDamaged):
        Journal(tmp_path / "bad.db")
    with pytest.raises((StorageFull, NotADirectoryError, FileExistsError)):
        Journal(tmp_path / "bad.db" / "deeper.db")


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    journal, told = Journal(tmp_path / "j.db"), []
    journal.write(intent())
    yield OrderLedger(journal, told.append), told
    journal.close()


def news(status: str, filled: str, trades: Any = None, client_id: str = "a") -> Any:
    return order_news(
        {
            "id": "7", "clientOrderId": client_id, "symbol": "BTC/USDT", "side": "buy", "amount": 1.0, "status": status, "filled": filled,
            "average": 100.0, "trades": trades,
        }
    )  # fmt: skip


def test_an_answer_without_trades_is_no_error_and_says_how_much_is_missing(ledger: Any) -> None:
    book, told = ledger
    assert book.order(news("closed", "1.0", None)) == 1
    assert told == [Acknowledged("a", "7")]


def test_an_order_ends_after_its_last_execution_was_told(ledger: Any) -> None:
    book, told = ledger
    assert book.order(news("canceled", "0.4")) == Decimal("0.4")
    book.execution(execution("1", "0.4"))
    book.order(news("canceled", "0.4"))
    assert [type(event) for event in told] == [Acknowledged, Traded, Ended]


def test_a_foreign_order_is_told_once_and_left_alone(ledger: Any) -> None:
    book, told = ledger
    for _ in range(2):
        other = order_news({"id": "99", "clientOrderId": "theirs", "symbol": "BTC/USDT", "side": "buy", "amount": 2, "status": "open"})
        book.order(other)
    assert told == [ForeignOrder("BTC/USDT", "99", "buy", Decimal(2))]


def test_what_was_executed_cannot_be_refused_afterwards(ledger: Any) -> None:
    book, told = ledger
    book.execution(execution("1", "1.0"))
    book.refuse("a", "late verdict")
    assert not [event for event in told if isinstance(event, Refused)]


@settings(deadline=None, max_examples=40)
@given(st.permutations(["1", "2", "3", "1", "2", "open", "closed", "ack"]))
def test_however_reports_arrive_each_execution_counts_once(order: list[str]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal, told = Journal(Path(folder) / "j.db"), []
        journal.write(intent())
        book = OrderLedger(journal, told.append)
        for piece in order:
            if piece == "ack":
                book.acknowledge("a", "7")
            elif piece in ("open", "closed"):
                book.order(news(piece, "1.0" if piece == "closed" else "0.2"))
            else:
                book.execution(execution(piece, {"1": "0.2", "2": "0.3", "3": "0.5"}[piece]))
        sizes = [event.execution.size for event in told if isinstance(event, Traded)]
        assert sum(sizes) == 1
        assert len(sizes) == 3
        assert [e for e in told if isinstance(e, Acknowledged)] == [Acknowledged("a", "7")]
        assert journal.state_of("a") is State.DONE
        journal.close()


def resting_order(name: str, venue_id: str, filled: str = "0") -> OpenOrder:
    return OpenOrder(
        symbol="BTC/USDT", venue_id=venue_id, client_id=name, side="buy", kind="limit", size=Decimal(1), filled=Decimal(filled),
        limit_price=Decimal(9), stop_price=None,
    )  # fmt: skip


def test_reconciliation_asks_for_whatever_does_not_rest_as_it_is_booked() -> None:
    intents = [(intent(name), Decimal(booked)) for name, booked in (("rests", "0"), ("gone", "0"), ("filling", "0.2"), ("told", "0.4"))]
    told = [("rests", "1", "0"), ("filling", "2", "0.4"), ("told", "3", "0.4"), ("x", "4", "0")]
    resting = [resting_order(*order) for order in told]
    found = reconcile(intents, resting, {"1": "rests", "2": "filling", "3": "told"})
    assert [(i.client_id, venue_id) for i, venue_id in found.adopt] == [("rests", "1"), ("told", "3")]
    assert [i.client_id for i in found.ask] == ["gone", "filling"]
    assert [o.client_id for o in found.foreign] == ["x"]


def test_an_order_that_is_closed_with_a_part_filled_ends(ledger: Any) -> None:
    book, told = ledger
    book.execution(execution("1", "0.4"))
    book.order(news("closed", "0.4"))
    assert [type(event) for event in told] == [Acknowledged, Traded, Ended]
    assert book.journal.state_of("a") is State.DONE


def test_a_fill_that_a_stand_in_was_booked_for_is_not_booked_again(ledger: Any) -> None:
    book, _ = ledger
    book.execution(execution("synthetic-a-0.4", "0.4"))
    book.execution(execution("1", "0.4"))
    assert book.journal.filled("a") == Decimal("0.4")
    book.execution(execution("synthetic-a-0.6", "0.2"))
    assert book.journal.filled("a") == Decimal("0.6")


def test_coins_that_are_gone_refuse_the_start() -> None:
    bought = [execution("1", "1", fee="0.001", currency="BTC"), execution("2", "0.4", side="sell")]
    assert position_of(bought, RULES) == Decimal("0.599")
    require_covered(bought, [RULES], {"BTC": Decimal("0.599")})
    with pytest.raises(ReconciliationFailed, match=r"0\.599 BTC"):
        require_covered(bought, [RULES], {"BTC": Decimal("0.5")})


def bar(at: int) -> Bar:
    return Bar(at, 1.0, 1.0, 1.0, 1.0, 1.0)


def test_the_barrier_waits_for_every_symbol() -> None:
    barrier = BarBarrier(["A", "B"], threading.Condition(), monotonic=lambda: 0.0)
    barrier.put("A", bar(1))
    assert barrier.take("A") is None
    barrier.put("B", bar(1))
    assert (barrier.take("A"), barrier.take("B")) == (bar(1), bar(1))


def test_the_barrier_goes_on_without_a_symbol_that_has_no_bar_or_does_not_come() -> None:
    now = [0.0]
    barrier = BarBarrier(["A", "B"], threading.Condition(), patience_s=5, monotonic=lambda: now[0])
    barrier.put("A", bar(1))
    barrier.quiet("B", 1)
    assert barrier.take("A") == bar(1)
    barrier.put("A", bar(2))
    assert barrier.take("A") is None
    now[0] = 6.0
    assert barrier.take("A") == bar(2)
    assert barrier.missed == 1
    barrier.put("A", bar(3))
    barrier.put("B", bar(4))
    assert barrier.take("A") == bar(3)
    assert barrier.take("B") is None


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 8)), max_size=30))
def test_released_bars_never_run_backwards(puts: list[tuple[str, int]]) -> None:
    barrier = BarBarrier(["A", "B"], threading.Condition(), patience_s=1e9, monotonic=lambda: 0.0)
    newest = {"A": -1, "B": -1}
    seen: list[int] = []
    for symbol, at in puts:
        if at > newest[symbol]:
            newest[symbol] = at
            barrier.put(symbol, bar(at))
        for each in "AB":
            while (taken := barrier.take(each)) is not None:
                seen.append(taken.at)
                assert taken.at <= min(newest.values())
    assert all(at <= max(newest.values()) for at in seen)
