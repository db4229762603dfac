"""The client ids of new orders, and of those that go on under another one."""

from __future__ import annotations

from pathlib import Path

from forwardtrader.live.bridge.intents import Intents
from forwardtrader.live.execution.journal import Journal
from tests.live.bridge.test_broker_orders import intent


def test_orders_of_one_bar_are_counted_also_where_bars_of_two_lengths_take_turns() -> None:
    book = Intents("a run", Journal(":memory:"))
    assert [book.next_number(bar) for bar in (60, 0, 60, 0, 60)] == [1, 1, 2, 2, 3]
    assert [book.next_number(bar) for bar in range(1000, 2000)] == [1] * 1000
    assert book.next_number(1999) == 2
    assert len(book._numbers) <= 200


def test_client_ids_are_equal_for_a_repeated_run_also_for_one_of_an_earlier_version(tmp_path: Path) -> None:
    at = 1_700_000_000_000
    begun = Journal(tmp_path / "j.db")
    begun.write(intent("ft-a-run-s44we7-1"))
    for journal, first in ((Journal(":memory:"), "ftffszegs44we81"), (begun, "ft-a-run-s44we8-1")):
        ids = [[intents.next_id(at) for _ in range(2)] for intents in (Intents("a run", journal), Intents("a run", journal))]
        assert ids[0] == ids[1] == [first, first[:-1] + "2"]


def test_an_order_that_goes_on_gets_an_id_that_no_intent_has_also_after_a_restart(tmp_path: Path) -> None:
    journal, at = Journal(tmp_path / "j.db"), 1_700_000_000_000
    names = []
    for _ in range(3):
        names.append(Intents("a run", journal).unused_id(at))
        journal.write(intent(names[-1]))
    assert len(set(names)) == 3
