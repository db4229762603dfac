"""Equity at every close, one row a time."""

from __future__ import annotations

import numpy as np

from forwardtrader.strategies.backtrader.recorders.equity_recorder import equity_frame
from tests.strategies.backtrader.test_broker import flat, play
from tests.strategies.market import knobs


def test_exposure_is_what_is_not_cash_and_closes_stand_beside_it() -> None:
    strategy = play(flat(6), {0: lambda s: s.buy(size=1)}, settings=knobs(fee_bps=0, slippage_bps=0))
    frame = strategy.analyzers.equity.frame()
    assert frame["exposure"].iloc[0] == 0.0
    held = frame.iloc[-1]
    assert held["exposure"] == 1.0 - held["cash"] / held["equity"] > 0
    assert len(frame) == 6 and frame.index.is_unique


def test_a_time_seen_twice_keeps_its_last_row() -> None:
    frame = equity_frame([np.array([738000.0, 738000.0]), np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([5.0, 6.0])], ["A/USD"])
    assert frame["equity"].tolist() == [2.0] and frame["close:A/USD"].tolist() == [6.0]
