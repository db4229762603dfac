"""The live broker: checks, journals and sends orders, and updates them as the account reports."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.core import log
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.account_view import AccountView
from forwardtrader.live.bridge.broker_orders import is_expired
from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent, set_intent
from forwardtrader.live.bridge.contingent.groups import GroupKey
from forwardtrader.live.bridge.contingent.orders import ContingentOrders
from forwardtrader.live.bridge.contingent.protection import RESUMED, look_at_unprotected
from forwardtrader.live.bridge.contingent.restoring import restore_one, restore_orders
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.bridge.intents import Intents
from forwardtrader.live.bridge.order_dispatch import OrderDispatch
from forwardtrader.live.bridge.order_updates import FundingByBar, handle_events
from forwardtrader.live.bridge.pre_trade_checks import OrderTicket, blocked, check, entry_objection, limited
from forwardtrader.live.bridge.recovery import recover
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import COMMANDED, FORCED, UNPROTECTED, AccountEvent, Intent, Protected, Refused, Unprotected
from forwardtrader.live.execution.journal import OPEN, Journal
from forwardtrader.live.execution.reconciliation import effects_of
from forwardtrader.strategies.backtrader.cheating import refuse_cheating
from forwardtrader.strategies.feed_context import traded
from forwardtrader.strategies.order_rules import OrderRefusal
from forwardtrader.strategies.orders.entries import POST_ONLY, Then
from forwardtrader.strategies.orders.families import FAMILY_REFUSED, family_refusal, is_kept_back
from forwardtrader.strategies.orders.trailing_stops import STOPS, TRAILING, begin

if TYPE_CHECKING:
    from forwardtrader.live.bridge.store import CCXTStore

_LOG: Final = log.logger("live")
_AT_ONCE: Final = (None, bt.Order.Market, bt.Order.Close)


class CCXTBroker(AccountView):
    """Made by `CCXTStore.getbroker`. Nothing here waits for the venue: orders are journalled, sent, and updated in `next`.

    Orders are refused, and cancels ignored, while a feed delivers old bars. The limit of a bracket on a spot market waits here, since the
    stop locks the coins, and so does the second sell order of an OCO group; it is sent when the market reaches it. What waits here is in
    the journal, and waits again after a restart. A trailing stop rests as a stop order, which is moved from bar to bar.

    Params:
        use_positions: coins in the account that the journal does not know count as a position, at the first price seen.
    """

    params = (("use_positions", True),)
    store: CCXTStore  # set by the store
    intents: Intents  # once started

    def __init__(self) -> None:
        super().__init__()
        self.halted = ""
        self.entries_blocked = False  # set by the session: no order may add exposure
        self.on_turn: Callable[[], None] | None = None  # called in turns of the loop that brought no bar
        self.on_event: Callable[[AccountEvent], None] = lambda _event: None  # receives account events, and refusals while halted
        self.contingent = ContingentOrders(self)
        self.dispatch = OrderDispatch(self)
        self.together = self.dispatch.together  # orders of one decision
        self._unassigned: dict[str, Decimal] = {}  # coins found at the start, until their feed has a price
        self._unanswered: set[str] = set()
        self._cancelling: set[int] = set()
        self._expiring: set[int] = set()
        self.unprotected: dict[str, str] = {}  # symbols that take no new exposure, since an order that protects a position is missing
        self.undated: deque[AccountEvent] = deque()  # of orders on feeds that have no bar yet
        self.ahead: dict[int, AccountEvent] = {}  # of expired orders, by reference: told with the bar that is beyond the time limit
        self.funding = FundingByBar(self.dispatch.request)
        self.timed_out: set[int] = set()  # references of orders that no bar to come may execute, as of the newest turn
        self._seen = -1
        self._is_live = False

    # Life

    def start(self) -> None:
        refuse_cheating(self)
        super().start()
        self.contingent.missing.closes = self.store.closes_unprotected
        self.store.start(broker=self)
        rules = [self.store.rules(symbol) for symbol in self._account.symbols]
        found = recover(self._account, rules, self.store, sells_any_coins=self.p.use_positions)
        self.intents = Intents(self.store.run, self.journal)
        self.cash = self.startingcash = found.cash
        self._unassigned = found.coins if self.p.use_positions else {}
        for data in self.store.datas:
            held = found.positions.get(data.symbol)
            if held:
                self.holdings.held[data].set(*held)
        self.unprotected = self.journal.recall(UNPROTECTED, {})
        for symbol, reason in self.unprotected.items():
            self.store.notify(Unprotected(symbol, reason))  # at every start, until it is settled
        restore_orders(self, found.open)

    def next(self) -> None:
        if self._seen < 0:  # the strategy has been made since the start
            refuse_cheating(self)
        if self._unassigned:
            self.assign_coins(self._unassigned, self.store.datas)
        seen = self.store.bars_seen
        is_idle, self._seen = seen == self._seen, seen
        is_present = self._is_present(is_idle)
        if is_present:
            handle_events(self)
        self.timed_out = {order.ref for order in self._orders.alive if is_expired(order, ahead=True)}
        self.contingent.trailing.follow()
        if is_present:
            self.contingent.parts.look_at_restored()
            look_at_unprotected(self)
            self.contingent.trailing.place()
            self.contingent.missing.send_due()
        self.contingent.send_reached()
        self._expire(is_idle=is_idle)
        self.funding.turn(self, is_idle=is_idle, is_present=is_present)
        if is_idle and self.on_turn is not None:
            self.on_turn()

    def rearm(self) -> None:
        """Send orders again after a halt; cancels that it kept from the venue may be sent again."""
        self.halted = ""
        if self.guard is not None:
            self.guard.rearm()
        self.contingent.missing.rearm()
        for symbol in self.unprotected:
            self.store.notify(Protected(symbol, RESUMED))
        self.unprotected.clear()
        self.journal.remember(UNPROTECTED, {})
        self._cancelling.clear()
        self.store.loop.spawn(self._account.rearm())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is in flight: every order sent was answered, every cancel confirmed, every market order executed."""
        # Requests first: an acknowledgement is queued before the executions that came with it are booked.
        if self.dispatch.pending or self.store.events or self.undated or self._unanswered or self._cancelling - self.ahead.keys():
            return False
        if self.contingent.reached or self.funding.is_due:
            return False
        # Some venues acknowledge a market order first and report its executions later.
        return not any(order.exectype in _AT_ONCE and self._is_awaited(order) for order in self._orders.alive if self.is_sent(order))

    def _is_awaited(self, order: LiveOrder) -> bool:
        """Whether nothing was executed of an order yet; of an entry that rested before, nothing of what went to the market."""
        if POST_ONLY not in order.info:
            return not order.executed.size
        return not self.journal.filled(known_intent(order).client_id)

    @property
    def journal(self) -> Journal:
        return self._account.journal

    @property
    def _account(self) -> CcxtAccount:
        assert self.store.account is not None, "the store was not started"
        return self.store.account

    def _is_present(self, is_idle: bool) -> bool:
        """Whether the bars of the history are over: what was executed since an earlier process ended comes after them."""
        self._is_live = self._is_live or is_idle or any(data.is_current for data in self.store.datas)
        return self._is_live

    # Orders

    def buy(self, *args: Any, **kwargs: Any) -> LiveOrder:
        return self._order(Side.BUY, *args, **kwargs)

    def sell(self, *args: Any, **kwargs: Any) -> LiveOrder:
        return self._order(Side.SELL, *args, **kwargs)

    def _order(
        self, side: Side, owner: object, data: CCXTData, size: float, price: float | None = None, plimit: float | None = None,
        exectype: int | None = None, valid: object = None, tradeid: int = 0, oco: LiveOrder | None = None, trailamount: float | None = None,
        trailpercent: float | None = None, parent: LiveOrder | None = None, transmit: bool = True, histnotify: bool = False,
        _checksubmit: bool = True, **info: object,
    ) -> LiveOrder:  # fmt: skip
        """Check an order and send it, or keep it here while it waits for others; arguments as Backtrader gives them."""
        data = traded(data)
        new = OrderTicket(
            side=side, data=data, size=size, price=price, plimit=plimit, exectype=exectype, oco=oco, parent=parent,
            reason=str(info.get("reason", "")), role=str(info.get("role", "")), trailamount=trailamount, trailpercent=trailpercent,
        )  # fmt: skip
        answer = check(self, new)
        if isinstance(answer, OrderRequest):
            size = float(answer.size)
            limit, stop = (None if p is None else float(p) for p in (answer.limit_price, answer.stop_price))
            if exectype not in TRAILING:
                price, plimit = (stop, limit) if exectype in STOPS else (limit, None)
        order: LiveOrder = (BuyOrder if side is Side.BUY else SellOrder)(
            owner=owner, data=data, size=abs(size), price=price, pricelimit=plimit, exectype=exectype, valid=valid, tradeid=tradeid,
            parent=parent, transmit=transmit, histnotify=histnotify, trailamount=trailamount, trailpercent=trailpercent,
        )  # fmt: skip
        if exectype in TRAILING:
            begin(order)
        order.addinfo(**info)
        self.contingent.add(order, oco)
        if isinstance(answer, OrderRefusal):
            return self.refuse(order, answer.reason, answer.counted_as)
        if limit_reached := limited(self, new, answer):
            return self.refuse(order, limit_reached, "")  # counted by the account's limits
        if block := blocked(self, new, answer):
            return self.refuse(order, block)
        set_intent(order, self.intents.made(self, order, answer))
        if parent is not None or not transmit or self.contingent.must_wait(order) or is_expired(order, ahead=True):
            return self._hold(order)
        return self.send(order)

    def send(self, order: LiveOrder) -> LiveOrder:
        """Journal the intent of an order, and with it those that wait for it, then post it; the answer is handled in `next`."""
        if not self.contingent.write(order):
            return self.refuse(order, "this decision was sent before the restart already")
        intent = known_intent(order)
        self._unanswered.add(intent.client_id)
        self.dispatch.post(intent, self._account.send)
        self._orders.keep(order, intent)
        if order.status == bt.Order.Created:
            order.submit(self)
            self.notify(order)
        return order

    def take_back(self, order: LiveOrder, intent: Intent) -> None:
        """An order is off the venue, and waits here as `intent` from now on."""
        set_intent(order, intent)
        self._cancelling.discard(order.ref)
        self._orders.take_back(order)
        self._orders.name(order, intent.client_id)

    def adopt(self, order: LiveOrder, names: Iterable[str]) -> None:
        """Take over an order of an earlier process: one that rests at the venue, or waits here."""
        self._orders.keep(order, None if self.contingent.is_held(order) else known_intent(order))
        for name in names:
            self._orders.name(order, name)

    def _hold(self, order: LiveOrder) -> LiveOrder:
        """Keep an order here; one that transmits its parent has that sent."""
        if not self.contingent.keep_back(order):
            return self.refuse(order, "this decision was made before the restart already")
        if order.parent is not None or order.transmit:
            order.submit(self)
            self.notify(order)
            order.accept(self)
            self.notify(order)
            self._orders.keep(order)
            if not self.contingent.is_anothers(order):
                self._orders.name(order, known_intent(order).client_id)
        if order.transmit and order.parent is not None and self.contingent.release(order.parent):
            self.send(order.parent)
        return order

    def cancel(self, order: LiveOrder, bracket: bool = False) -> bool:
        """Cancel an order, unless the present bar is one of the history: after a restart that was decided on long ago."""
        return not (order.data.is_past and self.is_sent(order)) and self.cancel_now(order)

    def cancel_now(self, order: LiveOrder) -> bool:
        """Cancel an order, whatever the bar; one at the venue stays alive until the venue confirms."""
        own = self._orders.own(order) or (order if self.contingent.is_held(order) else None)
        if own is None or not own.alive():
            return False
        self.contingent.stay(own)
        intent = self._orders.sent_as(own)
        if self.contingent.release(own) or intent is None:
            self.contingent.drop(own, "canceled")
            if self.is_expiring(own):
                own.status = bt.Order.Expired
            else:
                own.cancel()
            self.notify(own)
            self.over(own)
        elif own.ref not in self._cancelling:
            self._cancelling.add(own.ref)
            self.dispatch.post_before_cancel(intent)
            self.dispatch.request(self._account.cancel(intent))
        return True

    def refuse(self, order: LiveOrder, reason: str, kind: str | None = None) -> LiveOrder:
        """Reject an order here; it is counted by its reason, or by `kind`, where that is not empty."""
        if kind != "":
            self.count_refused(order, reason, kind or "")
        order.addinfo(refusal=reason)
        self.contingent.drop(order, reason)
        order.reject(self)
        self.notify(order)
        log.event(_LOG, "order_refused", symbol=order.data.symbol, size=order.size, refusal=reason)
        if self.halted:
            self.on_event(Refused("", reason))
        self.over(order)
        if order.parent is not None and is_kept_back(order.parent):
            self.refuse(order.parent, family_refusal(reason), FAMILY_REFUSED)
        return order

    def cancel_intent(self, client_id: str) -> None:
        """Cancel what rests under a client id, whatever its order is at."""
        if (intent := self.journal.intent(client_id)) is not None:
            self.dispatch.request(self._account.cancel(intent))

    def complete(self, order: LiveOrder) -> None:
        """An order that waits here has nothing left to do: what it was to sell was sold."""
        self.contingent.drop(order, "executed in part")
        order.completed()
        self.notify(order)
        self.over(order)

    # What account events do

    def order_of(self, client_id: str) -> LiveOrder | None:
        """The order that the venue knows as `client_id`; None where it is not one of this run."""
        return self._orders.of_client_id(client_id) or self._commanded(client_id)

    def _commanded(self, client_id: str) -> LiveOrder | None:
        """The order of a control command that was carried out while the strategy hung, or of the venue: known from its first event on."""
        intent = self._account.journal.intent(client_id)
        return restore_one(self, intent) if intent is not None and intent.role in (COMMANDED, FORCED) else None

    def answered(self, client_id: str) -> LiveOrder | None:
        """As `order_of`; the venue has answered for the order."""
        self._unanswered.discard(client_id)
        return self.order_of(client_id)

    def is_open(self, client_id: str) -> bool:
        """Whether the journal says that the order may still be executed."""
        return self.journal.state_of(client_id) in OPEN

    def booked(self, order: LiveOrder) -> Decimal:
        """Base units that the journal has of an order: more than the order itself knows, while events of executions are on their way."""
        base = self.store.rules(order.data.symbol).base
        executions = (e for name in self._orders.names_of(order) for e in self.journal.executions(name))
        return abs(sum((effects_of(e).get(base, Decimal(0)) for e in executions), Decimal(0)))

    def revive(self, client_id: str) -> LiveOrder | None:
        """A new order for an intent whose own one is over or forgotten; None where there is no such intent, or no feed of its symbol."""
        intent = self.journal.intent(client_id)
        return None if intent is None else restore_one(self, intent)

    def may_execute(self) -> list[LiveOrder]:
        """The orders that may still be executed, those included that wait here; not those whose cancel is under way."""
        return [order for order in self.get_orders_open() if not self.is_cancelling(order)]

    def group_of(self, order: LiveOrder) -> GroupKey:
        """Equal for orders of which only one is executed."""
        return self.contingent.group_of(order)

    def group_joined(self, oco: LiveOrder | None, parent: LiveOrder | None) -> GroupKey | None:
        """The group that a new order joins by its sibling or parent; None where it stands alone."""
        if oco is not None:
            return self.contingent.group_of(oco)
        return None if parent is None else self.contingent.family_of(parent)

    def is_sent(self, order: LiveOrder) -> bool:
        """Whether the order is, or was, at the venue."""
        return self._orders.sent_as(order) is not None

    def is_cancelling(self, order: LiveOrder) -> bool:
        """Whether its cancel was sent and not confirmed yet; not for one that makes room, and goes on."""
        return order.ref in self._cancelling and not self.contingent.makes_room(order)

    def is_expiring(self, order: LiveOrder) -> bool:
        """Whether it was cancelled for its time limit."""
        return order.ref in self._expiring

    def over(self, order: LiveOrder) -> None:
        """An order is alive no more."""
        self._cancelling.discard(order.ref)
        self._expiring.discard(order.ref)
        self.ahead.pop(order.ref, None)
        self._orders.over(order)
        self.contingent.over(order)

    def entry_objection(self, data: CCXTData) -> str:
        """Why an entry that rested must not go to the market; "" where it may."""
        return self.halted or entry_objection(self, data)

    def _expire(self, *, is_idle: bool) -> None:
        """Take orders back whose time limit is over; from the venue once the strategy is done with the last bar that may execute them."""
        for order in self._orders.alive:
            hands_over = order.info.get(POST_ONLY) == Then.MARKET  # before the strategy decides on that bar, as in a backtest
            is_due = is_expired(order) or (order.ref in self.timed_out and (hands_over or (is_idle and self.is_sent(order))))
            if not is_due or order.ref in self._expiring:
                continue
            self._expiring.add(order.ref)
            if hands_over and self.is_sent(order):
                self.contingent.make_room(order, order)
            else:
                self.cancel(order)
