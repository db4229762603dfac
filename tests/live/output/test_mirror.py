"""The mirror of a session: each fill once and in order; a mirror that fails or hangs delays nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.settings import LiveSettings
from forwardtrader.live.output.mirror import MirrorQueue, SessionMirror
from forwardtrader.live.output.state_store import Event, MemoryMirror, StateStore
from forwardtrader.live.output.tables import FillFacts, Rows
from tests import PATIENCE_S
from tests.live.recorded_session import (
    SYMBOLS,
    fill,
    moment,
    recorded,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StateStore]:
    made = StateStore(tmp_path / "state.db")
    yield made
    made.close()


class Broken(MemoryMirror):
    """Fails some times, then works."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.left = failures

    def put(self, events: list[Event]) -> None:
        if self.left:
            self.left -= 1
            raise ConnectionError("gone")
        super().put(events)


def test_a_mirror_that_was_away_gets_everything_in_the_end(store: StateStore) -> None:
    mirror = Broken(2)
    outbox = MirrorQueue(store, mirror, every_s=0.01)
    for n in range(250):
        store.set(f"sessions/a/fills/{n}", {"n": n})
    outbox.start()
    until = time.monotonic() + PATIENCE_S
    while store.lag() and time.monotonic() < until:
        time.sleep(0.01)
    outbox.stop()
    assert (len(mirror.documents), store.lag(), outbox.failures) == (250, 0, 2)


def test_a_mirror_that_hangs_holds_nobody_up(store: StateStore) -> None:
    released = threading.Event()

    class Hanging(MemoryMirror):
        def put(self, events: list[Event]) -> None:
            released.wait(PATIENCE_S)

    outbox = MirrorQueue(store, Hanging(), every_s=0.01)
    store.set("sessions/a", {"bars": 0})
    outbox.start()
    began = time.monotonic()
    for n in range(100):
        store.set("sessions/a", {"bars": n})
    assert time.monotonic() - began < PATIENCE_S / 2
    released.set()
    outbox.stop()


def settings(folder: Path) -> LiveSettings:
    return LiveSettings(state_path=str(folder / "state.db"))


def told_fills(folder: Path) -> list[tuple[str, str]]:
    store = StateStore(folder / "state.db")
    names = store.names("sessions/one/fills/")
    found = [(name.rpartition("/")[2], store.get(name)["order_ref"]) for name in names]  # type: ignore[index]
    store.close()
    return found


def test_each_fill_is_told_once_and_in_order_a_few_at_a_time_also_after_a_restart(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 2_500, fresh=Rows(SYMBOLS, [fill(2_500), fill(2_510)], [], [])) as session:
        mirror = SessionMirror(settings(tmp_path), "one")
        kept, fresh = session.store.marks().fills, session.strategy.analyzers.fills.rows()
        assert mirror.fills(session.store, kept, fresh)
        assert 0 < len(told_fills(tmp_path)) < kept
        mirror.close()
        mirror = SessionMirror(settings(tmp_path), "one")
        while mirror.fills(session.store, kept, fresh):
            pass
        everything = [(f"{number:08d}", str(10 * number)) for number in range(252)]
        assert told_fills(tmp_path) == everything
        session.store.record((), (), rows=Rows(SYMBOLS, [*fresh, fill(2_520)], [], []))  # the next bar is kept
        mirror.close()
        mirror = SessionMirror(settings(tmp_path), "one")
        while mirror.fills(session.store, session.store.marks().fills, []):
            pass
        assert told_fills(tmp_path) == [*everything, ("00000252", "2520")]
        assert mirror.store.lag() == 253, "none was told twice"
        assert mirror.store.get("sessions/one/fills/00000001") == {
            "timestamp": str(pd.Timestamp(moment(10))), "symbol": "BTC/USDT", "side": "sell", "size": 0.1, "price": 103.0, "fee": 0.01,
            "fee_currency": "USDT", "order_ref": "10", "reason": "edge", "slippage": 0.0,
        }  # fmt: skip
        mirror.close()


def test_a_fill_that_the_venue_corrected_is_told_once_more_also_after_a_restart(tmp_path: Path) -> None:
    with recorded(tmp_path / "one", 100) as session:
        mirror = SessionMirror(settings(tmp_path), "one")
        while mirror.fills(session.store, session.store.marks().fills, []):
            pass
        mirror.store.mirrored(mirror.store.waiting(1000))
        mirror.close()
        stand_in = fill(200, price=50.0, size=2.0, fee=0.0, fee_currency="", order_ref="late")
        session.store.record((), (), rows=Rows(SYMBOLS, [stand_in], [], []), executions=[("BTC/USDT", "synthetic-1")])
        mirror = SessionMirror(settings(tmp_path), "one")
        upto = session.store.marks().fills
        assert mirror.fills(session.store, upto, [])
        after = [FillFacts("7", 0.5, 49.0, 0.1, "USDT"), FillFacts("8", 1.5, 51.0, 0.3, "USDT")]
        session.store.replace_fill("BTC/USDT", "late", FillFacts("synthetic-1", 2.0, 50.0, 0.0, ""), after)
        mirror.close()
        mirror = SessionMirror(settings(tmp_path), "one")  # the process died before it was told
        while mirror.fills(session.store, session.store.marks().fills, []):
            pass
        newest = [mirror.store.get(f"sessions/one/fills/{number:08d}") for number in (upto - 1, upto)]
        assert [(each["size"], each["price"], each["fee"]) for each in newest if each] == [(0.5, 49.0, 0.1), (1.5, 51.0, 0.3)]
        assert mirror.store.lag() == 3, "the stand-in, its correction, and the second execution"
        assert session.store.corrected_fills() == []
        mirror.close()
