"""The account's limits at a Backtrader broker of any mode: the answer to an order, and what a limit that is reached does."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Final, Protocol

import backtrader as bt

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.strategies.backtrader_objects import BtData
from forwardtrader.strategies.feed_context import context_of, traded_feeds
from forwardtrader.strategies.holdings import Holdings
from forwardtrader.strategies.orders.trailing_stops import STOPS
from forwardtrader.strategies.trading_state.admission import AccountBook, Book, RestingOrder, too_much
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.trading_state.limits import OnBreach

ROLE: Final = "risk"  # of orders that a limit sends
_FREE: Final = (ROLE, "flatten")  # and of those by which a person sells everything: no limit keeps them back


class GuardedBroker(Protocol):
    """A broker as the limits see it. `guard` is None where nothing is limited; `moved` is what was paid in since the process began."""

    guard: TradingGuard | None
    holdings: Holdings
    moved: float

    def get_value(self) -> float: ...

    def may_execute(self) -> Sequence[Any]:
        """The orders that may still be executed, those included that wait for a parent; not those whose cancel is under way."""

    def group_of(self, order: Any) -> Hashable:
        """Equal for orders of which only one is executed."""

    def group_joined(self, oco: Any, parent: Any) -> Hashable:
        """The group that a new order joins by its sibling or parent; None where it stands alone."""

    def cancel(self, order: Any) -> object: ...


def is_in_force(order: Any) -> bool:
    """Whether an order that is alive may be executed in the next bar: not one that waits for a parent.

    Backtrader makes a bracket's children active a bar after their parent was filled; they may be executed in that very bar.
    """
    return bool(order.active()) or (order.parent is not None and not order.parent.alive())


def objection(
    broker: GuardedBroker, data: BtData, request: OrderRequest, *, exectype: int | None, parent: object, oco: object,
    role: object,
) -> str:  # fmt: skip
    """Why the account's limits do not let an order leave; "" for one that may, which counts from now on."""
    guard = broker.guard
    if guard is None or role in _FREE:
        return ""
    size = float(request.size) * (1.0 if request.side is Side.BUY else -1.0)
    joined = broker.group_joined(oco, parent)
    order = RestingOrder(size=size, group=object() if joined is None else joined, protects=exectype in STOPS)
    return guard.refusal(_account(broker, data), data._name, order, is_child=parent is not None)


def enforce(strategy: bt.Strategy) -> None:
    """Do what the limits that are reached ask for: cancel what may add exposure, or everything, and sell what is held."""
    broker = strategy.broker
    action = broker.guard.action
    if action is None:
        return
    for data in traded_feeds(strategy.datas):
        if not len(data) or not hasattr(data, "context"):  # a foreign feed, on which no order can be placed
            continue
        resting = _resting(broker, data)
        chosen = range(len(resting)) if action is OnBreach.FLATTEN else too_much(_book(broker, data, resting))
        for order in [resting[place] for place in chosen if resting[place].info.get("role") != ROLE]:
            broker.cancel(order)
        if action is OnBreach.FLATTEN:
            _sell_all(strategy, data)


def _sell_all(strategy: bt.Strategy, data: Any) -> None:
    broker = strategy.broker
    size = broker.getposition(data).size
    if not size or any(order.info.get("role") == ROLE for order in _resting(broker, data)):
        return
    send = broker.sell if size > 0 else broker.buy
    send(strategy, data, abs(size), reason=broker.guard.reason, role=ROLE)


def _account(broker: GuardedBroker, data: BtData) -> AccountBook:
    """All symbols that are held, or that orders rest in, and this one."""
    by_data: dict[Any, list[Any]] = {data: []} | {each: [] for each, held in broker.holdings.held.items() if held.size}
    for order in _active(broker):
        by_data.setdefault(order.data, []).append(order)
    books = {each._name: _book(broker, each, orders) for each, orders in by_data.items() if len(each)}
    return AccountBook(equity=broker.get_value(), symbols=books)


def _book(broker: GuardedBroker, data: Any, orders: Iterable[Any]) -> Book:
    resting = [
        RestingOrder(size=float(o.executed.remsize), group=broker.group_of(o), protects=o.exectype in STOPS) for o in orders
    ]  # fmt: skip
    held = float(broker.holdings.held[data].size)
    return Book(held=held, price=float(data.close[0]), resting=resting, can_short=context_of(data).rules.can_short)


def _resting(broker: GuardedBroker, data: Any) -> list[Any]:
    return [order for order in _active(broker) if order.data is data]


def _active(broker: GuardedBroker) -> list[Any]:
    return [order for order in broker.may_execute() if is_in_force(order)]
