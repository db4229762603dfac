"""Long sessions of real orders in which everything goes wrong that a client can recover from (F40), seeded."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.session.sandbox_process import PracticeVenue
from tests.live.books import require_agreement
from tests.live.session_runner import request_for, run

pytestmark = pytest.mark.slow
REAL = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0")
TABLES = ("orders", "trades", "state")


class Witness:
    """What the practice exchange said last before it was stopped."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    def control(self, command: str) -> Any:
        return self.said[command]


@pytest.fixture
def witness(monkeypatch: pytest.MonkeyPatch) -> Witness:
    seen = Witness({})
    stop = PracticeVenue.stop

    def look_and_stop(self: PracticeVenue) -> None:
        if self.is_alive():
            seen.said.update({name: self.control(name) for name in TABLES})
        stop(self)

    monkeypatch.setattr(PracticeVenue, "stop", look_and_stop)
    return seen


def require_books(folder: Path, witness: Witness) -> int:
    journal = Journal(folder / "journal.db")
    require_agreement(witness, journal, prefix="ft-")
    orders = len(journal.intents())
    journal.close()
    return orders


@pytest.mark.parametrize("seed", [1, 2])
def test_a_session_of_faulty_bars_agrees_with_the_venue(tmp_path: Path, witness: Witness, seed: int) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"F40": {"probability": 0.012}}))
    more = ("--faults", str(faults), "--set", f"feeds.sample_seed={seed}")
    assert run(request_for(tmp_path, "day", 300, *REAL, *more)) == 0
    assert require_books(tmp_path / "day", witness) > 20
    fired = {name: switch["fired"] for name, switch in witness.said["state"]["faults"].items() if switch["fired"]}
    assert len(fired) >= 6, fired
    store = SessionStore(tmp_path / "day" / "session.db")
    for symbol in ("BTC/USDT", "ETH/USDT", "SOL/USDT"):
        times = store.bars(symbol).index
        assert times.is_monotonic_increasing
        assert times.is_unique
    with sqlite3.connect(tmp_path / "day" / "journal.db") as journal:
        unclear = journal.execute("select count(*) from intents where state in ('written', 'sent', 'unknown')").fetchone()
    assert unclear == (0,)
