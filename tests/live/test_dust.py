"""What a venue would not sell is no position, at the bridge and on paper as in a backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.parity.command import compare
from forwardtrader.reports.pages.session_status import read_status
from tests.live.books import require_agreement
from tests.live.market import Script, play, practice, store_on
from tests.live.session_runner import Momentum, request_for, run


class InAndOut(Script):
    """In on one bar and out two bars later, as long as it is flat in between; notes what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.flat_after_close: list[bool] = []
        self.flat_at_trade_end: list[bool] = []
        self.unmade = 0

    def notify_trade(self, trade: Any) -> None:
        super().notify_trade(trade)
        if trade.isclosed:
            self.flat_at_trade_end.append(not self.position)

    def notify_order(self, order: Any) -> None:
        super().notify_order(order)
        self.unmade += order.status in (bt.Order.Rejected, bt.Order.Margin)
        if order.issell() and order.status == bt.Order.Completed:
            self.flat_after_close.append(not self.position)

    def next(self) -> None:
        super().next()
        if self.live_bars >= 0 and self.live_bars % 4 == 0 and not self.position:
            self.order_target_percent(target=0.5 + 0.001 * self.live_bars)
        elif self.live_bars % 4 == 2 and self.position:
            self.close()
        elif self.live_bars % 4 == 3:
            assert self.close() is None
            assert self.order_target_percent(target=0) is None


def held(run: Any) -> float:
    return float(run.broker.holdings.held[run.data].size)


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
def test_a_strategy_at_a_venue_goes_in_and_out_as_often_as_it_wants(protocol: str, tmp_path: Path) -> None:
    with practice(protocol=protocol) as venue:
        journal = Journal(tmp_path / "journal.db")
        run = play(venue, store_on(venue, journal), InAndOut, 22)
        assert run.flat_after_close == [True] * 5
        assert run.flat_at_trade_end == [True] * 5
        assert run.unmade == 0
        assert run.analyzers.trades.get_analysis().total.closed == 5
        assert run.position.size == held(run) > 0  # in again, with the dust of five trades
        require_agreement(venue, journal, run)


def test_the_dust_stays_in_the_value_of_a_live_account() -> None:
    with practice() as venue:
        run = play(venue, store_on(venue), InAndOut, 4)
        assert not run.position
        assert held(run) > 0
        assert held(run) == pytest.approx(float(venue.state()["accounts"]["main"]["BTC"]["free"]), abs=1e-12)
        assert run.broker.getvalue() == pytest.approx(run.broker.getcash() + held(run) * run.data.close[0], rel=1e-12)
        assert run.broker.getvalue([run.data]) == 0
        assert run.broker.positions[run.data].size == 0


def test_coins_found_in_the_account_that_are_too_few_to_sell_are_no_position() -> None:
    with practice(balances={"USDT": "10000", "BTC": "0.000019"}) as venue:
        run = play(venue, store_on(venue), InAndOut, 6)
        assert run.flat_after_close == [True]
        assert run.unmade == 0


STRATEGY = """
import backtrader as bt
class InAndOut(bt.Strategy):
    def next(self):
        if len(self) % 4 == 0 and not self.position:
            self.order_target_percent(target=0.5)
        elif len(self) % 4 == 2:
            self.close()
        else:
            self.order_target_percent(target=0) if not self.position else None
"""


@pytest.mark.parametrize("mode", ["--paper", "--live"])
def test_a_session_goes_in_and_out_and_equals_its_replay(tmp_path: Path, mode: str) -> None:
    (tmp_path / "in_and_out_live.py").write_text(STRATEGY)
    flags = [] if mode == "--paper" else ["--live"]
    request = request_for(tmp_path, "one", 60, *flags, "--strategy", f"{tmp_path / 'in_and_out_live.py'}:InAndOut", symbols=("BTC/USDT",))
    assert run(request) == 0
    parity = compare(tmp_path / "one", SystemClock(), {"BTC/USDT": Momentum()})
    assert parity.first_difference is None
    assert parity.compared["fills"] >= 28
    assert parity.compared["orders"] <= parity.compared["fills"] + 1
    status = read_status(tmp_path / "one")
    assert status.positions == [] or status.dust == {}
    assert bool(status.positions) is not bool(status.dust)


def test_dust_and_positions_of_an_earlier_process_are_what_they_were(tmp_path: Path) -> None:
    with practice() as venue:
        journal = tmp_path / "journal.db"
        first = play(venue, store_on(venue, journal), InAndOut, 6)  # in, out, in
        assert first.position.size > 0
        second = play(venue, store_on(venue, journal), Script, 3, acts={0: lambda s: s.close()})
        assert not second.position
        assert 0 < held(second) < held(first)
        assert second.closed_trades == []  # the trade began in the earlier process; a sale of it opens no short one
        third = play(venue, store_on(venue, journal), InAndOut, 8)
        assert third.flat_after_close == third.flat_at_trade_end == [True, True]
        assert third.unmade == 0
