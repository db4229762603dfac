"""The account of the fast replay on margin; what happens in a bar, and in which order, is as in `backtrader.on_margin.trading`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Side, Timeframe
from forwardtrader.strategies.detail.series import InnerBar, in_order
from forwardtrader.strategies.margin.account import Admission, MarginAccount, Stake, split
from forwardtrader.strategies.margin.liquidation import closings, liquidate, make_good, may_be_due, reason
from forwardtrader.strategies.replay_account import Holding, Inside, ReplayAccount, ReplayBar, ReplayOrder

_FLOAT_NOISE: Final = 1e-9


@dataclass
class MarginReplayAccount(ReplayAccount):
    """A `ReplayAccount` whose holdings are perpetuals. `cash` is not used; the wallet is that of `margin`."""

    margin: MarginAccount = field(default_factory=lambda: MarginAccount(0.0, 1.0, []))
    stakes: dict[Holding, Stake] = field(default_factory=dict)
    liquidation_fee: float = 0.0

    @classmethod
    def on_margin(cls, settings: StrategySettings, markets: list[tuple[MarketRules, Timeframe, int]]) -> MarginReplayAccount:
        """As `opened`."""
        account = cls.opened(settings, markets)
        assert isinstance(account, MarginReplayAccount)
        account.stakes = {held: Stake.of(held.market) for held in account.holdings}
        account.margin = MarginAccount(float(settings.cash), settings.leverage, list(account.stakes.values()))
        account.liquidation_fee = settings.liquidation_fee_bps / 1e4
        return account

    def equity(self) -> float:
        return self.margin.equity()

    def spendable(self) -> float:
        return self.margin.free()

    def net_cash(self, equity: float) -> float:
        return equity - self.margin.value()

    def work(self, bars: Mapping[Holding, ReplayBar], finer: Callable[[], Inside]) -> None:
        self.end_entries(bars)
        for held, bar in bars.items():
            stake = self.stakes[held]
            assert bar.mark is not None
            stake.mark = bar.mark.open
            for rate in bar.rates:
                self.margin.fund(stake, stake.mark, rate)
        self._liquidate(None)
        self.check_cash()
        self.match(bars, lambda order: order.at_market)
        inside = self.reached(bars, finer)
        if not inside and self.margin.notional() and may_be_due(self.margin, self._worst(bars)):
            inside = finer()
        self._look(bars if not inside else {held: bar for held, bar in bars.items() if not _knows_marks(inside.get(held))})
        self.match(bars, lambda order: not order.at_market and order.holding not in inside)
        for step in in_order(inside):
            self._meet(step)
        for held, bar in bars.items():
            assert bar.mark is not None
            self.stakes[held].mark = bar.mark.close

    def check_cash(self) -> None:
        admission = Admission(self.margin)
        for order in [order for order in self.orders if order.new]:
            order.new = False
            held, fee = order.holding, order.holding.commission(order.change, order.reference)
            if admission.refusal(self.stakes[held], order.change, order.reference, fee, at_market=order.at_market):
                self.orders.remove(order)
                held.settle(order, 0.0, 0.0)

    def _fill(self, order: ReplayOrder, price: float, part: float | None = None) -> tuple[float, float]:
        held, stake, maker = order.holding, self.stakes[order.holding], order.limit is not None
        change = _whole(held.size, order.change) if part is None else math.copysign(part, order.change)
        closed, opened = split(stake.size, change)
        fees = [held.commission(units, price, maker=maker) for units in (closed, opened)]
        if self.margin.refusal(stake, change, price, fees[0] + fees[1]):
            change, fees[1] = closed, 0.0
        if change:
            self.margin.settle(stake, change, price, fees[0] + fees[1], maker=maker)
            order.change -= change if part is not None else 0.0
            order.fee += fees[1] + fees[0]
            self._note(held, change, price, fees[1] + fees[0], order.reason)
        return change, price

    def _liquidate(self, worst: Sequence[float] | None) -> None:
        due = closings(self.margin, self.liquidation_fee, worst)
        if not due:
            return
        told = reason(self.margin)
        for order in list(self.orders):
            self.orders.remove(order)
            order.holding.settle(order, 0.0, 0.0)
        by_stake = {id(stake): held for held, stake in self.stakes.items()}
        for closing in due:
            liquidate(self.margin, closing)
            self._note(by_stake[id(closing.stake)], closing.change, closing.price, closing.fee, told)
        make_good(self.margin)

    def _note(self, held: Holding, change: float, price: float, fee: float, why: str) -> None:
        """Write a fill down, and show the position manager what is held."""
        held.size, held.paid = self.stakes[held].size, self.stakes[held].entry
        side = Side.BUY if change > 0.0 else Side.SELL
        self.fills.append((self.row, held.market.symbol, str(side), abs(change), price, fee, held.market.quote, why))

    def _meet(self, step: Mapping[Holding, InnerBar]) -> None:
        """Finer bars that open together."""
        marks = {held: bar.mark for held, bar in step.items() if bar.mark is not None}
        for held, mark in marks.items():
            self.stakes[held].mark = mark.open
        if marks and self.margin.notional():
            self._liquidate(None)
        self._look(step)
        self.match(step)
        for held, mark in marks.items():
            self.stakes[held].mark = mark.close

    def _look(self, bars: Mapping[Holding, ReplayBar | InnerBar]) -> None:
        if self.margin.notional() and any(bar.mark is not None for bar in bars.values()):
            self._liquidate(self._worst(bars))

    def _worst(self, bars: Mapping[Holding, ReplayBar | InnerBar]) -> list[float]:
        marks = {held: bar.mark for held, bar in bars.items() if bar.mark is not None}
        return [marks[held].worst(stake.size) if held in marks and stake.size else stake.mark for held, stake in self.stakes.items()]


def _knows_marks(inside: Sequence[InnerBar] | None) -> bool:
    return inside is not None and inside[0].mark is not None


def _whole(held: float, change: float) -> float:
    """As `VenueRulesBroker._close_exactly`: the change that closes a position to its last digit, or turns it as a whole."""
    after = held + change
    if held and after and abs(after) < _FLOAT_NOISE * abs(held):
        return -held
    return after - held if held * after < 0.0 else change
