"""Sessions of a strategy with longer bars: restarted within one of them, on paper and with real orders, they equal their replay."""

from __future__ import annotations

from pathlib import Path

import backtrader as bt
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.errors import StartRefused
from forwardtrader.live.parity.command import compare
from tests.live.session_runner import Momentum, request_for, run

REAL = ("--live", "--yes-real-money", "--yes-real-money", "--set", "strategies.slippage_bps=0")
SOURCES = {"BTC/USDT": Momentum()}


class TwoLengths(bt.Strategy):
    """Holds while the last two longer bars rose; orders are given on the longer feed in every other case."""

    def __init__(self) -> None:
        self.mean = bt.indicators.SMA(self.data1.close, period=3)

    def next(self) -> None:
        rises = self.data1.close[0] > self.mean[0]
        if rises and not self.position:
            self.buy(self.datas[len(self.data) % 3], size=0.02)
        elif not rises and self.position:
            self.close(self.data1)


@pytest.mark.parametrize("real", [(), REAL], ids=["paper", "real orders"])
def test_a_session_with_longer_bars_equals_its_replay_also_after_a_restart_within_one(tmp_path: Path, real: tuple[str, ...]) -> None:
    flags = ("--resample", "2h", "--resample", "4h", "--strategy", f"{__name__}:TwoLengths", *real)
    for bars in (9, 14):
        assert run(request_for(tmp_path, "one", bars, *flags, symbols=("BTC/USDT",))) == 0
    parity = compare(tmp_path / "one", SystemClock(), SOURCES)
    assert parity.first_difference is None
    assert (parity.equal, parity.bars) == (True, 23)
    assert parity.compared["fills"] > 1
    with pytest.raises(StartRefused, match="resample"):
        run(request_for(tmp_path, "one", 1, *flags[2:], symbols=("BTC/USDT",)))
