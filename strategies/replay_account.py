"""The account of the fast replay: cash, one position per symbol, and the orders that are out.

Fills follow `VenueRulesBroker`: market orders at the next traded bar's open, stops at their price or at a worse open, slippage in full,
fees in quote or, for buys on venues that keep them, in the coin; the same order of float operations, so that the last digit is the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, OrderRequest, Side, Timeframe, slipped
from forwardtrader.strategies.costs import maker_fee
from forwardtrader.strategies.decision import STOPPED, DecisionParams
from forwardtrader.strategies.detail.series import InnerBar, in_order, may_touch
from forwardtrader.strategies.margin.series import MarkBar
from forwardtrader.strategies.order_rules import RawOrder, RestingSell, normalise, sellable
from forwardtrader.strategies.orders.entries import EntryRule, Then, crosses, left_for_market, part_filled
from forwardtrader.strategies.position_manager import PositionManager

FILL_COLUMNS: Final = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "reason")
_FLOAT_NOISE: Final = 1e-9


@dataclass(slots=True)
class ReplayOrder:
    """An open order; a market order has neither `stop` nor `limit`.

    Attributes:
        change: base units that are left of it, negative to sell.
        limit: the price of an entry that rests by `terms`, until the clock of its market (UTC epoch seconds) is past `until`.
        has_rested: a bar has met it.
        executed, paid, size_after: units that were executed (negative sold), their average price, and the position after the newest.
        fee: what was paid for all executions so far, in quote units.
    """

    holding: Holding
    change: float
    stop: float | None
    reference: float
    reason: str
    new: bool = True
    limit: float | None = None
    until: float = 0.0
    terms: EntryRule | None = None
    has_rested: bool = False
    executed: float = 0.0
    paid: float = 0.0
    size_after: float = 0.0
    fee: float = 0.0

    @property
    def at_market(self) -> bool:
        return self.stop is None and self.limit is None

    def add(self, executed: float, price: float, size: float) -> None:
        """Take in an execution, with the averages that Backtrader works out."""
        if executed:
            value = self.executed * self.paid + executed * price
            self.executed += executed
            self.paid, self.size_after = value / self.executed, size


class ReplayBar(NamedTuple):
    """One symbol's bar, and whether anything was traded in it; of a perpetual also its marks, and the funding rates settled in it."""

    open: float
    high: float
    low: float
    close: float
    traded: bool
    volume: float = 0.0
    mark: MarkBar | None = None
    rates: tuple[float, ...] = ()


Inside: TypeAlias = Mapping["Holding", Sequence[InnerBar]]


class Holding:
    """One symbol's position and its orders; the `OrderPort` of its position manager."""

    def __init__(
        self, account: ReplayAccount, market: MarketRules, params: DecisionParams, maker: float | None = None, bar: float = 0.0
    ) -> None:
        self.account, self.market, self.bar = account, market, bar
        self.rates = (account.fee, account.fee if maker is None else maker)  # of orders that take, and of those that rested
        self.size = self.paid = self.close = 0.0
        self.manager = PositionManager(market, params, self)
        self.newest: ReplayOrder | None = None  # but for stops
        self.entry_price = 0.0  # limit of the newest entry that rested

    def trade(self, change: float, reason: str) -> bool:
        return self._take(change, reason)

    def rest_entry(self, change: float, price: float, reason: str) -> bool:
        self.entry_price = price
        return self._take(change, reason, limit=price)

    def resting_value(self) -> float:
        return 0.0 if self.newest is None else abs(self.newest.change) * self.entry_price

    def cancel_entry(self) -> None:
        if (order := self.newest) is not None and order in self.account.orders:
            self.account.orders.remove(order)
            self.account.over.append(order)

    def rest_stop(self, change: float, price: float) -> bool:
        return self._take(change, STOPPED, stop=price)

    def cancel_stop(self) -> None:
        orders = self.account.orders
        orders[:] = [order for order in orders if order.holding is not self or order.stop is None]

    @property
    def resting_stop(self) -> float:
        """The price of the stop as it rests, on the venue's grid; where none rests, the one that was decided on."""
        stops = [order.stop for order in self.account.orders if order.holding is self and order.stop is not None]
        return stops[0] if stops else self.manager.state.stop

    def close_out(self, row: int, reason: str) -> None:
        """Cancel all orders, and close what is held, dust too, at the newest price; the fill is one of bar `row`."""
        account = self.account
        account.orders[:] = [order for order in account.orders if order.holding is not self]
        if self.size:
            price = slipped(self.close, account.slippage, buys=self.size < 0.0)
            account.book_at(row, ReplayOrder(self, -self.size, None, self.close, reason), price)

    def commission(self, change: float, price: float, *, maker: bool = False) -> float:
        """Fee in quote currency; a buy whose fee is kept in the coin pays none."""
        return 0.0 if change > 0.0 and self.base_fee(maker=maker) else abs(change) * self.rates[maker] * price

    def base_fee(self, *, maker: bool) -> float:
        """The share of a buy that the venue keeps."""
        return self.rates[maker] if self.market.fee_in_base else 0.0

    def settle(self, order: ReplayOrder, executed: float, price: float) -> None:
        """An order is done: `executed` units (negative sold) at `price`."""
        if order.stop is None:
            if order is self.newest:
                self.manager.settle_trade(executed, price, self.size, order.fee)
            return
        self.manager.resting = False
        if executed:
            self.manager.settle_stop(self.account.now)

    def settle_entry(self, order: ReplayOrder, *, is_over: bool) -> None:
        """An entry that rested, or rests, is done, or a part of it is."""
        if order is self.newest:
            self.manager.settle_trade(order.executed, order.paid, order.size_after, order.fee, is_over=is_over)

    def _take(self, change: float, reason: str, *, stop: float | None = None, limit: float | None = None) -> bool:
        side = Side.BUY if change > 0.0 else Side.SELL
        raw = RawOrder(side=side, size=abs(change), reference=self.close, stop_price=stop, limit_price=limit)
        resting = [RestingSell(-order.change, id(order)) for order in self.account.orders if order.holding is self and order.change < 0.0]
        answer = normalise(raw, self.market, sellable=sellable(self.size, resting))
        if not isinstance(answer, OrderRequest):
            return False
        size = float(answer.size) if change > 0.0 else -float(answer.size)
        stop, limit = (None if price is None else float(price) for price in (answer.stop_price, answer.limit_price))
        order = ReplayOrder(self, size, stop, stop or limit or self.close, reason, limit=limit)
        if limit is not None and self.manager.params.entry is not None:
            order.terms = self.manager.params.entry
            order.until = self.account.now + order.terms.seconds(self.bar)
        self.account.orders.append(order)
        if stop is None:
            self.newest = order
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
    over: list[ReplayOrder] = field(default_factory=list)
    volume_share: float = 0.0
    now: float = 0.0
    row: int = 0

    @classmethod
    def opened(cls, settings: StrategySettings, markets: list[tuple[MarketRules, Timeframe, int]]) -> ReplayAccount:
        """An account with its cash, and for each market (rules, bar length, horizon of its forecasts) an empty holding."""
        account = cls(settings.cash, settings.fee_bps / 1e4, settings.slippage_bps / 1e4, volume_share=settings.volume_share)
        for market, timeframe, horizon in markets:
            params = DecisionParams.of(settings, market, timeframe, horizon, len(markets))
            account.holdings.append(Holding(account, market, params, maker_fee(settings, market), timeframe.seconds))
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

    def work(self, bars: Mapping[Holding, ReplayBar], finer: Callable[[], Inside]) -> None:
        """What these bars do to the orders that are out.

        Args:
            finer: the bars inside these, of those symbols that have some.
        """
        self.end_entries(bars)
        if not self.orders:
            return
        self.check_cash()
        inside = self.reached(bars, finer)
        if not inside:
            self.match(bars)
            return
        self.match(bars, lambda order: order.at_market or order.holding not in inside)
        for step in in_order(inside):
            self.match(step)

    def reached(self, bars: Mapping[Holding, ReplayBar], finer: Callable[[], Inside]) -> Inside:
        """The finer bars, where one of them may fill an order; else nothing, since the whole bars do as well."""
        near = [order.holding for order in self.orders if not order.at_market and _is_in_reach(order, bars.get(order.holding))]
        inside = finer() if near else {}
        return inside if any(held in inside for held in near) else {}

    def end_entries(self, bars: Mapping[Holding, ReplayBar]) -> None:
        """Tell of entries that were taken back, and have those go to the market, or end, whose deadline is over."""
        while self.over:
            order = self.over.pop(0)
            order.holding.settle_entry(order, is_over=True)
        for order in [order for order in self.orders if order.limit is not None and order.holding in bars and self.now > order.until]:
            self._end_entry(order)

    def _end_entry(self, order: ReplayOrder) -> None:
        units, terms = 0.0, order.terms
        if terms is not None and terms.then is Then.MARKET and order.limit is not None:
            units = float(left_for_market(abs(order.change), order.limit, order.holding.market))
        if units:
            order.limit, order.change = None, units if order.change > 0.0 else -units
        else:
            self.orders.remove(order)
            order.holding.settle_entry(order, is_over=True)

    def spendable(self) -> float:
        """The cash that positions are sized by."""
        return self.cash

    def net_cash(self, equity: float) -> float:
        """What is not in the market."""
        return self.cash

    def match(self, bars: Mapping[Holding, ReplayBar | InnerBar], takes: Callable[[ReplayOrder], bool] = lambda _order: True) -> None:
        """Fill what these bars fill, of the orders that `takes` picks."""
        for order in [order for order in self.orders if takes(order)]:
            bar = bars.get(order.holding)
            if order.limit is not None:
                if bar is not None and bar.traded and order in self.orders:
                    self._rest(order, order.limit, bar)
                continue
            price = None if bar is None or not bar.traded or order not in self.orders else self._fill_price(order, bar)
            if price is not None:
                self.orders.remove(order)
                executed, paid = self._fill(order, price)
                if order.terms is None:
                    order.holding.settle(order, executed, paid)
                else:
                    order.add(executed, paid, order.holding.size)
                    order.holding.settle_entry(order, is_over=True)

    def _rest(self, order: ReplayOrder, limit: float, bar: ReplayBar | InnerBar) -> None:
        """What a bar does to an entry that rests."""
        buys, rest, arrives = order.change > 0.0, abs(order.change), not order.has_rested
        order.has_rested = True
        if arrives and crosses(limit, bar.open, buys=buys):
            self.orders.remove(order)
            order.holding.settle_entry(order, is_over=True)
            return
        worst = bar.low if buys else bar.high
        units = part_filled(limit, rest, worst, bar.volume * self.volume_share, order.holding.market, buys=buys)
        if not units:
            return
        executed, paid = self._fill(order, limit, None if units == rest else units)
        order.add(executed, paid, order.holding.size)
        is_over = units == rest or not executed
        if is_over:
            self.orders.remove(order)
        order.holding.settle_entry(order, is_over=is_over)

    def _fill_price(self, order: ReplayOrder, bar: ReplayBar | InnerBar) -> float | None:
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

    def _fill(self, order: ReplayOrder, price: float, part: float | None = None) -> tuple[float, float]:
        """Book one fill of an order, or of `part` of it (base units); units executed (0 where the cash did not suffice) and the price of a
        unit that was delivered."""
        held, gross_price, maker = order.holding, price, order.limit is not None
        gross = change = order.change if part is None else math.copysign(part, order.change)
        if held.market.fee_in_base and change > 0.0:
            change = gross * (1.0 - held.base_fee(maker=maker))
            price = price * gross / change
        kept = gross - change
        if part is not None:
            order.change = (order.change - kept) - change
        elif held.size and held.size + change and abs(held.size + change) < _FLOAT_NOISE * abs(held.size):
            change = -held.size
        closed, opened = _split(held.size, change)
        opened = self._pay(held, closed, opened, price, maker=maker)
        if closed + opened:
            fee = held.commission(opened, price, maker=maker) + held.commission(closed, price, maker=maker)
            order.fee += fee
            self._book(held, closed, opened, price, fee, order.reason, (gross, gross_price, kept))
        return closed + opened, price

    def _pay(self, held: Holding, closed: float, opened: float, price: float, *, maker: bool) -> float:
        """Move the cash; the units that could be opened."""
        cash = self.cash
        if closed:
            cash += -closed * held.paid + -closed * (price - held.paid)
            cash -= held.commission(closed, price, maker=maker)
            self.cash = cash
        if opened:
            cash -= opened * price
            cash -= held.commission(opened, price, maker=maker)
            if cash < 0.0:
                return 0.0
            self.cash = cash
        return opened

    def _book(
        self, held: Holding, closed: float, opened: float, price: float, fee: float, reason: str, paid: tuple[float, float, float]
    ) -> None:
        change = closed + opened
        before, held.size = held.size, held.size + change
        if not held.size:
            held.paid = 0.0
        elif not before or before * held.size < 0.0:
            held.paid = price
        elif opened:
            held.paid = (held.paid * before + change * price) / held.size
        size, currency = abs(change), held.market.quote
        if held.market.fee_in_base and change > 0.0:
            gross, price, kept = paid
            share = size / (gross - kept)
            size, fee, currency = gross * share, kept * share, held.market.base
        side = Side.BUY if change > 0.0 else Side.SELL
        self.fills.append((self.row, held.market.symbol, str(side), size, price, fee, currency, reason))


def _is_in_reach(order: ReplayOrder, bar: ReplayBar | None) -> bool:
    price = order.limit if order.stop is None else order.stop
    if bar is None or price is None:
        return False
    return may_touch(buys=order.change > 0.0, stops=order.stop is not None, price=price, low=bar.low, high=bar.high)


def _split(size: float, change: float) -> tuple[float, float]:
    """How much of `change` closes a position of `size`, and how much opens one."""
    if size * change >= 0.0:
        return 0.0, change
    if abs(change) <= abs(size):
        return change, 0.0
    return -size, change + size
