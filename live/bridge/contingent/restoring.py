"""Restoring: the orders of an earlier process as Backtrader orders again, with all that joins them.

What must not wait for the first bar is done at once: a stop whose parent was executed meanwhile is sent, and the sibling of an order that
was executed is cancelled. Notifications follow as events when the bars of the history are over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.core import log
from forwardtrader.core.types import MarketRules, Side
from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent, set_intent
from forwardtrader.live.bridge.contingent.families import Decided, KnownIntent, OrderChain, Step, chains_of, decide
from forwardtrader.live.bridge.data import CCXTData, as_number
from forwardtrader.live.execution.events import NEVER_ARRIVED, Ended, Intent, OrderKind, Refused, Trail, Unprotected
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.live.execution.reconciliation import position_of
from forwardtrader.strategies.order_rules import floor_to, is_dust
from forwardtrader.strategies.orders.entries import POST_ONLY

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_KINDS: Final = {
    OrderKind.MARKET: bt.Order.Market, OrderKind.LIMIT: bt.Order.Limit, OrderKind.STOP: bt.Order.Stop,
    OrderKind.STOP_LIMIT: bt.Order.StopLimit,
}  # fmt: skip
_LOG: Final = log.logger("live")
_TRAILING: Final = {OrderKind.STOP: bt.Order.StopTrail, OrderKind.STOP_LIMIT: bt.Order.StopTrailLimit}
Recorded = Mapping[str, tuple[Decimal, float]]  # client id to units and average price that the owner has recorded


def restore_orders(broker: CCXTBroker, opened: Iterable[tuple[Intent, Decimal, float]]) -> None:
    """Restore what was open or waited when an earlier process ended.

    Args:
        opened: what may have been executed since it was last recorded, with units and average price recorded before.
    """
    recorded = {intent.client_id: (filled, average) for intent, filled, average in opened}
    symbols = {data.symbol for data in broker.store.datas}
    for symbol in {intent.symbol for intent in broker.journal.held_intents()} - symbols:
        broker.store.notify(Unprotected(symbol, "orders of an earlier start wait for it, and it is not traded any more"))
    for data in broker.store.datas:
        _Restoring(broker, data, recorded).restore()


def restore_one(broker: CCXTBroker, intent: Intent) -> LiveOrder | None:
    """A new order for an intent whose own one is over, or was made elsewhere; None where its symbol has no feed."""
    data = next((each for each in broker.store.datas if each.symbol == intent.symbol), None)
    if data is None:
        return None
    order = restored_order(intent, data, Decimal(0), 0.0, broker.units_held(data))
    broker.adopt(order, [intent.client_id])
    return order


def restored_order(
    intent: Intent, data: CCXTData, filled: Decimal, average: float, held: float, parent: LiveOrder | None = None
) -> LiveOrder:
    """The accepted order of an intent of an earlier process, as a Backtrader order.

    Args:
        filled, average: base units executed, and their average price.
        held: base units in the account.
        parent: the order that must be executed first.
    """
    request = intent.request
    kind = BuyOrder if request.side is Side.BUY else SellOrder
    stop, limit = (None if p is None else float(p) for p in (request.stop_price, request.limit_price))
    order = kind(
        owner=None, data=data, size=float(request.size), price=stop or limit or 0.0, pricelimit=limit if stop else None,
        exectype=(_TRAILING if intent.trail is not None else _KINDS)[intent.kind], parent=parent, simulated=True,
    )  # fmt: skip
    order.p.simulated = False  # only its making needed that: there is no bar yet
    restored: LiveOrder = order
    restored.valid = as_number(intent.expires) if intent.expires else None
    restored.addinfo(reason=request.reason, role=intent.role, **({POST_ONLY: intent.post_only} if intent.post_only else {}))
    set_intent(restored, intent)
    if intent.trail is not None:
        _trail_on(restored, intent, intent.trail)
    restored.status = bt.Order.Accepted
    signed = float(filled) * (1 if restored.isbuy() else -1)
    restored.executed.remsize -= signed
    restored.executed.size, restored.executed.price, restored.executed.psize = signed, average, held
    return restored


def _trail_on(order: LiveOrder, intent: Intent, trail: Trail) -> None:
    """Give a trailing stop the prices that it was moved to."""
    stop, limit = intent.request.stop_price, intent.request.limit_price
    assert stop is not None
    order.created.price, order.created.pricelimit = float(stop), float(stop if limit is None else limit)
    order.trailamount, order.trailpercent, order._limitoffset = trail.amount, trail.percent, trail.offset
    order.triggered = intent.triggered


class _Restoring:
    """Restores the orders of one feed."""

    def __init__(self, broker: CCXTBroker, data: CCXTData, recorded: Recorded) -> None:
        self._broker = broker
        self._data = data
        self._recorded = recorded
        self._rules = broker.store.rules(data.symbol)  # feeds carry theirs once they have started
        self._chains = chains_of(known_intents(broker.journal, self._rules, recorded))
        self._made: dict[OrderChain, LiveOrder] = {}

    def restore(self) -> None:
        journal = self._broker.journal
        for chain in self._chains:
            for name in chain.superfluous:
                journal.mark(name, IntentState.DROPPED, note="canceled")
            if chain.rests and chain.superfluous:  # it was making room; the cancel may still come to the venue, or the list be an old one
                journal.want_again(chain.current.intent.client_id)
        decided = {each.chain: each for each in decide(self._chains, self._rules.can_short)}
        for chain in self._chains:
            if chain in decided or chain.names & self._recorded.keys():
                self._adopt(chain, decided.get(chain))
                if chain not in decided:  # over, whatever its last intent came to: it ends when it was told of its executions
                    self._broker.store.notify(Ended(chain.current.intent.client_id, "canceled"))
        for each in decided.values():
            self._act(each, self._made[each.chain])
            if each.chain.rests and each.chain.known[0].state is IntentState.DROPPED:  # sent for a part of its size
                self._broker.contingent.parts.restored.append(self._made[each.chain])

    def _adopt(self, chain: OrderChain, decided: Decided | None) -> None:
        """Make an order, and have the broker know it."""
        order = self._order(chain)
        if decided is not None and (chain.is_lost or chain.is_cut) and decided.step is not Step.DROP:
            self._renew(order, triggered=chain.is_cut)
        if decided is not None and not chain.rests and not (chain.is_lost and decided.step is Step.DROP):
            self._broker.contingent.hold(order)
        self._broker.adopt(order, chain.names)
        if decided is not None and decided.is_active:
            order.activate()

    def _order(self, chain: OrderChain) -> LiveOrder:
        """The order of a chain, made once, and joined to those that were made before it."""
        if chain in self._made:
            return self._made[chain]
        parent = self._chain_of(chain.first.parent)
        filled, average = self._recorded_of(chain)
        order = restored_order(
            _as_it_stands(chain),
            self._data,
            filled,
            average,
            self._broker.units_held(self._data),
            None if parent is None else self._order(parent),
        )
        self._made[chain] = order
        set_intent(order, chain.current.intent)
        if chain.first.post_only and not chain.current.intent.post_only:  # it went to the market
            order.exectype, order.valid = bt.Order.Market, None
        if not chain.is_alive and not chain.names & self._recorded.keys():
            order.status = _ended_as(chain)
        first = self._chain_of(chain.first.group)
        self._broker.contingent.add(order, None if first is None or first is chain else self._order(first))
        return order

    def _chain_of(self, name: str) -> OrderChain | None:
        return next((chain for chain in self._chains if name in chain.names), None) if name else None

    def _recorded_of(self, chain: OrderChain) -> tuple[Decimal, float]:
        """Units of an order that the owner has recorded, and their average price."""
        bits = [(self._recorded[name] if name in self._recorded else self._booked(name)) for name in chain.names]
        size = sum((size for size, _ in bits), Decimal(0))
        return size, sum(float(size) * price for size, price in bits) / float(size) if size else 0.0

    def _booked(self, name: str) -> tuple[Decimal, float]:
        fills = self._broker.journal.executions(name)
        size = sum((fill.size for fill in fills), Decimal(0))
        return size, float(sum((fill.size * fill.price for fill in fills), Decimal(0)) / size) if size else 0.0

    def _renew(self, order: LiveOrder, *, triggered: bool = False) -> None:
        """An order that never arrived, or was executed for a part, goes on under a client id that was not sent yet."""
        renewed = replace(self._successor(order), triggered=triggered)
        log.event(_LOG, "order_renewed", client_id=renewed.client_id, replaces=renewed.replaces)
        self._broker.journal.hold(renewed)
        self._broker.take_back(order, renewed)

    def _successor(self, order: LiveOrder) -> Intent:
        intent = known_intent(order)
        return replace(intent, client_id=self._broker.intents.unused_id(intent.bar), replaces=intent.client_id)

    def _act(self, decided: Decided, order: LiveOrder) -> None:
        chain, step = decided.chain, decided.step
        if step is Step.CANCEL:
            self._broker.cancel_now(order)
        elif step is Step.DROP and chain.is_held:
            self._end(order, "")
        elif step is Step.DROP and chain.is_lost:  # whoever found that out may have died before it reported it
            self._end(order, "" if chain.first.parent or chain.first.group else NEVER_ARRIVED)
        elif not chain.rests and decided.is_active and step in (Step.STAY, Step.SEND):
            self._go_on(decided, order)

    def _go_on(self, decided: Decided, order: LiveOrder) -> None:
        """Size an order that waits here to what its parent brought, and send it where it is to be sent."""
        chain, rules = decided.chain, self._rules
        left = chain.first.request.size - chain.executed
        if decided.size is not None:  # what its parent brought, less what was sold of that by other orders
            left = self._bounded(min(left, decided.size))
        size = floor_to(left, rules.step)
        if decided.is_part:
            if not is_dust(size, order.created.price, rules):
                self._send_part(order, size)
            return
        if is_dust(size, order.created.price, rules):
            self._end(order, "its parent filled too little")
            return
        self._broker.contingent.resize(order, size, chain.executed - self._recorded_of(chain)[0])
        if decided.step is Step.SEND:
            self._broker.contingent.release(order)
            self._broker.send(order)

    def _send_part(self, order: LiveOrder, size: Decimal) -> None:
        """Send a stop for what its parent, which rests on, has delivered so far."""
        contingent = self._broker.contingent
        if not known_intent(order).replaces:
            contingent.go_on_as(order, self._successor(order), instead=True)
        contingent.send_sized(order, size)

    def _bounded(self, size: Decimal) -> Decimal:
        """No more than there is to sell."""
        return size if self._rules.can_short else min(size, self._position())

    def _position(self) -> Decimal:
        return position_of(self._broker.journal.executions(), self._rules)

    def _end(self, order: LiveOrder, refusal: str) -> None:
        """An order that waited here is over; Backtrader is notified when the bars of the history are over."""
        name = known_intent(order).client_id
        self._broker.contingent.drop(order, refusal or "canceled")
        self._broker.store.notify(Refused(name, refusal) if refusal else Ended(name, "canceled"))


def known_intents(journal: Journal, rules: MarketRules, recorded: Recorded) -> list[KnownIntent]:
    """The intents of one symbol that are open or wait, and those that they are joined to, oldest first."""
    joined = [(intent, state) for intent, state in journal.joined_intents() if intent.symbol == rules.symbol]
    unsettled = (*OPEN, IntentState.HELD, IntentState.REFUSED)
    names = {intent.client_id for intent, state in joined if state in unsettled} | set(recorded)
    names |= {intent.client_id for intent, _ in joined} & set(journal.ended_unreported())
    before = 0
    while len(names) > before:  # a stop that is moved every day makes a long chain: each way through follows all of it
        before = len(names)
        for intent, _ in [*joined, *reversed(joined)]:
            names |= _joined_to(intent, names)
    return [_with_fills(journal, *found, rules) for found in journal.named(names) if found[0].symbol == rules.symbol]


def _joined_to(intent: Intent, names: set[str]) -> set[str]:
    """All names of a family that one of them belongs to."""
    family = {name for name in (intent.client_id, intent.parent, intent.group, intent.replaces) if name}
    return family if family & names else set()


def _with_fills(journal: Journal, intent: Intent, state: IntentState, note: str, rules: MarketRules) -> KnownIntent:
    fills = journal.executions(intent.client_id)
    executed = sum((fill.size for fill in fills), Decimal(0))
    fees = sum((fill.fee for fill in fills if fill.fee_currency == rules.base), Decimal(0))
    return KnownIntent(intent=intent, state=state, note=note, executed=executed, delivered=executed - fees)


def _as_it_stands(chain: OrderChain) -> Intent:
    """The first intent of an order, with the prices that it was moved to since."""
    first, current = chain.first, chain.current.intent
    if first.trail is None:
        return first
    prices = replace(first.request, stop_price=current.request.stop_price, limit_price=current.request.limit_price)
    return replace(first, request=prices, trail=current.trail, triggered=current.triggered)


def _ended_as(chain: OrderChain) -> int:
    if chain.is_full:
        return int(bt.Order.Completed)
    return int(bt.Order.Rejected if chain.current.state is IntentState.REFUSED else bt.Order.Canceled)
