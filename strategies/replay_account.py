"""The account of the fast replay: cash, one position per symbol, and the orders that are out.

Fills follow `VenueRulesBroker`: market orders at the next traded bar's open, stops at their price or at a worse open, slippage in full,
fees in quote or, for buys on venues that keep them, in the coin; the same order of float operations, so that the last digit is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, OrderRequest, Side, Timeframe
from forwardtrader.strategies.decision import STOPPED, Rules
from forwardtrader.strategies.order_rules import RawOrder, normalise
from forwardtrader.strategies.position_manager import Desk

FILL_COLUMNS: Final = ("timestamp", "symbol", "side", "size", "price", "fee", "fee_currency", "reason")
_FLOAT_NOISE: Final = 1e-9


@dataclass(slots=True)
class Ticket:
    """An order that is out. `stop` is None for a market order."""

    holding: Holding
    change: float
    stop: float | None
    reference: float
    reason: str
    new: bool = True


@dataclass(frozen=True, slots=True)
class ReplayBar:
    """One symbol's bar, and whether anything was traded in it."""

    open: float
    high: float
    low: float
    close: float
    traded: bool


class Holding:
    """One symbol's position and its orders; the `OrderPort` of its desk."""

    def __init__(self, account: ReplayAccount, market: MarketRules, rules: Rules) -> None:
        self.account, self.market = account, market
        self.base_fee = account.fee if market.fee_in_base else 0.0
        self.size = self.paid = self.close = 0.0
        self.desk = Desk(market, rules, self)

    def trade(self, change: float, reason: str) -> bool:
        return self._take(change, None, reason)

    def rest_stop(self, change: float, price: float) -> bool:
        return self._take(change, price, STOPPED)

    def cancel_stop(self) -> None:
        tickets = self.account.tickets
        tickets[:] = [ticket for ticket in tickets if ticket.holding is not self or ticket.stop is None]

    def commission(self, change: float, price: float) -> float:
        """Fee in quote currency; a buy whose fee is kept in the coin pays none."""
        return 0.0 if self.base_fee and change > 0.0 else abs(change) * self.account.fee * price

    def settle(self, ticket: Ticket, executed: float, price: float) -> None:
        """An order is done: `executed` units (negative sold) at `price`."""
        if ticket.stop is None:
            self.desk.settle_trade(executed, price, self.size)
            return
        self.desk.resting = False
        if executed:
            self.desk.settle_stop(self.account.now)

    def _take(self, change: float, stop: float | None, reason: str) -> bool:
        raw = RawOrder(side=Side.BUY if change > 0.0 else Side.SELL, size=abs(change), reference=self.close, stop_price=stop)
        locked = sum(-t.change for t in self.account.tickets if t.holding is self and t.change < 0.0)
        answer = normalise(raw, self.market, sellable=self.size - locked)
        if not isinstance(answer, OrderRequest):
            return False
        size, price = float(answer.size), None if answer.stop_price is None else float(answer.stop_price)
        self.account.tickets.append(Ticket(self, size if change > 0.0 else -size, price, price or self.close, reason))
        return True


@dataclass
class ReplayAccount:
    """Cash and the holdings that share it. `now` is the open time of the bar, UTC epoch seconds, `row` its number."""

    cash: float
    fee: float
    slippage: float
    holdings: list[Holding] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    fills: list[tuple[Any, ...]] = field(default_factory=list)
    now: float = 0.0
    row: int = 0

    @classmethod
    def opened(cls, settings: StrategySettings, markets: list[tuple[MarketRules, Timeframe, int]]) -> ReplayAccount:
        """An account with its cash, and for each market (rules, bar length, horizon of its forecasts) an empty holding."""
        account = cls(settings.cash, settings.fee_bps / 1e4, settings.slippage_bps / 1e4)
        for market, timeframe, horizon in markets:
            account.holdings.append(Holding(account, market, Rules.of(settings, market, timeframe, horizon, len(markets))))
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
        if not any(ticket.new for ticket in self.tickets):
            return
        cash = self.cash
        for ticket in [ticket for ticket in self.tickets if ticket.new]:
            ticket.new = False
            cash -= ticket.change * ticket.reference + ticket.holding.commission(ticket.change, ticket.reference)
            if cash < 0.0:
                self.tickets.remove(ticket)
                ticket.holding.settle(ticket, 0.0, 0.0)

    def match(self, bars: dict[Holding, ReplayBar]) -> None:
        """Fill what these bars fill."""
        for ticket in list(self.tickets):
            bar = bars.get(ticket.holding)
            price = None if bar is None or not bar.traded or ticket not in self.tickets else self._fill_price(ticket, bar)
            if price is not None:
                self.tickets.remove(ticket)
                executed, paid = self._fill(ticket, price)
                ticket.holding.settle(ticket, executed, paid)

    def _fill_price(self, ticket: Ticket, bar: ReplayBar) -> float | None:
        buys = ticket.change > 0.0
        price = bar.open
        if ticket.stop is not None:
            if buys and price < ticket.stop:
                if bar.high < ticket.stop:
                    return None
                price = ticket.stop
            elif not buys and price > ticket.stop:
                if bar.low > ticket.stop:
                    return None
                price = ticket.stop
        return price * (1.0 + self.slippage) if buys else price * (1.0 - self.slippage)

    def _fill(self, ticket: Ticket, price: float) -> tuple[float, float]:
        """Book one fill; units executed (0 where the cash did not suffice) and the price of a unit that was delivered."""
        held, change, gross_price = ticket.holding, ticket.change, price
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
            self._book(held, closed, opened, price, ticket.reason, (gross, gross_price, kept))
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
