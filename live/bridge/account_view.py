"""Backtrader's view of an account: cash, value, positions and open orders, and notifications of orders as clones."""

from __future__ import annotations

import copy
import re
from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import backtrader as bt

from forwardtrader.live.bridge.broker_orders import BrokerOrders
from forwardtrader.live.bridge.bt_types import BtPosition, LiveOrder
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.strategies.backtrader.cheating import set_coc, set_coo
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.feed_context import context_of, traded
from forwardtrader.strategies.holdings import Holdings
from forwardtrader.strategies.orders.families import count_refused
from forwardtrader.strategies.trading_state.guard import TradingGuard

_NUMBERS: Final = re.compile(r"\b\d[\d.,]*\b")


class AccountView(bt.BrokerBase):
    """What a strategy asks of its broker without sending anything. The value is cash and coins.

    Attributes:
        holdings: what the account holds, and what a strategy sees of it.
        guard: the limits of the account that hold in every mode; None where there are none.
        refused: by symbol and reason, how many orders came to nothing, as in a backtest; those of bars of the history do not count.
        moved: quote units that were paid in since the process began, less those taken out.
        cash: on margin what is not in the market, with what shorts were sold for.
        leverage: of an account on margin; 0 for one of cash.
    """

    guard: TradingGuard | None = None
    moved = 0.0
    leverage = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.comminfo[None] = VenueCommission(commission=0.0)  # fees are the venue's; Backtrader's own would size whole units only
        self.refused: dict[str, dict[str, int]] = {}
        self.cash = self.startingcash = 0.0
        self.positions = self.holdings = Holdings()  # `positions` is what strategies ask for
        self._orders = BrokerOrders()
        self._notifications: deque[LiveOrder] = deque()

    def getcash(self) -> float:
        """The cash; on margin, the free margin, as `MarginAccount.free` has it."""
        if not self.leverage:
            return self.cash
        notional = sum(abs(p.size) * data.close[0] for data, p in self.holdings.held.items() if p.size and len(data))
        return float(max(self.getvalue() - notional / self.leverage, 0.0))

    def getvalue(self, datas: Iterable[CCXTData] | None = None) -> float:
        chosen = self.holdings.held if datas is None else {traded(data): self.holdings[data] for data in datas}
        worth = sum(position.size * data.close[0] for data, position in chosen.items() if position.size and len(data))
        return float(worth if datas is not None else self.cash + worth)

    get_cash, get_value = getcash, getvalue

    def getposition(self, data: CCXTData, clone: bool = True) -> BtPosition:
        position: BtPosition = self.holdings[data].clone() if clone else self.holdings[data]
        return position

    def units_held(self, data: CCXTData) -> float:
        """Base units in the account, dust included."""
        return float(self.holdings.held[data].size)

    def assign_coins(self, coins: dict[str, Decimal], datas: Iterable[CCXTData]) -> None:
        """Take coins (by base currency) that the journal does not know as a position, at the first price of their feed."""
        for data in datas:
            base = context_of(data).rules.base
            if base in coins and len(data):
                units = coins.pop(base)
                if not self.holdings.held[data].size:
                    self.holdings.held[data].set(float(units), data.close[0])

    set_coc, set_coo = set_coc, set_coo

    def get_orders_open(self, safe: bool = False) -> list[LiveOrder]:
        return [order.clone() if safe else order for order in self._orders.alive]

    def orderstatus(self, order: LiveOrder) -> int:
        return int(order.status)

    def add_order_history(self, orders: object, notify: bool = False) -> None:
        """A live account has its own history."""

    def set_fund_history(self, fund: object) -> None:
        """A live account has its own history."""

    def submit(self, order: LiveOrder) -> LiveOrder:
        return order

    def count_refused(self, order: LiveOrder, reason: str, kind: str = "") -> None:
        """Count an order that came to nothing by its kind, else by its reason without numbers; not one that only repeats another."""
        if not order.data.is_past:
            count_refused(self.refused, order.data.symbol, kind or _NUMBERS.sub("…", reason))

    def get_notification(self) -> LiveOrder | None:
        return self._notifications.popleft() if self._notifications else None

    @property
    def notices(self) -> tuple[LiveOrder, ...]:
        """What Backtrader has not fetched yet: the news of the last bar, when a run ends with it."""
        return tuple(self._notifications)

    def notify(self, order: LiveOrder) -> None:
        clone = order.clone()
        clone.info = copy.copy(order.info)
        self._notifications.append(clone)
