"""Contingent orders: brackets, whose children wait for their parent, and OCO groups, of which only one order is executed.

On a spot market two sell orders at the venue lock the same coins twice. So only one of them rests there, and the other waits here until the
market reaches its price; then the two change places. What waits here is in the journal before any order of its family is sent.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.broker_orders import is_expired
from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent, set_intent
from forwardtrader.live.bridge.contingent.groups import OrderGroups, is_reached, share_coins
from forwardtrader.live.bridge.contingent.missing_stops import TAKEN_BACK, MissingStops
from forwardtrader.live.bridge.contingent.partial_entries import PartialEntries
from forwardtrader.live.bridge.contingent.trailing_stops import TrailingStops
from forwardtrader.live.execution.events import NEVER_ARRIVED, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, floor_to, is_dust, on_tick
from forwardtrader.strategies.orders.entries import left_for_market
from forwardtrader.strategies.orders.families import TOO_LITTLE
from forwardtrader.strategies.orders.trailing_stops import STOPS

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_LOG: Final = log.logger("live")
_CANCELLED: Final = (bt.Order.Canceled, bt.Order.Expired)
_REFUSED: Final = (bt.Order.Rejected, bt.Order.Margin)
_ATTEMPTS: Final = 3
_FLOAT_NOISE: Final = Decimal("1e-9")


@dataclass(frozen=True)
class _Exchange:
    """An order at the venue makes room for `other`, and goes on here as `intent`."""

    other: LiveOrder
    intent: Intent


def at_market(intent: Intent) -> Intent:
    """What takes the place of an entry that rested; any other intent as it is."""
    if not intent.post_only:
        return intent
    return replace(intent, post_only="", expires=0, request=replace(intent.request, limit_price=None))


class ContingentOrders(OrderGroups):
    """Journals, sends, sizes and cancels children, siblings, and those that wait for the market."""

    def __init__(self, broker: CCXTBroker) -> None:
        super().__init__()
        self._broker = broker
        self._journalled: set[int] = set()  # orders that the journal holds as waiting here
        self._exchanges: dict[int, _Exchange] = {}  # by resting order
        self._attempts: dict[int, int] = {}  # by order: how often it was sent again
        self.parts = PartialEntries(self)
        self.trailing = TrailingStops(self, broker)
        self.missing = MissingStops(self, broker)

    def must_wait(self, order: LiveOrder) -> bool:
        """Whether a member of an OCO group waits here, since another one locks the same coins at a spot venue."""
        return order.parent is None and self.share_venue(order)

    # The journal

    @property
    def journal(self) -> Journal:
        return self._broker.journal

    def keep_back(self, order: LiveOrder) -> bool:
        """Keep an order here. It is durable at once, unless no order of its family was sent yet; False if it was made before."""
        parent = order.parent
        family_waits = not order.transmit if parent is None else self.is_held(parent)
        if not family_waits and not self._broker.journal.hold(known_intent(order)):
            return False
        self.hold(order, is_journalled=not family_waits)
        return True

    def hold(self, order: LiveOrder, *, is_journalled: bool = True) -> None:
        """Keep an order here that the journal holds, or will hold with its family."""
        super().hold(order)
        if is_journalled:
            self._journalled.add(order.ref)

    def is_anothers(self, order: LiveOrder) -> bool:
        """Whether the name of an order that waits here is that of one of an earlier process."""
        return order.ref not in self._journalled and self.journal.state_of(known_intent(order).client_id) is not None

    def write(self, order: LiveOrder) -> bool:
        """Make an order and those that wait for it durable, so that it may be sent; False if it was sent before."""
        journal, intent = self._broker.journal, known_intent(order)
        if order.ref in self._journalled:
            self._journalled.discard(order.ref)
            set_intent(order, self._broker.intents.released(self._broker, order, intent))
            return journal.release(known_intent(order))
        waiting = [child for child in self.children(order) if self.is_held(child) and child.ref not in self._journalled]
        if not journal.write(intent, [known_intent(child) for child in waiting]):
            return False  # those that go by these names are of an earlier process, and may rest: what becomes of these must not be theirs
        self._journalled |= {child.ref for child in waiting}
        return True

    def drop(self, order: LiveOrder, note: str) -> None:
        """Journal that an order that waited here is not sent; nothing for any other order."""
        if order.ref in self._journalled:
            self._journalled.discard(order.ref)
            self._broker.journal.mark(known_intent(order).client_id, IntentState.DROPPED, note=note)

    # What follows when an order is done

    def over(self, order: LiveOrder) -> None:
        """An order is alive no more: its children and siblings follow."""
        self.release(order)
        self.stay(order)
        self._attempts.pop(order.ref, None)
        self.trailing.forget(order)
        self.missing.forget(order)
        filled = abs(order.executed.size)
        children = self.children(order)
        left = filled - float(sum(map(self.taken, children), Decimal(0)))
        for child in children:
            if child.alive() and not self._broker.is_sent(child):
                self._activate(child, left) if filled else self._broker.cancel_now(child)
        self.parts.on_end(children)
        if filled and order.parent is not None:
            self._broker.cancel_now(order.parent)  # an entry that rests on after its position was closed
        is_gone = order.info.get("refusal") == TAKEN_BACK
        if is_gone or (order.status in _REFUSED and order.active() and not filled):
            self._protect_without(order)
        elif filled or order.parent is not None or order.status in _CANCELLED:
            for sibling in self.siblings(order):
                self._broker.cancel_now(sibling)

    def _protect_without(self, refused: LiveOrder) -> None:
        """A child of an executed parent, or one of an OCO group, was refused: the others stay, and one that waited behind it is sent."""
        for sibling in self.siblings(refused):
            is_due = sibling.alive() and self.is_held(sibling) and (sibling.parent is not None or sibling.transmit)
            if is_due and not any(self.rests(o) for o in self.siblings(sibling)):
                self._activate(sibling, self.left(sibling))

    def send_again(self, order: LiveOrder, reason: str) -> bool:
        """Whether an order that joins others, and that the venue does not have, is sent again: it must not be missing.

        One that never arrived is sent as it was, a stop that the market has passed as a market order; a stop that is refused otherwise, or
        too often, waits here for a while.
        """
        if not self._protects(order) or self._broker.is_cancelling(order):
            return False
        last = self._broker.store.last_price(order.data.symbol)
        is_passed = order.exectype in STOPS and is_reached(order, last) and not known_intent(order).triggered
        attempt = self._attempts[order.ref] = self._attempts.get(order.ref, 0) + 1
        if attempt > _ATTEMPTS or reason == TAKEN_BACK or not (reason == NEVER_ARRIVED or is_passed):
            if order.exectype in STOPS and (order.parent is not None or self._broker.units_held(order.data) * order.size < 0.0):
                if order.parent is not None:
                    self._broker.cancel_now(order.parent)  # it would add to what nothing protects
                return self.missing.keep(order, reason)
            return False
        log.event(_LOG, "order_sent_again", client_id=known_intent(order).client_id, triggered=is_passed, reason=reason)
        again = self.renewed(order, triggered=is_passed)
        self._broker.take_back(order, again)
        if order.parent is None:
            self.resize(order, again.request.size, self.untold(order))  # what the grid, grown since, cuts off is never executed
        self._broker.send(order)
        return True

    def is_remade(self, order: LiveOrder) -> bool:
        """Whether a stop that has ended, though we did not cancel it, waits here to be sent again. Others of a family end without taking
        the rest of it along."""
        if self._broker.journal.is_reported(known_intent(order).client_id) or not self._protects(order):
            return False
        order.addinfo(refusal=TAKEN_BACK)
        return order.exectype in STOPS and self.send_again(order, TAKEN_BACK)

    def _protects(self, order: LiveOrder) -> bool:
        """Whether the order takes a position back that is there, beside or instead of others, or is one that follows the market."""
        if order.parent is not None:
            return order.active() and (not order.parent.alive() or bool(order.parent.executed.size))
        intent, is_spot = known_intent(order), not context_of(order.data).rules.can_short
        return intent.trail is not None or (is_spot and intent.request.side is Side.SELL and bool(intent.group or self.siblings(order)))

    def renewed(self, order: LiveOrder, *, triggered: bool = False) -> Intent:
        """What is left of an order, under a client id of its own; of a child whose parent rests on, for what that delivered so far."""
        intent = self.trailing.as_moved(order)
        size = floor_to(self._remaining(order), context_of(order.data).rules.step)
        if order.parent is not None and order.parent.alive():
            size = self.parts.size_of(order)
        request = self._on_grid(replace(intent.request, size=size), order)
        name = self._broker.intents.unused_id(intent.bar) if intent.trail is None else self.trailing.name_of(order)
        return replace(
            intent, client_id=name, request=request, parent=self.parent_name(order), group=intent.group or self._own_group(order),
            triggered=triggered or self.trailing.is_triggered(order), replaces=intent.client_id,
        )  # fmt: skip

    @staticmethod
    def _on_grid(request: OrderRequest, order: LiveOrder) -> OrderRequest:
        """Its prices on the grid that the venue has now."""
        rules, side = context_of(order.data).rules, request.side
        stop, limit = (None if price is None else on_tick(price, rules, side) for price in (request.stop_price, request.limit_price))
        return replace(request, stop_price=stop, limit_price=limit)

    def _own_group(self, order: LiveOrder) -> str:
        """The name of the group that an order is the first one of."""
        return known_intent(order).client_id if order.parent is None and self.siblings(order) else ""

    # What the market reaches

    @property
    def reached(self) -> list[LiveOrder]:
        """Orders waiting here whose price the market has reached."""
        prices, watched = self._broker.store.prices, self._kept_back()
        return [order for order in watched if is_reached(order, prices.get(order.data.symbol)) and not self.missing.is_pausing(order)]

    @property
    def waits_for_market(self) -> bool:
        """Whether an order waits here until the market reaches its price."""
        return bool(self._kept_back())

    def _kept_back(self) -> list[LiveOrder]:
        watched = [order for order in self.watched() if order.parent is None or not order.parent.alive()]
        return [order for order in watched if order.ref not in self._broker.timed_out]

    def send_reached(self) -> None:
        """Send them, in place of the siblings that lock their coins; an entry that rests when its target is reached is over first."""
        for entry in self.parts.reached_targets(self._waiting.values(), self._broker.store.prices):
            self._broker.cancel_now(entry)
        for order in self.reached:
            resting = [o for o in self.siblings(order) if self.rests(o)]
            if any(o.ref in self._exchanges for o in resting):
                continue
            for sibling in resting:
                self.make_room(sibling, order)
            if not resting:
                self._send_reached(order)

    def make_room(self, resting: LiveOrder, other: LiveOrder) -> None:
        """Cancel an order at the venue, which waits here from then on; before that its place here is durable.

        One that makes room for itself is sent again as soon as it is off the venue, with the size and the price that it has now; an entry
        whose deadline is over, as a market order.
        """
        intent = self.renewed(resting)
        if resting is other:
            intent = at_market(intent)
        self._broker.journal.hold(intent)
        self._broker.cancel_now(resting)
        self._exchanges[resting.ref] = _Exchange(other, intent)

    def stay(self, order: LiveOrder) -> None:
        """An order does not wait here after its cancel: it is wanted no more."""
        exchange = self._exchanges.pop(order.ref, None)
        if exchange is not None:
            self._broker.journal.mark(exchange.intent.client_id, IntentState.DROPPED, note="canceled")

    def exchange(self, order: LiveOrder) -> bool:
        """An order that made room is off the venue: it waits here, and the other one is sent. False for any other order."""
        exchange = self._exchanges.get(order.ref)
        if exchange is None or not exchange.other.alive():
            return False
        del self._exchanges[order.ref]
        self._broker.take_back(order, exchange.intent)
        self.hold(order)
        if exchange.other is order and order.exectype == bt.Order.Limit and order.parent is None:
            self.go_to_market(order)
        elif exchange.other is order:
            self.parts.go_on(order)
        else:
            self._send_reached(exchange.other)
        return True

    def go_to_market(self, entry: LiveOrder) -> None:
        """Send what is left of an entry whose deadline is over, now that it is off the venue and all that it executed is known."""
        rules, late = context_of(entry.data).rules, self.untold(entry)
        size = left_for_market(self._remaining(entry), entry.created.price, rules)
        if not size or self._broker.entry_objection(entry.data):
            self._broker.cancel_now(entry)
            return
        self.resize(entry, size, late)
        entry.exectype, entry.valid = bt.Order.Market, None
        self.send_sized(entry, size)

    def is_making_room(self, order: LiveOrder) -> bool:
        """Whether an order is about to leave the venue."""
        return self.makes_room(order) or self._broker.is_cancelling(order)

    def makes_room(self, order: LiveOrder) -> bool:
        """Whether it leaves the venue to wait here."""
        return order.ref in self._exchanges

    def rests(self, order: LiveOrder) -> bool:
        """Whether an order is alive, and was sent to the venue."""
        return order.alive() and self._broker.is_sent(order)

    def go_on_as(self, order: LiveOrder, intent: Intent, *, instead: bool = False) -> None:
        """Have an order wait here as `intent`, which is durable first.

        Args:
            instead: its present intent waits here too, and is not sent.
        """
        self.journal.hold(intent)
        if instead:
            self.drop(order, "sent in parts")
        self._broker.take_back(order, intent)
        self.hold(order)

    def send_sized(self, order: LiveOrder, size: Decimal) -> None:
        """Send an order that waits here for `size` base units, whatever it asks for in all."""
        intent = known_intent(order)
        set_intent(order, replace(intent, request=replace(intent.request, size=size)))
        self.release(order)
        self._broker.send(order)

    def send_rest(self, order: LiveOrder) -> None:
        """Send a stop that waits here for what is left of its position; nothing while a sibling at a spot venue locks the coins."""
        if self.share_venue(order):
            return
        if order.parent is None and known_intent(order).trail is not None:
            self.trailing.go_on(order)
        else:
            self._activate(order, self.left(order), at_once=True)

    def share_venue(self, order: LiveOrder) -> bool:
        """Whether a sibling rests that locks the same coins at a spot venue."""
        is_spot_sell = order.issell() and not context_of(order.data).rules.can_short
        return is_spot_sell and any(self.rests(o) and o.issell() for o in self.siblings(order))

    def cancel(self, order: LiveOrder) -> None:
        """Take an order back."""
        self._broker.cancel_now(order)

    def complete(self, order: LiveOrder) -> None:
        """An order that waits here has nothing left to do, once it has been told of all that it executed."""
        if late := self.untold(order):
            self.drop(order, "executed in part")
            self.resize(order, Decimal(0), late)
        else:
            self._broker.complete(order)

    def _send_reached(self, order: LiveOrder) -> None:
        if order.exectype in STOPS:  # triggered here; a venue refuses a stop beyond the price
            set_intent(order, replace(known_intent(order), triggered=True))
        self._activate(order, self.left(order), at_once=True)

    # Sizes

    def left(self, order: LiveOrder) -> float:
        """What an order may still trade of the position: what its parent brought, or the order itself was to trade, less what it and its
        siblings did. Coins beyond that belong to others."""
        whole = order.parent.executed.size if order.parent is not None else order.size
        done = sum(map(self.taken, [order, *self.siblings(order)]), Decimal(0))
        return min(abs(self._broker.units_held(order.data)), max(0.0, abs(whole) - float(done)))

    def taken(self, order: LiveOrder) -> Decimal:
        """Base units that an order has executed, whether it was told so or not: what it sold is not sold again."""
        return max(decimal(abs(order.executed.size)), self._broker.booked(order))

    def untold(self, order: LiveOrder) -> Decimal:
        """Base units that an order has executed, and is still to be told of."""
        taken = self.taken(order)
        late = taken - decimal(abs(order.executed.size))
        return late if late > _FLOAT_NOISE * taken else Decimal(0)

    def _remaining(self, order: LiveOrder) -> Decimal:
        """Base units that an order may still execute."""
        return max(Decimal(0), decimal(abs(order.executed.remsize)) - self.untold(order))

    def _activate(self, child: LiveOrder, filled: float, *, at_once: bool = False) -> None:
        """Send a child, sized to what its parent filled."""
        rules = context_of(child.data).rules
        child.activate()
        size = self.sellable(child, decimal(filled))
        if is_dust(size, child.created.price, rules):
            self.complete(child) if self.taken(child) else self._broker.refuse(child, TOO_LITTLE)
            return
        self.resize(child, size, self.untold(child))
        siblings = self.children(child.parent) if child.parent is not None else []
        if is_expired(child, ahead=True):
            return  # no bar may execute it any more
        # A sibling may rest already: an earlier process exchanged the two, and its parent's fill is told once more.
        if at_once or not (share_coins(child, siblings, rules.can_short) or self.share_venue(child)):
            self.release(child)
            self._broker.send(child)

    def sellable(self, child: LiveOrder, size: Decimal) -> Decimal:
        """As much of `size` base units as an order has left, and the account to sell at a spot venue, on the venue's grid."""
        rules, size = context_of(child.data).rules, min(self._remaining(child), size)
        if child.issell() and not rules.can_short:
            size = min(size, decimal(self._broker.units_held(child.data)))
        return max(Decimal(0), floor_to(size, rules.step))

    @staticmethod
    def resize(order: LiveOrder, size: Decimal, late: Decimal = Decimal(0)) -> None:
        """Have an order ask for `size` base units, beside what was executed of it and `late`, which was and is still to be reported."""
        intent, sign = known_intent(order), 1 if order.isbuy() else -1
        set_intent(order, replace(intent, request=replace(intent.request, size=size)))
        order.executed.remsize = sign * float(size + late)
        order.size = order.executed.size + order.executed.remsize
