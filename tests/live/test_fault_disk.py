"""A disk that takes no more: nothing is sent for what cannot be kept, the run says so, and the next start finds everything."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.core.errors import StorageFull
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on


class Filling(Journal):
    """A journal whose disk is full from the first time that `point` is reached."""

    point = ""

    def write(self, intent: Intent, held: Sequence[Intent] = ()) -> bool:
        return self._at("write", lambda: super(Filling, self).write(intent, held))

    def _put(self, intent: Intent, state: IntentState, held: Sequence[Intent] = ()) -> None:
        if self.point == "log":
            assert self._wal is not None
            device = os.open("/dev/full", os.O_WRONLY)
            os.dup2(device, self._wal._file)
            os.close(device)
        super()._put(intent, state, held)

    def mark(self, client_id: str, state: IntentState, *, venue_id: str = "", note: str = "") -> None:
        self._at(str(state), lambda: super(Filling, self).mark(client_id, state, venue_id=venue_id, note=note))

    def book(self, execution: Execution) -> bool:
        return self._at("book", lambda: super(Filling, self).book(execution))

    def _at(self, point: str, work: Callable[[], Any]) -> Any:
        if point == self.point:
            self._file.run("pragma query_only = 1")
        return work()


class Buyer(Script):
    def next(self) -> None:
        super().next()
        if self.data.is_current:
            self.buy(size=0.01)


@pytest.mark.parametrize(("point", "sent"), [("write", 0), ("log", 0), ("acknowledged", 1), ("book", 1), ("done", 1)])
def test_a_journal_that_cannot_be_written_ends_the_run_and_loses_nothing(tmp_path: Path, point: str, sent: int) -> None:
    if point == "log" and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "journal.db"
    with practice() as venue:
        full = Filling(path)
        full.point = point
        with pytest.raises(StorageFull, match="free some disk"):
            play(venue, store_on(venue, full, run="one"), Buyer, 5)
        assert len(venue.orders()) == sent, "an order was sent that could not be kept"
        full.close()
        journal = Journal(path)
        run = play(venue, store_on(venue, journal, run="one"), Buyer, 4)
        require_agreement(venue, journal, run, prefix="one-")
        assert len(venue.orders()) >= sent + 4


def test_a_disk_without_room_is_a_full_disk_to_the_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    pages = journal._file.one("pragma page_count")
    assert pages is not None
    journal._file.run(f"pragma max_page_count = {pages[0]}")
    with practice() as venue, pytest.raises(StorageFull, match="full"):
        play(venue, store_on(venue, journal, run="one"), Buyer, 400)
