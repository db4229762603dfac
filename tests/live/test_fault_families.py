"""Brackets and OCO pairs whose process dies: after the next start every order of theirs is there again, and is executed at most once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forwardtrader.live.execution.journal import Journal
from tests import PATIENCE_S, ROOT
from tests.live.books import require_agreement
from tests.live.crash_runner import said_of
from tests.live.family_runner import reach
from tests.live.market import Script, play, practice, store_on

DUST = 1e-4
NOTHING_ELSE: dict[str, Any] = {}


def die(venue: Any, journal: Path, family: str, point: str, count: int, rises: int | None = None) -> None:
    spec = {
        "venue": said_of(venue), "journal": str(journal), "bars": 9, "family": family, "point": point,
        "count": count, "rises": rises,
    }  # fmt: skip
    words = [sys.executable, "-m", "tests.live.family_runner", json.dumps(spec)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == -signal.SIGKILL, f"{point} was not reached: {done.stderr}"


class Heir(Script):
    """Sees at its first live bar what it inherited, and has the market reach a price at its second one."""

    params = (("exchange", None), ("share", 1.2), ("first", None))

    def next(self) -> None:
        super().next()
        if not self.data.is_current:
            return
        if self.live_bars == 0 and self.p.first is not None:
            self.p.first(self)
        if self.live_bars == 1:
            self.inherited = [(order.getordername(), order.issell(), order.size) for order in self.broker.get_orders_open()]
            self.resting = [(order["type"], float(order["size"])) for order in self.p.exchange.state()["open_orders"]]
            self.held = self.position.size
            reach(self.p.exchange, self, self.data.close[0] * self.p.share)


def carry_on(venue: Any, path: Path, share: float, **params: Any) -> tuple[Heir, Journal]:
    journal = Journal(path)
    heir = play(venue, store_on(venue, journal, run="one"), Heir, 9, symbols=tuple(venue.symbols), exchange=venue, share=share, **params)
    require_agreement(venue, journal, heir, prefix="one")
    assert journal.held_intents() == []
    return heir, journal


def executed_sells(journal: Journal) -> int:
    return len({e.client_id for e in journal.executions() if e.side == "sell"})


LIVES = [
    ("bracket", "before it is claimed for sending", 2, None),  # the stop's intent is released, nothing was posted
    ("bracket", "after it is claimed for sending", 2, None),
    ("bracket", "before a held order is released", 1, None),  # between entry and stop
    ("bracket", "after it is acknowledged", 1, None),  # the entry's
    ("bracket", "after an execution is booked", 1, None),  # the entry's
    ("bracket", "after it is done", 1, None),  # the entry
    ("bracket", "after the answer", 2, None),  # the stop's
    ("bracket", "after it is acknowledged", 2, None),  # the stop's
    ("bracket", "after room is made", 1, 2),  # the target is reached, the stop is about to be cancelled
    ("bracket", "before a cancel", 1, 2),
    ("bracket", "after a cancel", 1, 2),
    ("bracket", "before a held order is released", 2, 2),  # the stop is cancelled, the limit is not sent yet
    ("bracket", "after it is claimed for sending", 3, 2),
    ("bracket", "after an execution is booked", 2, 2),  # the limit's
    ("resting bracket", "after it is acknowledged", 1, None),
    ("pair", "after room is made", 1, 4),
    ("pair", "after a cancel", 1, 4),
    ("pair", "before a held order is released", 1, 4),
    ("pair", "after it is claimed for sending", 3, 4),
]
QUICK = [LIVES[2], LIVES[10], LIVES[16]]


PERPETUALS = {"symbols": ["BTC/USDT:USDT"], "funding_bps": 0}
# Both exits of a bracket rest there, so none makes room for the other.
ON_PERPETUALS = [life for life in LIVES if life[0] != "pair" and life[1] != "after room is made"]


def survive(
    tmp_path: Path, family: str, point: str, count: int, rises: int | None, share: float, settings: dict[str, Any] = NOTHING_ELSE
) -> None:
    path = tmp_path / "journal.db"
    with practice(history=60, fee_asset="quote", **settings) as venue:
        die(venue, path, family, point, count, rises)
        if family == "resting bracket":  # executed while the process is down
            venue.control("fill", order_id=venue.state()["open_orders"][0]["id"])
        heir, journal = carry_on(venue, path, share)
        joined = [intent for intent, _ in journal.intents() if intent.parent or intent.group]
        assert joined, "the family was lost"
        if heir.held > DUST:
            kinds = sorted(name for name, sells, _ in heir.inherited if sells)
            assert kinds == ["Limit", "Stop"], "one of the two is missing"
            assert len(heir.resting) == (2 if settings else 1)  # stops and limits of a perpetual only reduce, and lock nothing
        assert abs(heir.position.size) < DUST, "the position was left behind"
        assert executed_sells(journal) <= 1
        assert venue.state()["open_orders"] == []


@pytest.mark.parametrize(("family", "point", "count", "rises"), QUICK)
def test_a_family_that_loses_its_process_is_whole_after_the_next_start(
    tmp_path: Path, family: str, point: str, count: int, rises: int | None
) -> None:
    survive(tmp_path, family, point, count, rises, 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.8, 1.3])
@pytest.mark.parametrize(("family", "point", "count", "rises"), LIVES)
def test_a_family_is_whole_wherever_its_process_died_and_whichever_price_comes(
    tmp_path: Path, family: str, point: str, count: int, rises: int | None, share: float
) -> None:
    survive(tmp_path, family, point, count, rises, share)


@pytest.mark.parametrize(
    ("protocol", "family", "point", "count", "rises"), [("binance", *LIVES[10]), ("bybit", *LIVES[11])], ids=["binance", "bybit"]
)
def test_a_family_on_a_perpetual_is_whole_after_the_next_start(
    tmp_path: Path, protocol: str, family: str, point: str, count: int, rises: int | None
) -> None:
    survive(tmp_path, family, point, count, rises, 0.8, {**PERPETUALS, "protocol": protocol})


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.8, 1.3])
@pytest.mark.parametrize("protocol", ["binance", "bybit"])
@pytest.mark.parametrize(("family", "point", "count", "rises"), ON_PERPETUALS)
def test_a_family_on_a_perpetual_is_whole_wherever_its_process_died(
    tmp_path: Path, family: str, point: str, count: int, rises: int | None, share: float, protocol: str
) -> None:
    survive(tmp_path, family, point, count, rises, share, {**PERPETUALS, "protocol": protocol})
