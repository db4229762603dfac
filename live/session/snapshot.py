"""Snapshots of a paper session: what broker and strategy hold at the end of a bar, as plain values, and back.

With them a restart takes the same time after a day and after a year; without them every recorded bar is replayed. They serve
`LSTMStrategy`, whose indicators look back a fixed number of bars and whose state is known. Indicators of other strategies may remember
for ever (an exponential average does), so their bars are replayed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.live.session.paper_broker import PaperBroker
from forwardtrader.strategies.backtrader.strategy import FeedPositionManager, LSTMStrategy
from forwardtrader.strategies.orders.entries import POST_ONLY

VERSION: Final = 1
_DESK: Final = ("busy", "resting", "guarded", "too_small", "entering")
Snapshot = dict[str, Any]  # plain JSON values


def can_be_frozen(strategy: type[bt.Strategy]) -> bool:
    """Whether a snapshot holds all state of the class: only ours; a subclass may have more."""
    return strategy is LSTMStrategy


def freeze(strategy: bt.Strategy) -> Snapshot:
    """Broker, strategy and recorders after a bar; plain JSON values."""
    broker, recorders = strategy.broker, strategy.analyzers
    return {
        "version": VERSION,
        "cash": broker.cash,
        "starting_cash": broker.startingcash,
        "muted": broker.entries_blocked,
        "refused": broker.refused,
        # In the broker's own order: it adds their values up in it, and a sum of floats depends on that in its last bit.
        "positions": [[data._name, p.size, p.price] for data, p in broker.holdings.held.items()],
        "orders": [_order(order) for order in _known(broker)],
        "submitted": [order.ref for order in broker.submitted],
        "pending": [order.ref for order in broker.pending],
        "news": [[order.ref, order.status] for order in broker.notifs],
        "strategy": strategy.state(),
        "desks": {feed.manager.market.symbol: _manager_state(feed) for feed in strategy._feeds},
        "numbers": [recorders.fills.count, list(recorders.fills.numbers.items())],
        "told": [order.ref for order in _known(broker) if order.ref in recorders.orders.collected],
        **({} if broker.guard is None else {"limits": broker.guard.as_dict()}),
        **({} if broker.margin is None else {"margin": broker.margin.as_dict()}),
    }


def thaw(strategy: bt.Strategy, saved: Snapshot) -> None:
    """Restore a strategy and its broker, at the end of the same bar in another process."""
    broker, recorders = strategy.broker, strategy.analyzers
    datas = {data._name: data for data in strategy.datas}
    broker.cash, broker.startingcash, broker.entries_blocked = saved["cash"], saved["starting_cash"], saved["muted"]
    broker.refused = {symbol: _reasons(counted) for symbol, counted in saved["refused"].items()}
    broker.holdings.held.clear()
    for symbol, size, price in saved["positions"]:
        broker.holdings.held[datas[symbol]].fix(size, price)
    if broker.margin is not None and saved.get("margin") is not None:
        broker.margin.restore(saved["margin"])
    orders = {facts["ref"]: _made(facts, strategy, datas[facts["symbol"]]) for facts in saved["orders"]}
    broker.submitted = deque(orders[ref] for ref in saved["submitted"])
    broker.pending = deque(orders[ref] for ref in saved["pending"])
    broker.notifs = deque(_notification(orders[ref], status) for ref, status in saved["news"])
    broker.orders = [orders[ref] for ref in (*saved["pending"], *saved["submitted"])]
    for order in broker.orders:
        broker._ocoize(order, None)
        broker._pchildren[order.ref] = deque([order])
    strategy.restore(saved["strategy"])
    if broker.guard is not None and saved.get("limits") is not None:  # a session of an earlier version starts active
        broker.guard.restore(saved["limits"])
    for feed in strategy._feeds:
        _restore_manager(feed, saved["desks"][feed.manager.market.symbol], orders)
    recorders.fills.count, numbers = saved["numbers"]
    recorders.fills.numbers = {orders[ref].ref: number for ref, number in numbers if ref in orders}
    recorders.orders.collected = {orders[ref].ref for ref in saved["told"]}
    broker._get_value()


def _reasons(counted: Any) -> dict[str, int]:
    """How many orders were refused, by reason; earlier versions kept all of them under the first one, as `[count, reason]`."""
    return dict(counted) if isinstance(counted, dict) else {counted[1]: counted[0]}


def _known(broker: PaperBroker) -> list[bt.Order]:
    """Every order that is open, or has a notification pending."""
    known = {order.ref: order for order in (*broker.notifs, *broker.pending, *broker.submitted)}
    return [known[ref] for ref in sorted(known)]


def _order(order: bt.Order) -> Snapshot:
    made = order.created
    return {
        "ref": order.ref, "symbol": order.data._name, "buys": order.isbuy(), "kind": order.exectype, "size": abs(made.size),
        "at": made.dt, "price": made.price, "limit": made.pricelimit, "close": made.pclose, "status": order.status,
        "info": {key: value for key, value in order.info.items() if isinstance(value, str)},
        **({"entry": _entry(order)} if POST_ONLY in order.info else {}),
    }  # fmt: skip


def _entry(order: bt.Order) -> Snapshot:
    """What an entry that rests, or rested, has beside any other order."""
    done = order.executed
    return {
        "valid": order.valid, "left": done.remsize, "executed": [done.size, done.price, done.psize, done.dt, done.comm],
        "has_rested": getattr(order, "has_rested", False), "tried_at": getattr(order, "tried_at", None),
    }  # fmt: skip


def _made(facts: Snapshot, strategy: bt.Strategy, data: bt.feed.DataBase) -> bt.Order:
    kind = BuyOrder if facts["buys"] else SellOrder
    order = kind(owner=strategy, data=data, size=facts["size"], price=facts["price"], pricelimit=facts["limit"], exectype=facts["kind"])
    order.created.dt, order.created.price, order.created.pclose = facts["at"], facts["price"], facts["close"]
    order.addinfo(**facts["info"])
    order.addcomminfo(strategy.broker.getcommissioninfo(data))
    order.plen = len(data)
    order.status = facts["status"]
    if "entry" in facts:
        entry, done = facts["entry"], order.executed
        order.valid, done.remsize, order.has_rested, order.tried_at = (entry[k] for k in ("valid", "left", "has_rested", "tried_at"))
        done.size, done.price, done.psize, done.dt, done.comm = [*entry["executed"], 0.0][:5]
    return order


def _notification(order: bt.Order, status: int) -> bt.Order:
    clone = order.clone()
    clone.status = status
    return clone


def _manager_state(feed: FeedPositionManager) -> Snapshot:
    return {
        **{name: getattr(feed.manager, name) for name in _DESK},
        "behind": len(feed.clock) - feed.seen,
        "trade": feed.trade_ref,
        "stop": 0 if feed.stop_order is None else feed.stop_order.ref,
        "entry": 0 if feed.entry is None or not feed.entry.alive() else feed.entry.ref,
        "entry_price": feed.entry_price,
    }


def _restore_manager(feed: FeedPositionManager, saved: Snapshot, orders: Mapping[int, bt.Order]) -> None:
    for name in _DESK:
        setattr(feed.manager, name, saved.get(name, False))  # one of an earlier version has nothing that rests
    feed.seen = len(feed.clock) - saved["behind"]
    feed.trade_ref = orders[saved["trade"]].ref if saved["trade"] in orders else 0
    feed.stop_order, feed.entry = orders.get(saved["stop"]), orders.get(saved.get("entry", 0))
    feed.entry_price = saved.get("entry_price", 0.0 if feed.entry is None else feed.entry.created.price)
