"""The stops that a chart shows are the same, bar by bar, whoever traded: a backtest, a session on paper, or one with real orders on the
practice exchange, over the same bars."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pandas as pd
import pytest

from forwardtrader.live.parity.record import read_session
from forwardtrader.live.parity.replay import replay
from tests.live.session_runner import Momentum, request_for, run

pytestmark = pytest.mark.usefixtures("practice_ends")
BARS: Final = 60
REAL: Final = ("--live", "--yes-real-money", "--yes-real-money")
CLOSE: Final = ("strategies.slippage_bps=0", "strategies.stop_scales=0.8", "strategies.portfolio_stop=0.8")
# Far enough to outlive the bar that filled the entry: a venue may execute them in it, a backtest does from the next bar on.
BRACKETS: Final = """
import backtrader as bt

class Brackets(bt.Strategy):
    def next(self):
        n, price = len(self) % 12, self.data.close[0]
        if n == 0 and not self.position:
            self.buy_bracket(size=0.02, exectype=bt.Order.Market, stopprice=round(price * 0.96, 2), limitprice=round(price * 1.04, 2))
        elif n in (4, 9) and self.position:
            for order in list(self.broker.get_orders_open()):
                self.cancel(order)
            if n == 4:
                self.sell(size=0.01, exectype=bt.Order.Stop, price=round(price * 0.98, 2))
                self.sell(size=0.005, exectype=bt.Order.Stop, price=round(price * 0.97, 2))
            else:
                self.close()
"""


def stops_of(folder: Path, name: str, symbols: tuple[str, ...], *flags: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those that a session wrote, and those of a backtest over its bars."""
    settings = [word for setting in CLOSE for word in ("--set", setting)]
    assert run(request_for(folder, name, BARS, *settings, *flags, symbols=symbols)) == 0
    made = replay(read_session(folder / name), {symbol: Momentum() for symbol in symbols})
    return pd.read_parquet(folder / name / "stops.parquet"), made["stops"]


def same(folder: Path, symbols: tuple[str, ...], *flags: str) -> pd.DataFrame:
    """The stops of all, once they were found equal."""
    on_paper, in_backtest = stops_of(folder, "paper", symbols, *flags)
    with_orders, in_its_backtest = stops_of(folder, "real", symbols, *flags, *REAL)
    for others in (in_backtest, with_orders, in_its_backtest):
        pd.testing.assert_frame_equal(others, on_paper)
    return on_paper


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [("BTC/USDT",), ("BTC/USDT", "ETH/USDT", "SOL/USDT")], ids=["one", "several"])
def test_our_strategy_shows_the_same_stops_in_a_backtest_on_paper_and_with_real_orders(tmp_path: Path, symbols: tuple[str, ...]) -> None:
    stops = same(tmp_path, symbols)
    assert len(stops) > 4 * len(symbols) and set(stops["symbol"]) == set(symbols)
    assert stops["until"].notna().sum() >= len(stops) - len(symbols)


def test_stops_of_a_strategys_own_brackets_are_the_same_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brackets.py").write_text(BRACKETS, encoding="utf-8")
    stops = same(tmp_path / "sessions", ("BTC/USDT",), "--strategy", "brackets.py:Brackets")
    both = stops.merge(stops, on="symbol").query("price_x < price_y and since_x == since_y")
    assert len(stops) > 8 and len(both), "two rested at once"
