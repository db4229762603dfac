"""The account of a simulated broker: what is held and what a strategy sees of it, deposits, and commissions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar, cast

import backtrader as bt
from backtrader.position import Position

from forwardtrader.strategies.backtrader.on_margin.trading import MarginTrading
from forwardtrader.strategies.backtrader_objects import BtData
from forwardtrader.strategies.costs import VenueCommission, as_the_venue_takes_it
from forwardtrader.strategies.feed_context import traded
from forwardtrader.strategies.holdings import Holdings

Method = TypeVar("Method", bound=Callable[..., Any])


def books(method: Method) -> Method:
    """A method of Backtrader's broker that reads and changes what is held, dust included."""

    @wraps(method)
    def booking(self: Any, *args: Any, **kwargs: Any) -> Any:
        outer, self._is_booking = self._is_booking, True
        try:
            return method(self, *args, **kwargs)
        finally:
            self._is_booking = outer

    return cast(Method, booking)


class AccountBroker(bt.brokers.BackBroker):
    """`BackBroker` whose account has dust, deposits and the commissions of each symbol.

    What is too small to be sold is in the account's value, and no position (`Holdings`).

    Attributes:
        holdings: what the account holds, and what a strategy sees of it.
        moved: cash that a strategy paid in since the account was opened, less what it took out.
        opened_shares: how many shares of the account there were before any deposit; one share is worth the same after it.
        charges_shares: whether every commission is a plain share of the traded value.
        margin: where perpetuals are traded, the account on margin, whose wallet `cash` then is; None for an account of cash.
    """

    margin: MarginTrading | None = None

    _is_booking = False
    moved = 0.0
    _is_open = False
    opened_shares = 0.0
    charges_shares = False

    def __init__(self, **_params: float) -> None:
        super().__init__()
        self._own_schemes: set[str] = set()

    def start(self) -> None:
        super().start()
        self.charges_shares = self._charges_shares()
        self.moved, self.opened_shares, self._is_open = 0.0, self._fundshares, True

    @property
    def positions(self) -> Any:
        """What a strategy sees; `BackBroker`, which books by this name, finds what is held."""
        return self.holdings.held if self._is_booking else self.holdings

    @positions.setter
    def positions(self, held: Any) -> None:
        self.holdings = Holdings(held)

    def getposition(self, data: BtData) -> Position:
        return self.holdings[data]

    def get_value(self, datas: Iterable[Any] | None = None, mkt: bool = False, lever: bool = False) -> float:
        """The account's value, dust included; with `datas` that of the positions in them, which `BackBroker` adds the cash to."""
        if datas is None:
            return float(super().get_value(None, mkt, lever))
        self._book_deposits()
        return float(sum(self._get_value([traded(data)], lever) for data in datas if self.holdings[data].size))

    getvalue = get_value

    def get_cash(self) -> float:
        """The cash; on margin, the free margin."""
        return float(self.cash) if self.margin is None else self.margin.account.free()

    getcash = get_cash

    def _book_deposits(self) -> None:
        """Cash that a strategy moved in or out since: it changes how many shares of the account there are, and not what one is worth."""
        while self._cash_addition:
            self._deposit(self._cash_addition.popleft())

    def _deposit(self, cash: float) -> None:
        self._fundshares += cash / self._fundval
        self.cash += cash
        self.moved += cash
        if self.margin is not None:
            self.margin.account.deposit(cash)

    def set_cash(self, cash: float) -> None:
        """As Backtrader's; once the account was opened, the difference is a deposit."""
        if self._is_open:
            self._deposit(cash - self.cash)
        super().set_cash(cash)

    setcash = set_cash

    @books
    def _get_value(self, datas: Any = None, lever: bool = False) -> Any:
        self._book_deposits()
        return super()._get_value(datas, lever) if self.margin is None else self._get_value_on_margin(self.margin, datas)

    def _get_value_on_margin(self, margin: MarginTrading, datas: Any) -> float:
        """Equity, or what the positions in `datas` are worth, shorts below zero; at mark prices."""
        account = margin.account
        if datas:
            return sum(margin.stakes[data].size * margin.stakes[data].mark for data in datas)
        equity = account.equity()
        self._value = self._valuemkt = equity
        self._fundval = equity / self._fundshares
        self._valuelever = self._valuemktlever = account.wallet + account.value()
        self._leverage = account.notional() / equity if equity > 0.0 else 0.0
        self._unrealized = account.unrealised()
        return equity

    def setcommission(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        """As Backtrader's, also against what the assembly gave each symbol; a share of the value is taken as the venue takes it."""
        super().setcommission(*args, name=name, **kwargs)
        made = self.comminfo.pop(name)
        self.addcommissioninfo(made, name)

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """As Backtrader's; one without a name is for every symbol that has none of the user's."""
        if name is not None and self._is_open:
            self._own_schemes.add(name)
        for symbol in [name] if name is not None else [each for each in self.comminfo if each not in self._own_schemes]:
            self.comminfo[symbol] = as_the_venue_takes_it(comminfo, self.comminfo.get(symbol))
        self.charges_shares = self._charges_shares()

    def _charges_shares(self) -> bool:
        return all(isinstance(scheme, VenueCommission) for name, scheme in self.comminfo.items() if name is not None)

    @property
    def is_ruined(self) -> bool:
        """Whether nothing is left of the account."""
        return bool(self._value <= 0.0)
