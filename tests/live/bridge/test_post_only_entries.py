"""Entries that rest at the venue and go to the market at their deadline: as in a backtest, bar by bar, and bought once wherever a process
dies. Unmodified ccxt classes against the practice exchange, on both protocols.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.strategies.backtrader.assembly import build_cerebro
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.orders.entries import CROSSED
from tests.live.family_runner import SIZE, enter
from tests.live.market import play, practice, store_on
from tests.live.test_fault_families import carry_on, die
from tests.strategies.market import feed, knobs

SHARE = 0.001
VENUES = {
    "binance": {"protocol": "binance"},
    "bybit": {"protocol": "bybit"},
    "bybit perpetuals": {"protocol": "bybit", "symbols": ["BTC/USDT:USDT"]},
    "binance perpetuals": {"protocol": "binance", "symbols": ["BTC/USDT:USDT"]},
}


class Enters(bt.Strategy):
    """Sends a post-only entry now and then, and closes in between; notes what became of each order."""

    params = (("then", "market"), ("first", 3), ("deadline", 2), ("away", 0.0004), ("size", 0.3))

    def __init__(self) -> None:
        self.bars: list[tuple[Any, ...]] = []
        self.fills: list[tuple[Any, ...]] = []
        self.ends: list[tuple[str, str, float]] = []
        self.refused: list[str] = []
        self.order: Any = None

    def notify_order(self, order: Any) -> None:
        if order.status in (bt.Order.Partial, bt.Order.Completed):
            for bit in order.executed.iterpending():
                size, price = order.info.get("gross_size", bit.size), order.info.get("gross_price", bit.price)
                fee = order.info.get("fee_base", bit.openedcomm + bit.closedcomm)
                self.fills.append((bit.dt, order.isbuy(), round(size, 6), round(price, 6), round(fee, 6)))
        if not order.alive():
            self.ends.append((order.getstatusname(), order.getordername(), round(order.executed.size, 6)))
            self.refused.append(str(order.info.get("refusal", "")))

    def next(self) -> None:
        self.bars.append(
            (bt.num2date(self.data.datetime[0]), *(getattr(self.data, n)[0] for n in ("open", "high", "low", "close", "volume")))
        )
        number = len(self) - self.p.first
        if not 0 <= number < 18:
            return
        if number % 6 == 0 and not self.position:
            close, sells = self.data.close[0], number == 6 and context_of(self.data).rules.can_short
            price = close * (1.0 + self.p.away) if sells else (close - 0.5, close - 0.5, close * 1.01)[number // 6]
            self.order = enter(self, price, then=self.p.then, bars=self.p.deadline, size=self.p.size, sells=sells)
        elif number % 6 == 5:
            if self.order.alive():
                self.cancel(self.order)
            if self.position:
                self.close()


def replayed(run: Any, **params: Any) -> Any:
    """The same strategy in a backtest, on the bars that it has met."""
    frame = pd.DataFrame(run.bars, columns=["time", "open", "high", "low", "close", "volume"]).set_index("time")
    frame.index = frame.index.tz_localize("UTC")
    settings = knobs(fee_bps=10, slippage_bps=0, maker_fee_bps=2, cash=1e6, volume_share=SHARE)
    made = feed(frame, rules=context_of(run.data).rules)
    made = type(made)(**{**vars(made), "timeframe": context_of(run.data).timeframe})
    return build_cerebro([made], settings, strategy=Enters, strategy_params=params).run()[0]


@pytest.mark.parametrize(
    ("name", "then"), [("binance", "market"), ("bybit", "give_up"), ("bybit perpetuals", "market"), ("binance perpetuals", "market")]
)
def test_entries_are_filled_refused_and_handed_over_as_in_a_backtest(name: str, then: str) -> None:
    chosen = {
        "maker_fee_bps": 2,
        "taker_fee_bps": 10,
        "volume_share": SHARE,
        "balances": {"USDT": "1000000"},
        "history": 20,
        **VENUES[name],
    }
    with practice(**chosen) as venue:
        symbols = tuple(chosen.get("symbols", ["BTC/USDT"]))
        run = play(venue, store_on(venue), Enters, 22, symbols=symbols, then=then)
        there = replayed(run, then=then)
        assert venue.state()["open_orders"] == []
    assert run.fills == there.fills
    assert run.ends == there.ends
    assert [why == CROSSED for why in run.refused] == [why == CROSSED for why in there.refused]
    kinds = {end[:2] for end in run.ends}
    assert CROSSED in run.refused
    assert kinds >= {("Rejected", "Limit"), ("Expired", "Limit") if then == "give_up" else ("Completed", "Market")}


LIVES = [
    ("after room is made", 1),  # its place at the market is durable, its cancel was not sent: it rests on, until it is due again
    ("after a cancel", 1),  # it is off the venue, and nobody was told
    ("before a held order is released", 1),  # the same, and it was known: what follows is not made up for, the market has moved on
    ("after it is claimed for sending", 2),  # nobody knows whether it was sent
    ("after it is acknowledged", 2),
]


def survive(path: Path, point: str, count: int) -> tuple[Journal, Any, Any]:
    with practice(history=60, fee_asset="quote") as venue:
        die(venue, path, "entry", point, count)
        heir, journal = carry_on(venue, path, 1.0)
        return journal, heir, venue.state()


def the_market_was_bought_once_at_most(path: Path, point: str, count: int) -> None:
    journal, heir, state = survive(path, point, count)
    sold_and_bought = [(i.request.limit_price is None, journal.filled(i.client_id)) for i, _ in journal.intents()]
    at_market = [size for is_market, size in sold_and_bought if is_market and size]
    assert at_market in ([], [Decimal(str(SIZE))])
    assert heir.position.size == pytest.approx(float(sum(size for _, size in sold_and_bought)))
    assert state["open_orders"] == []
    assert not any(s in (IntentState.WRITTEN, IntentState.SENT, IntentState.UNKNOWN, IntentState.HELD) for _, s in journal.intents())


@pytest.mark.parametrize(("point", "count"), [LIVES[2]])
def test_an_entry_that_is_handed_over_when_its_process_dies_is_bought_once_at_most(tmp_path: Path, point: str, count: int) -> None:
    the_market_was_bought_once_at_most(tmp_path / "journal.db", point, count)


@pytest.mark.slow
@pytest.mark.parametrize(("point", "count"), LIVES)
def test_an_entry_is_bought_once_at_most_wherever_its_process_died(tmp_path: Path, point: str, count: int) -> None:
    the_market_was_bought_once_at_most(tmp_path / "journal.db", point, count)
