"""A session with real orders that is ended and begun again: what it recorded is what one session would have."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
from forwardtrader.live.status_report import status_lines
from forwardtrader.reports.pages.session_status import read_status
from forwardtrader.strategies.orders.families import CAME_TO_NOTHING
from tests.live.session_runner import Momentum, request_for, run

REAL = ("--live", "--yes-real-money", "--set", "strategies.slippage_bps=0")
ONE = ("BTC/USDT",)


class AtEveryBar(bt.Strategy):
    """Orders at every bar, so at the last one of each start too."""

    def next(self) -> None:
        if self.position:
            self.close()
        else:
            self.buy(size=0.01)


def test_an_order_of_the_last_bar_before_a_stop_is_recorded_as_it_was_sent(tmp_path: Path) -> None:
    for bars in (4, 3):
        assert run(request_for(tmp_path, "one", bars, "--strategy", f"{__name__}:AtEveryBar", *REAL, symbols=ONE)) == 0
    store = SessionStore(tmp_path / "one" / "session.db")
    orders = store.tables(ONE).orders
    store.close()
    assert set(orders["refusal"]) == {""}
    assert orders["timestamp"].is_unique
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None
    assert (parity.equal, parity.bars) == (True, 7)


class Greedy(bt.Strategy):
    """Orders more at every bar than the account can pay for."""

    def next(self) -> None:
        self.buy(size=50.0)


def test_an_order_of_the_last_bar_that_the_venue_refused_keeps_its_own_reason(tmp_path: Path) -> None:
    for bars in (3, 2):
        words = ("--strategy", f"{__name__}:Greedy", *REAL, "--set", "risk.gate=false")
        assert run(request_for(tmp_path, "one", bars, *words, symbols=ONE)) == 0
    store = SessionStore(tmp_path / "one" / "session.db")
    orders = store.tables(ONE).orders
    store.close()
    assert len(orders) >= 4
    assert len(set(orders["refusal"])) == 1 and "insufficient balance" in orders["refusal"].iloc[0], orders["refusal"].tolist()
    [(reason, count)] = read_status(tmp_path / "one").refused["BTC/USDT"].items()
    assert reason == CAME_TO_NOTHING[bt.Order.Margin]
    assert count == 5, "it counts on over the restart, and up to the end"
    lines = status_lines(request_for(tmp_path, "one", 0, symbols=ONE), SystemClock())
    assert f"BTC/USDT: {count} orders came to nothing: {reason}" in lines
