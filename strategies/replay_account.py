"""The account of the fast replay: cash, one position per symbol, and the orders that are out.

Fills follow `VenueRulesBroker`: market orders at the next traded bar's open, stops at their price or at a worse open, slippage in full,
fees in quote or, for buys on venues that keep them, in the coin; the same order of float operations, so that the last digit is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, OrderRequest, Side, Timeframe, slipped
from forwardtrader.strategies.decision import STOPPED, DecisionParams
from forwardtrader.strategies.margin.series import MarkBar
from forwardtrader.strategies.order_rules import RawOrder, RestingSell, normalise, sellable
from forwardtrader.strategies.position_manager import PositionManager

FILL_COLUMNS: Final = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "reason")
_FLOAT_NOISE: Final = 1e-9


@dataclass(slots=True)
class ReplayOrder:
    """An open order. `stop` is None for a market order."""

    holding: Holding
    change: float
    stop: float | None
    reference: float
    reason: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class ReplayBar:
    """One symbol's bar, and whether anything was traded in it; of a perpetual also its marks, and the funding rates settled in it."""

    open: float
    high: float
    low: float
    close: float
    traded: bool
    mark: MarkBar | None = None
    rates: tuple[float, ...] = ()


class Holding:
    """One symbol's position and its orders; the `OrderPort` of its position manager."""

    def __init__(self, account: ReplayAccount, market: MarketRules, params: DecisionParams) -> None:
        self.account, self.market = account, market
        self.base_fee = account.fee if market.fee_in_base else 0.0
        self.size = self.paid = self.close = 0.0
        self.manager = PositionManager(market, params, self)

    def trade(self, change: float, reason: str) -> bool:
        return self._take(change, None, reason)

    def rest_stop(self, change: float, price: float) -> bool:
        return self._take(change, price, STOPPED)

    def cancel_stop(self) -> None:
        orders = self.account.orders
        orders[:] = [order for order in orders if order.holding is not self or order.stop is None]

    def close_out(self, row: int, reason: str) -> None:
        """Cancel all orders, and close what is held, dust too, at the newest price; the fill is one of bar `row`."""
        account = self.account
        account.orders[:] = [order for order in account.orders if order.holding is not self]
        if self.size:
            price = slipped(self.close, account.slippage, buys=self.size < 0.0)
            account.book_at(row, ReplayOrder(self, -self.size, None, self.close, reason), price)

    def commission(self, change: float, price: float) -> float:
        """Fee in quote currency; a buy whose fee is kept in the coin pays none."""
        return 0.0 if self.base_fee and change > 0.0 else abs(change) * self.account.fee * price

    def settle(self, order: ReplayOrder, executed: float, price: float) -> None:
        """An order is done: `executed` units (negative sold) at `price`."""
        if order.stop is None:
            self.manager.settle_trade(executed, price, self.size)
            return
        self.manager.resting = False
        if executed:
            self.manager.settle_stop(self.account.now)

    def _take(self, change: float, stop: float | None, reason: str) -> bool:
        raw = RawOrder(side=Side.BUY if change > 0.0 else Side.SELL, size=abs(change), reference=self.close, stop_price=stop)
        resting = [RestingSell(-order.change, id(order)) for order in self.account.orders if order.holding is self and order.change < 0.0]
        answer = normalise(raw, self.market, sellable=sellable(self.size, resting))
        if not isinstance(answer, OrderRequest):
            return False
        size, price = float(answer.size), None if answer.stop_price is None else float(answer.stop_price)
        self.account.orders.append(ReplayOrder(self, size if change > 0.0 else -size, price, price or self.close, reason))
        return True


@dataclass
class ReplayAccount:
    """Cash and the holdings that share it. `now` is the open time of the bar, UTC epoch seconds, `row` its number."""

    cash: float
    fee: float
    slippage: float
    holdings: list[Holding] = field(default_factory=list)
    orders: list[ReplayOrder] = field(default_factory=list)
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    now: float = 0.0
    row: int = 0

    @classmethod
    def opened(cls, settings: StrategySettings, markets: list[tuple[MarketRules, Timeframe, int]]) -> ReplayAccount:
        """An account with its cash, and for each market (rules, bar length, horizon of its forecasts) an empty holding."""
        account = cls(settings.cash, settings.fee_bps / 1e4, settings.slippage_bps / 1e4)
        for market, timeframe, horizon in markets:
            account.holdings.append(Holding(account, market, DecisionParams.of(settings, market, timeframe, horizon, len(markets))))
        return account

    def equity(self) -> float:
        """As `BackBroker` works it out, step by step."""
        total = 0.0
        for held in self.holdings:
            if not held.size:
                continue
            unrealized, value = held.size * (held.close - held.paid), held.size * held.close
            if value > 0.0:
                total += value - unrealized
                total += unrealized
            else:
                total += value
        return self.cash + total

    def check_cash(self) -> None:
        """New orders must be payable at the price they were made at, one after the other."""
        if not any(order.new for order in self.orders):
            return
        cash = self.cash
        for order in [order for order in self.orders if order.new]:
            order.new = False
            cash -= order.change * order.reference + order.holding.commission(order.change, order.reference)
            if cash < 0.0:
                self.orders.remove(order)
                order.holding.settle(order, 0.0, 0.0)

    def work(self, bars: dict[Holding, ReplayBar]) -> None:
        """What these bars do to the orders that are out."""
        if self.orders:
            self.check_cash()
            self.match(bars)

    def spendable(self) -> float:
        """The cash that positions are sized by."""
        return self.cash

    def net_cash(self, equity: float) -> float:
        """What is not in the market."""
        return self.cash

    def match(self, bars: dict[Holding, ReplayBar], takes: Callable[[ReplayOrder], bool] = lambda _order: True) -> None:
        """Fill what these bars fill, of the orders that `takes` picks."""
        for order in [order for order in self.orders if takes(order)]:
            bar = bars.get(order.holding)
            price = None if bar is None or not bar.traded or order not in self.orders else self._fill_price(order, bar)
            if price is not None:
                self.orders.remove(order)
                executed, paid = self._fill(order, price)
                order.holding.settle(order, executed, paid)

    def _fill_price(self, order: ReplayOrder, bar: ReplayBar) -> float | None:
        buys = order.change > 0.0
        price = bar.open
        if order.stop is not None:
            if buys and price < order.stop:
                if bar.high < order.stop:
                    return None
                price = order.stop
            elif not buys and price > order.stop:
                if bar.low > order.stop:
                    return None
                price = order.stop
        return slipped(price, self.slippage, buys=buys)

    def book_at(self, row: int, order: ReplayOrder, price: float) -> None:
        """Book a fill of an earlier row."""
        present, self.row = self.row, row
        self._fill(order, price)
        self.row = present

    def _fill(self, order: ReplayOrder, price: float) -> tuple[float, float]:
        """Book one fill; units executed (0 where the cash did not suffice) and the price of a unit that was delivered."""
        held, change, gross_price = order.holding, order.change, price
        gross = change
        if held.market.fee_in_base and change > 0.0:
            change = gross * (1.0 - held.base_fee)
            price = price * gross / change
        kept = gross - change
        if held.size and held.size + change and abs(held.size + change) < _FLOAT_NOISE * abs(held.size):
            change = -held.size
        closed, opened = _split(held.size, change)
        opened = self._pay(held, closed, opened, price)
        if closed + opened:
            self._book(held, closed, opened, price, order.reason, (gross, gross_price, kept))
        return closed + opened, price

    def _pay(self, held: Holding, closed: float, opened: float, price: float) -> float:
        """Move the cash; the units that could be opened."""
        cash = self.cash
        if closed:
            cash += -closed * held.paid + -closed * (price - held.paid)
            cash -= held.commission(closed, price)
            self.cash = cash
        if opened:
            cash -= opened * price
            cash -= held.commission(opened, price)
            if cash < 0.0:
                return 0.0
            self.cash = cash
        return opened

    def _book(self, held: Holding, closed: float, opened: float, price: float, reason: str, paid: tuple[float, float, float]) -> None:
        change = closed + opened
        before, held.size = held.size, held.size + change
        if not held.size:
            held.paid = 0.0
        elif not before or before * held.size < 0.0:
            held.paid = price
        elif opened:
            held.paid = (held.paid * before + change * price) / held.size
        size, fee, currency = abs(change), held.commission(opened, price) + held.commission(closed, price), held.market.quote
        if held.market.fee_in_base and change > 0.0:
            gross, price, kept = paid
            share = size / (gross - kept)
            size, fee, currency = gross * share, kept * share, held.market.base
        side = Side.BUY if change > 0.0 else Side.SELL
        self.fills.append((self.row, held.market.symbol, str(side), size, price, fee, currency, reason))


def _split(size: float, change: float) -> tuple[float, float]:
    """How much of `change` closes a position of `size`, and how much opens one."""
    if size * change >= 0.0:
        return 0.0, change
    if abs(change) <= abs(size):
        return change, 0.0
    return -size, change + size
