"""Lagging reads: queries show the account as it was some time ago, each kind of query by a lag of its own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from forwardtrader.sandbox.engine.events import BalanceMoved, BalancesChanged, EngineEvent, Funded, OrderChanged
from forwardtrader.sandbox.engine.exchange import Exchange
from forwardtrader.sandbox.orders.account import ClientAccount
from forwardtrader.sandbox.orders.order import ExchangeOrder, Trade
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason

T = TypeVar("T")
ORDER: Final = "order"  # one order, by an id
ORDERS: Final = "orders"  # lists of orders, open or not
TRADES: Final = "trades"
BALANCE: Final = "balance"
KINDS: Final = (ORDER, ORDERS, TRADES, BALANCE)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a query is behind: both must have passed."""

    seconds: float = 0.0
    bars: int = 0


@dataclass(frozen=True, slots=True)
class Moment:
    seconds: float
    bars: int


class Versions(Generic[T]):
    """What something was like, from each moment on."""

    def __init__(self) -> None:
        self._kept: list[tuple[Moment, T]] = []

    def add(self, at: Moment, value: T) -> None:
        self._kept.append((at, value))

    def at(self, moment: Moment) -> T | None:
        """As it was at `moment`; None where it did not exist."""
        found = [value for at, value in self._kept if at.seconds <= moment.seconds and at.bars <= moment.bars]
        return found[-1] if found else None


class AccountReads:
    """The account as queries show it. Streams, answers to orders, and the engine itself never lag.

    Args:
        monotonic: seconds.
        played: the number of bars played so far.
    """

    def __init__(self, exchange: Exchange, account: str, monotonic: Callable[[], float], played: Callable[[], int]) -> None:
        self._exchange = exchange
        self._name = account
        self._monotonic = monotonic
        self._played = played
        self._lags: dict[str, Lag] = {}
        self._orders: dict[int, Versions[ExchangeOrder]] = {}
        self._trades: dict[int, Versions[Trade]] = {}
        self._balances: Versions[ClientAccount] = Versions()
        exchange.subscribe(self.on_event)

    def lag(self, kind: str, lag: Lag) -> None:
        """Queries of `kind` lag from now on; what is there now is seen by all of them."""
        if not self._lags:
            self._begin()
        self._lags[kind] = lag
        if not any(lag != Lag() for lag in self._lags.values()):
            self._lags.clear()
            self._orders.clear()
            self._trades.clear()

    def on_event(self, event: EngineEvent) -> None:
        if not self._lags:
            return
        now = Moment(self._monotonic(), self._played())
        if isinstance(event, OrderChanged):
            self._orders.setdefault(event.order.id, Versions()).add(now, copied(event.order))
            if event.trade is not None:
                self._trades.setdefault(event.trade.id, Versions()).add(now, event.trade)
        if isinstance(event, OrderChanged | BalancesChanged | BalanceMoved | Funded):
            self._balances.add(now, copied_account(self._exchange.accounts[self._name]))

    def order(self, order: ExchangeOrder) -> ExchangeOrder:
        """One order as a query by its id shows it.

        Raises:
            OrderRefused: it is not visible yet.
        """
        seen = self._seen(ORDER, order)
        if seen is None:
            raise OrderRefused(RefusalReason.UNKNOWN_ORDER)
        return seen

    def orders(self, kind: str = ORDERS) -> Iterator[ExchangeOrder]:
        """Every order of the account as a list of orders, or queries of another kind, show it."""
        mine = (order for order in self._exchange.order_index.orders.values() if order.account == self._name)
        return (seen for order in mine if (seen := self._seen(kind, order)) is not None)

    def open_orders(self) -> list[ExchangeOrder]:
        if ORDERS not in self._lags:
            return self._exchange.order_index.all_open(self._name)
        return [order for order in self.orders() if order.is_open]

    def trades(self) -> list[Trade]:
        if TRADES not in self._lags:
            return self._exchange.order_index.trades
        then = self._then(TRADES)
        return [t for t in self._exchange.order_index.trades if t.id not in self._trades or self._trades[t.id].at(then) is not None]

    def account(self) -> ClientAccount:
        account = self._exchange.accounts[self._name]
        return account if BALANCE not in self._lags else self._balances.at(self._then(BALANCE)) or account

    def _seen(self, kind: str, order: ExchangeOrder) -> ExchangeOrder | None:
        if kind not in self._lags or order.id not in self._orders:
            return order
        return self._orders[order.id].at(self._then(kind))

    def _then(self, kind: str) -> Moment:
        lag = self._lags[kind]
        return Moment(self._monotonic() - lag.seconds, self._played() - lag.bars)

    def _begin(self) -> None:
        always = Moment(float("-inf"), -(10**9))
        self._balances = Versions()
        self._balances.add(always, copied_account(self._exchange.accounts[self._name]))
        for order in self._exchange.order_index.all_open(self._name):
            self._orders.setdefault(order.id, Versions()).add(always, copied(order))


def copied(order: ExchangeOrder) -> ExchangeOrder:
    made = copy.copy(order)
    made.trades = list(order.trades)
    return made


def copied_account(account: ClientAccount) -> ClientAccount:
    made = ClientAccount(account.name, account.free, account.floating)
    made.mode = copy.copy(account.mode)
    made.locked = dict(account.locked)
    made.positions = {symbol: copy.copy(position) for symbol, position in account.positions.items()}
    return made
