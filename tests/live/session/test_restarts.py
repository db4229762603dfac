"""A session with real orders that is ended and begun again: what it recorded is what one session would have."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.parity.command import compare
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
