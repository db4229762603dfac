"""Executions of the simulated broker: of an order or a part of it, by a taker or a maker, with slippage and fees taken in the coin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import backtrader as bt

from forwardtrader.core.types import slipped
from forwardtrader.strategies.backtrader.account_broker import AccountBroker
from forwardtrader.strategies.backtrader.execution.inside_bars import InsideBars
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.orders.resting_orders import RestingFills

_FLOAT_NOISE: Final = 1e-9


class ExecutingBroker(AccountBroker):
    """An `AccountBroker` that slips in full, and fills orders in parts.

    Attributes:
        fills: how orders that rest as makers are filled.
        inside: the finer bars that orders which rest go by; None where every bar is met as a whole.
    """

    fills = RestingFills()
    inside: InsideBars | None = None
    _part: float | None = None  # base units that are executed of an order, where that is not all of it
    _is_maker = False  # what is executed has rested
    _is_booked = False  # a limit order was in the book when the finer bar opened that meets it

    def activate(self) -> None:
        """Have those children work whose parent was filled."""
        while self._toactivate:
            self._toactivate.popleft().activate()

    def work_through(self, work: Callable[[], None]) -> None:
        """Work the pending orders on the newest bars, or on the finer ones inside them one after the other.

        Args:
            work: does so, with whatever else a bar brings; it is called once, on the last of them.
        """
        if self.inside is None or not self.inside.may_touch(self.pending):
            work()
            return
        for _ in self.inside.steps():
            self.activate()
            (work if self.inside.is_last else self.work_pending)()

    def work_pending(self, takes: Callable[[Any], bool] | None = None) -> None:
        """Each pending order once, or each that `takes` picks; executions may take other orders out of the queue meanwhile, so a None marks
        its end."""
        self.pending.append(None)
        while (order := self.pending.popleft()) is not None:
            if takes is not None and not takes(order):
                self.pending.append(order)
            elif order.expire():
                self.notify(order)
                self._ococheck(order)
                self._bracketize(order, cancel=True)
            elif not order.active():
                self.pending.append(order)
            else:
                self._try_exec(order)
                if order.alive():
                    self.pending.append(order)
                elif order.status == bt.Order.Completed:
                    self._bracketize(order)

    def _try_exec_limit(self, order: Any, popen: float, phigh: float, plow: float, plimit: float) -> None:
        """As `BackBroker`; inside a bar, what is in the book is filled at its own price, and not at a better one that came later."""
        if self._is_booked and (plimit >= popen if order.isbuy() else plimit <= popen):
            self._execute(order, ago=0, price=plimit)
        else:
            super()._try_exec_limit(order, popen, phigh, plow, plimit)

    def _fill_resting(self, order: Any, units: float) -> None:
        """Execute so many units of a resting order at its price."""
        self._part, self._is_maker = (None if units == abs(order.executed.remsize) else units), True
        own = self.p.filler
        self.p.filler = None if self._part is None else lambda _order, _price, _ago: self._part
        try:
            self._execute(order, ago=0, price=order.created.price)
        finally:
            self._part, self._is_maker, self.p.filler = None, False, own

    def getcommissioninfo(self, data: Any) -> Any:
        """As Backtrader's; that of a maker, while an order is executed that has rested."""
        scheme = super().getcommissioninfo(data)
        return scheme.as_maker() if self._is_maker and self.margin is None and isinstance(scheme, VenueCommission) else scheme

    def _close_exactly(self, order: BtOrder) -> None:
        """Floats on a decimal grid add up to not quite zero: an order that closes a position leaves nothing of it open, and one that turns
        it is filled as a whole, not but for its last digit."""
        held, rest = self.holdings.held[order.data].size, order.executed.remsize
        after = held + rest
        if held and after and abs(after) < _FLOAT_NOISE * abs(held):
            order.executed.remsize = -held
        elif held * after < 0.0:
            order.executed.remsize = after - held

    def _deliver_net(self, order: BtOrder, price: float) -> float:
        """Shrink a buy by the fee; the price per unit delivered rises so that the same cash is paid."""
        gross = order.executed.remsize if self._part is None else self._part
        net = gross * (1.0 - getattr(self.getcommissioninfo(order.data).p, "base_fee", 0.0))
        order.addinfo(gross_size=gross, gross_price=price, fee_base=gross - net)
        if self._part is None:
            order.executed.remsize = net
        else:
            order.executed.remsize -= gross - net
            self._part = net
        return float(price * gross / net)

    def _slip_up(self, pmax: float, price: float, doslip: bool = True, lim: bool = False) -> float:
        worse = slipped(float(price), self.p.slip_perc, buys=True)
        return min(worse, pmax) if lim else worse

    def _slip_down(self, pmin: float, price: float, doslip: bool = True, lim: bool = False) -> float:
        worse = slipped(float(price), self.p.slip_perc, buys=False)
        return max(worse, pmin) if lim else worse


def note_gross(order: Any) -> None:
    """Keep with the newest execution what it was before a fee in the coin: the order's info says so of the newest only, and finer bars may
    fill several parts before anybody is told."""
    info, bit = order.info, order.executed.exbits[-1]
    if "fee_base" in info:
        bit.gross = (info["gross_size"], info["gross_price"], info["fee_base"])
