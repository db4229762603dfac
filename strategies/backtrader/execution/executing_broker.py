"""Executions of the simulated broker: of an order or a part of it, by a taker or a maker, with slippage and fees taken in the coin."""

from __future__ import annotations

from typing import Any, Final

from forwardtrader.core.types import slipped
from forwardtrader.strategies.backtrader.account_broker import AccountBroker
from forwardtrader.strategies.backtrader_objects import BtOrder
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.orders.resting_orders import RestingFills

_FLOAT_NOISE: Final = 1e-9


class ExecutingBroker(AccountBroker):
    """An `AccountBroker` that slips in full, and fills orders in parts.

    Attributes:
        fills: how orders that rest as makers are filled.
    """

    fills = RestingFills()
    _part: float | None = None  # base units that are executed of an order, where that is not all of it
    _is_maker = False  # what is executed has rested

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
