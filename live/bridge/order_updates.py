"""Order updates: account events as Backtrader's order states, executions and notifications."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.core.errors import StorageFull
from forwardtrader.core.types import MarketRules
from forwardtrader.live.bridge.broker_orders import is_expired
from forwardtrader.live.bridge.bt_types import BtCommission, BtPosition, LiveOrder
from forwardtrader.live.bridge.contingent.protection import settle
from forwardtrader.live.bridge.data import CCXTData, as_number
from forwardtrader.live.execution.events import (
    UNPROTECTED,
    AccountEvent,
    Acknowledged,
    BalanceChanged,
    ClosedByVenue,
    Ended,
    Execution,
    Filled,
    ForeignOrder,
    FundingPaid,
    Halted,
    Protected,
    Refused,
    Replaced,
    RulesRead,
    StandsStill,
    Unprotected,
    Unresolved,
)
from forwardtrader.live.execution.reconciliation import effects_of
from forwardtrader.live.venue.perpetuals import DELISTING
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.feed_context import attach, context_of
from forwardtrader.strategies.orders.families import CAME_TO_NOTHING

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_LOG: Final = log.logger("live")
_FLOAT_NOISE: Final = 1e-9


class FundingByBar:
    """Funding of perpetuals in step with the bars, as in a backtest: each payment belongs to the bar that contains its settlement.

    Args:
        request: runs a request of the account.

    Attributes:
        coming: payments of bars that are still to come.
        is_due: whether funding is to be read, once the orders of the newest bar have left.
    """

    def __init__(self, request: Callable[[Coroutine[object, object, None]], object]) -> None:
        self._request = request
        self.coming: deque[FundingPaid] = deque()
        self.is_due = False

    def turn(self, broker: CCXTBroker, *, is_idle: bool, is_present: bool) -> None:
        """A turn of the broker: with a bar of the present, at which a position may be held, or, after that, an idle one."""
        account = broker.store.account
        if account is None or not account.trades_perpetuals:
            return
        if not is_idle:
            self.is_due = is_present and any(broker.getposition(data).size for data in broker.store.datas)
        elif self.is_due:
            self.is_due = False
            self._request(account.read_funding())


def handle_events(broker: CCXTBroker) -> None:
    """Apply what the account reported. What concerns a feed without any bar yet waits for one: Backtrader could not date it. An order that
    was taken back ahead of its time limit is told of by the first bar beyond that, as in a backtest.

    Raises:
        StorageFull: the account cannot write its journal any more.
    """
    waiting = deque([*broker.undated, *broker.ahead.values(), *broker.funding.coming])
    broker.undated, broker.funding.coming = deque(), deque()
    broker.ahead.clear()
    while waiting or broker.store.events:
        event = waiting.popleft() if waiting else broker.store.events.popleft()
        order = broker.order_of(getattr(event, "client_id", ""))
        undated = [data.symbol for data in broker.store.datas if not len(data)]
        if (event.execution.symbol if isinstance(event, Filled) else order.data.symbol if order is not None else "") in undated:
            broker.undated.append(event)
        elif isinstance(event, FundingPaid) and not _is_due(broker, event):
            broker.funding.coming.append(event)
        elif isinstance(event, Ended) and order is not None and _is_ahead(broker, order):
            broker.ahead[order.ref] = event
        else:
            handle_event(broker, event)


def _is_due(broker: CCXTBroker, event: FundingPaid) -> bool:
    """Whether the bar that contains a settlement, or a later one, is there: funding belongs to that bar, as in a backtest."""
    for data in broker.store.datas:
        if data.symbol == event.payment.symbol and len(data):
            ends = epoch_seconds(data.datetime[0]) + context_of(data).timeframe.seconds
            return event.payment.at < ends * 1000
    return True


def _is_ahead(broker: CCXTBroker, order: LiveOrder) -> bool:
    """Whether an order was taken off the venue for a time limit that the present bar is not beyond yet."""
    return broker.is_expiring(order) and not is_expired(order) and not broker.contingent.makes_room(order)


def handle_event(broker: CCXTBroker, event: AccountEvent) -> None:
    """Apply one account event to the broker and its orders.

    Raises:
        StorageFull: the account cannot write its journal any more.
    """
    if isinstance(event, Filled):
        if not _book(broker, event.execution):
            return
    elif isinstance(event, Acknowledged | Refused | Ended):
        _change_status(broker, event)
    elif isinstance(event, Replaced):
        _correct(broker, event)
    elif isinstance(event, Halted):
        broker.halted = event.reason
        broker.store.put_notification("halted", event.reason)
    elif isinstance(event, Unresolved):
        broker.store.put_notification("unresolved", event.client_id)
    elif isinstance(event, Unprotected):
        broker.unprotected[event.symbol] = event.reason
        broker.journal.remember(UNPROTECTED, broker.unprotected)
        broker.store.put_notification("unprotected", event.symbol, event.reason)
    elif isinstance(event, Protected):
        settle(broker, event)
    elif isinstance(event, StandsStill):
        broker.store.put_notification("stop stands still", event.symbol, event.what)
    elif isinstance(event, ForeignOrder):
        broker.store.put_notification("foreign order", event)
    elif isinstance(event, BalanceChanged):
        if event.asset == context_of(broker.store.datas[0]).rules.quote:
            broker.cash += float(event.change)
            broker.moved += float(event.change)
        broker.store.put_notification("balance changed", event)
    elif isinstance(event, FundingPaid):
        broker.cash += float(event.payment.amount)
        broker.store.put_notification("funding", event.payment)
    elif isinstance(event, ClosedByVenue):
        if event.kind == DELISTING:
            broker.store.unsafe[event.execution.symbol] = "the venue has ended the symbol, and closed what was held of it"
        broker.store.put_notification(event.kind, event.execution)
    elif isinstance(event, RulesRead):
        for changed in update_rules(broker.store.datas, event.rules):
            broker.store.put_notification("rules changed", changed)
    broker.on_event(event)
    if isinstance(event, Halted) and event.unwritable:
        raise StorageFull(event.reason)


def _change_status(broker: CCXTBroker, event: Acknowledged | Refused | Ended) -> None:
    _apply_status(broker, event)
    if not isinstance(event, Acknowledged):  # of a stop of which that is not known, the next start makes another one
        broker.journal.note_reported(event.client_id)


def _apply_status(broker: CCXTBroker, event: Acknowledged | Refused | Ended) -> None:
    order = broker.answered(event.client_id)
    if isinstance(event, Acknowledged) and (order is None or not order.alive()) and broker.is_open(event.client_id):
        order = broker.revive(event.client_id)
    if order is None or not order.alive():
        return
    if order.info.get("client_id") != event.client_id:  # it goes on under another one
        if isinstance(event, Acknowledged) and broker.is_open(event.client_id):  # the venue has it after all: one of the two is too many
            broker.cancel_intent(event.client_id)
        return
    if isinstance(event, Acknowledged):
        broker.contingent.missing.rests(order)
        _accept(broker, order)
        return
    if isinstance(event, Refused):
        if broker.contingent.send_again(order, event.reason):
            return
        order.addinfo(refusal=event.reason)
        order.margin() if event.margin else order.reject(broker)
        broker.count_refused(order, event.reason, CAME_TO_NOTHING.get(order.status, ""))
    elif broker.contingent.exchange(order) or broker.contingent.is_remade(order):
        return
    elif event.how == "expired" or broker.is_expiring(order):
        order.status = bt.Order.Expired
        broker.count_refused(order, "", CAME_TO_NOTHING[order.status])
    else:
        order.cancel()
    broker.notify(order)
    broker.over(order)


def _accept(broker: CCXTBroker, order: LiveOrder) -> None:
    if order.status == bt.Order.Submitted:
        order.accept(broker)
        broker.notify(order)


def _book(broker: CCXTBroker, fill: Execution) -> bool:
    """Book an execution on its order; False where there is no such order.

    One that comes after its order was over, as the venue had said, is booked all the same: it changed the account.
    """
    order = broker.order_of(fill.client_id)
    is_late = order is None or not order.alive()
    if is_late:
        order = broker.revive(fill.client_id)
    if order is None:
        log.event(_LOG, "execution_without_order", client_id=fill.client_id, trade_id=fill.trade_id)
        return False
    _accept(broker, order)
    position = broker.holdings.held[order.data]
    before = position.size
    broker.cash += execute(order, position, broker.getcommissioninfo(order.data), fill)
    broker.holdings.settle(order, order.data, before)
    broker.notify(order)
    if not order.alive():
        broker.over(order)
        if (name := str(order.info.get("client_id", ""))) != fill.client_id and broker.is_open(name):
            broker.cancel_intent(name)  # sent in the place of this one, which the venue had all the same
    elif is_late and not broker.is_open(fill.client_id):
        order.cancel()
        broker.notify(order)
        broker.over(order)
    else:
        broker.contingent.parts.on_fill(order)
    return True


def _correct(broker: CCXTBroker, event: Replaced) -> None:
    """Correct cash and position by what the real executions cost and delivered beyond the one that stood for them."""
    data = next((d for d in broker.store.datas if d.symbol == event.stand_in.symbol), None)
    if data is None:
        return
    rules, position = context_of(data).rules, broker.holdings.held[data]
    changes = {asset: -change for asset, change in effects_of(event.stand_in).items()}
    for each in event.executions:
        for asset, change in effects_of(each).items():
            changes[asset] = changes.get(asset, Decimal(0)) + change
    paid, delivered = float(changes.get(rules.quote, 0)), float(changes.get(rules.base, 0))
    broker.cash += paid
    size = position.size + delivered
    cost = position.size * position.price - paid if event.stand_in.side == "buy" else size * position.price
    position.fix(size, cost / size if size else 0.0)


def execute(order: LiveOrder, position: BtPosition, comminfo: BtCommission, fill: Execution) -> float:
    """Book `fill` on the order and its position; returns the change of cash in quote units. No I/O.

    A fee in base currency shrinks what is delivered and raises the price per unit accordingly, so that the money adds up; the gross
    figures are in `order.info`. The execution is stamped with the open time of the bar in which it happened; its own time, in
    milliseconds, is `order.info.executed_at`.
    """
    order.addinfo(executed_at=fill.at, trade_id=fill.trade_id)
    delivered, price, commission = _net_of_fee(order, fill)
    size = _without_noise(order, position, delivered)
    before = position.price
    psize, pprice, opened, closed = position.update(size, price)
    share = commission / abs(size)
    step = context_of(order.data).timeframe.seconds * 1000
    order.execute(
        as_number(fill.at - fill.at % step), size, price,
        closed, comminfo.getvaluesize(-closed, before) if closed else 0.0, share * abs(closed),
        opened, comminfo.getvaluesize(opened, price) if opened else 0.0, share * abs(opened),
        comminfo.margin, comminfo.profitandloss(-closed, before, price) if closed else 0.0, psize, pprice,
    )  # fmt: skip
    order.addcomminfo(comminfo)
    return -price * size - commission


def _net_of_fee(order: LiveOrder, fill: Execution) -> tuple[float, float, float]:
    """Signed units delivered, the price of each, and the fee in quote units; the gross figures are put on the order."""
    rules, sign = context_of(order.data).rules, 1.0 if fill.side == "buy" else -1.0
    gross, price, fee = float(fill.size), float(fill.price), float(fill.fee)
    if fill.fee_currency != rules.base or not fee:
        for name in ("gross_size", "gross_price", "fee_base"):
            order.info.pop(name, None)
        return sign * gross, price, fee if fill.fee_currency == rules.quote else 0.0
    size = sign * gross - fee
    order.executed.remsize -= sign * gross - size
    order.addinfo(gross_size=gross, gross_price=price, fee_base=fee)
    return size, price * gross / abs(size), 0.0


def _without_noise(order: LiveOrder, position: BtPosition, size: float) -> float:
    """The size of an execution; floats on a decimal grid add up to not quite zero, which must complete an order and close a position."""
    if abs(order.executed.remsize - size) < _FLOAT_NOISE * abs(size):
        order.executed.remsize = size
    if position.size and abs(position.size + size) < _FLOAT_NOISE * abs(size):
        order.executed.remsize += -position.size - size
        return -position.size
    return size


def update_rules(datas: Iterable[CCXTData], read: Iterable[MarketRules]) -> list[MarketRules]:
    """Put the grid and the smallest order that the venue has now on its feeds; returns what changed. Fees and the like stay."""
    found, changed = {rules.symbol: rules for rules in read}, []
    for data in datas:
        facts, now = context_of(data), found.get(context_of(data).rules.symbol)
        if now is None:
            continue
        rules = replace(
            facts.rules, tick=now.tick, step=now.step, min_size=now.min_size, min_notional=now.min_notional,
            max_market_size=now.max_market_size,
        )  # fmt: skip
        if rules != facts.rules:
            attach(data, replace(facts, rules=rules))
            changed.append(rules)
            log.event(_LOG, "rules_changed", symbol=rules.symbol, tick=str(rules.tick), step=str(rules.step))
    return changed
