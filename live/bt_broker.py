"""Backtrader's view of the account: the full life of an order, told by clones; value is cash and coins."""

from __future__ import annotations

import copy
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder
from backtrader.position import Position

from core import log
from core.errors import StorageFull
from core.types import OrderRequest, Side
from live.account_events import (
    AccountEvent,
    Acknowledged,
    Ended,
    Execution,
    ForeignOrder,
    Halted,
    Intent,
    Refused,
    RulesRead,
    Traded,
    Unresolved,
)
from live.bt_execution import execute
from live.bt_groups import Groups, is_reached, share_coins
from live.bt_recovery import Recovered, recover
from live.bt_rules import take_rules
from strategies.bars_frame import epoch_seconds
from strategies.bt_feed_facts import facts_of
from strategies.costs import VenueCommission
from strategies.orders import RawOrder, Refusal, floor_to, normalise

_LOG: Final = log.logger("live")
_STOPS: Final = (bt.Order.Stop, bt.Order.StopLimit)
_LIMITS: Final = (bt.Order.Limit, bt.Order.StopLimit)
_SENDABLE: Final = (None, bt.Order.Market, bt.Order.Close, bt.Order.Limit, bt.Order.Stop, bt.Order.StopLimit)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class CCXTBroker(bt.BrokerBase):
    """Made by `CCXTStore.getbroker`. Nothing here waits for the venue: orders are journalled, sent beside, and told of in `next`.

    Orders are refused while a feed delivers old bars. The limit of a bracket on a spot market waits here, since the stop holds the
    coins; it is sent when the market reaches it. Trailing orders are refused.

    Params:
        use_positions: coins in the account that the journal does not know count as a position, at the first price seen.
    """

    params = (("use_positions", True),)

    def __init__(self) -> None:
        super().__init__()
        self.store: Any = None
        self.cash = 0.0
        self.startingcash = 0.0
        self.halted = ""
        self.positions: dict[Any, Position] = defaultdict(Position)
        self.on_turn: Callable[[], None] | None = None  # called in turns of the loop that brought no bar
        self._seen = -1
        self.muted = False  # set by the session: no order may add exposure
        self._found: dict[str, Decimal] = {}
        self._notices: deque[Any] = deque()
        self._orders: dict[str, Any] = {}
        self._intents: dict[int, Intent] = {}
        self._leaving: set[int] = set()
        self._unanswered: set[str] = set()
        self._errands: set[Future[Any]] = set()  # at the account: what they find out was told before they are done
        self._expiring: set[int] = set()
        self._relay: dict[int, Any] = {}
        self._groups = Groups()
        self._counts: dict[int, int] = {}

    # Life

    def start(self) -> None:
        super().start()
        self.store.start(broker=self)
        found: Recovered = recover(self.store)
        self.cash = self.startingcash = found.cash
        self._found = found.coins if self.p.use_positions else {}
        for data in self.store._datas:
            held = found.positions.get(data.symbol)
            if held:
                self.positions[data].set(*held)
        for intent, filled, average in found.open:
            self._restore(intent, filled, average)
        self.store.loop.spawn(self.store.account.run())

    def next(self) -> None:
        if self._found:
            self._take_in()
        while self.store.events:
            self._hear(self.store.events.popleft())
        for order in self._groups.watched():
            if is_reached(order, self.store.prices.get(order.data.symbol)):
                self._send_watched(order)
        self._expire()
        seen = sum(len(data) for data in self.store._datas)
        if seen == self._seen and self.on_turn is not None:
            self.on_turn()
        self._seen = seen

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way: every order sent was answered, every cancel was heard of."""
        reached = any(is_reached(o, self.store.prices.get(o.data.symbol)) for o in self._groups.watched())
        # Errands first: an acknowledgement is heard before the executions that came with it are booked.
        return not (self._errands or self.store.events or self._unanswered or self._leaving or reached)

    # Account

    def getcash(self) -> float:
        return self.cash

    def getvalue(self, datas: Any = None) -> float:
        chosen = self.positions if datas is None else datas
        worth = sum(self.positions[data].size * data.close[0] for data in chosen if self.positions[data].size and len(data))
        return float(worth if datas is not None else self.cash + worth)

    get_cash, get_value = getcash, getvalue

    def getposition(self, data: Any, clone: bool = True) -> Position:
        return self.positions[data].clone() if clone else self.positions[data]

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        return [order.clone() if safe else order for order in self._orders.values() if order.alive()]

    def orderstatus(self, order: Any) -> int:
        return int(order.status)

    def add_order_history(self, orders: Any, notify: bool = False) -> None:
        """A live account has its own history."""

    def set_fund_history(self, fund: Any) -> None:
        """A live account has its own history."""

    def submit(self, order: Any) -> Any:
        return order

    def get_notification(self) -> Any:
        return self._notices.popleft() if self._notices else None

    def notify(self, order: Any) -> None:
        told = order.clone()
        told.info = copy.copy(order.info)
        self._notices.append(told)

    # Orders

    def buy(self, owner: Any, data: Any, size: float, *args: Any, **kwargs: Any) -> Any:
        return self._order(BuyOrder, owner, data, size, *args, **kwargs)

    def sell(self, owner: Any, data: Any, size: float, *args: Any, **kwargs: Any) -> Any:
        return self._order(SellOrder, owner, data, size, *args, **kwargs)

    def cancel(self, order: Any, bracket: bool = False) -> bool:
        """Take an order back; what is at the venue stays alive until the venue has said so."""
        order = next((o for o in self._orders.values() if o.ref == order.ref), order)
        if not order.alive():
            return False
        if self._groups.release(order) or order.ref not in self._intents:
            order.cancel()
            self.notify(order)
            self._over(order)
        elif order.ref not in self._leaving:
            self._leaving.add(order.ref)
            self._run_errand(self.store.account.cancel(self._intents[order.ref]))
        return True

    def sellable(self, data: Any, *, oco: Any = None, parent: Any = None) -> float:
        """Base units that a new sell order may have: held, and not locked by other sell orders at the venue."""
        held = float(self.positions[data].size)
        if parent is not None and parent.alive():
            held += float(parent.executed.remsize)
        group = {o.ref for o in (self._groups.siblings(oco) if oco is not None else [])} | ({oco.ref} if oco is not None else set())
        family = {o.ref for o in self._groups.children(parent)} if parent is not None else set()
        for order in self._orders.values():
            if order.data is data and order.issell() and order.alive() and order.ref not in self._leaving | group | family:
                held += float(order.executed.remsize) if not self._groups.is_held(order) else 0.0
        return held

    def _order(
        self, kind: Any, owner: Any, data: Any, size: float, price: float | None = None, plimit: float | None = None,
        exectype: int | None = None, valid: Any = None, tradeid: int = 0, oco: Any = None, trailamount: Any = None,
        trailpercent: Any = None, parent: Any = None, transmit: bool = True, histnotify: bool = False, _checksubmit: bool = True,
        **info: Any,
    ) -> Any:  # fmt: skip
        answer = self._answer(kind, data, size, price, plimit, exectype, oco, parent, info)
        if isinstance(answer, OrderRequest):
            size = float(answer.size)
            limit, stop = (None if p is None else float(p) for p in (answer.limit_price, answer.stop_price))
            price, plimit = (stop, limit) if exectype in _STOPS else (limit, None)
        order = kind(
            owner=owner, data=data, size=abs(size), price=price, pricelimit=plimit, exectype=exectype, valid=valid, tradeid=tradeid,
            parent=parent, transmit=transmit, histnotify=histnotify,
        )  # fmt: skip
        order.addinfo(**info)
        self._groups.add(order, oco)
        if isinstance(answer, Refusal):
            return self._refuse(order, answer.reason)
        return self._admit(order, answer)

    def _answer(
        self, kind: Any, data: Any, size: float, price: Any, plimit: Any, exectype: Any, oco: Any, parent: Any, info: dict[str, Any]
    ) -> OrderRequest | Refusal:
        side = Side.BUY if kind is BuyOrder else Side.SELL
        reason = self._objection(data, exectype, side, parent)
        if reason:
            return Refusal(reason)
        raw = RawOrder(
            side=side,
            size=abs(size),
            reference=data.close[0],
            limit_price=price if exectype == bt.Order.Limit else plimit if exectype == bt.Order.StopLimit else None,
            stop_price=price if exectype in _STOPS else None,
            reason=str(info.get("reason", "")),
        )
        return normalise(raw, facts_of(data).rules, sellable=self.sellable(data, oco=oco, parent=parent))

    def _objection(self, data: Any, exectype: Any, side: Side, parent: Any) -> str:
        if self.halted:
            return self.halted
        if exectype not in _SENDABLE:
            return "trailing orders cannot be left at a venue; move a stop order from bar to bar instead"
        if not data.is_current:
            return "the bar is old: the market has moved on"
        if self.muted and side is Side.BUY:
            return "the session is paused"
        if side is Side.BUY and (doubt := self.store.doubt_about(data.symbol)):
            return str(doubt)
        if parent is not None and not parent.alive():
            return "its parent order is not alive"
        return ""

    def _admit(self, order: Any, request: OrderRequest) -> Any:
        order.addinfo(request=request)
        if order.parent is None and order.transmit:
            self._send(order)
            return order
        self._groups.hold(order)
        if order.parent is not None:
            order.submit(self)
            self.notify(order)
            order.accept(self)
            self.notify(order)
            self._orders[f"held-{order.ref}"] = order
        if order.transmit and order.parent is not None and self._groups.release(order.parent):
            self._send(order.parent)
        return order

    def _send(self, order: Any) -> None:
        """Write the intent, then let it go; the venue's answer is heard in `next`."""
        bar = round(epoch_seconds(order.data.datetime[0]) * 1000)
        intent = Intent(client_id=self._client_id(bar), request=order.info.request, bar=bar, role=str(order.info.get("role", "")))
        order.addinfo(client_id=intent.client_id)
        if not self.store.journal.write(intent):
            self._refuse(order, "this decision was sent before the restart already")
            return
        self._orders.pop(f"held-{order.ref}", None)
        self._orders[intent.client_id] = order
        self._intents[order.ref] = intent
        if order.status == bt.Order.Created:
            order.submit(self)
            self.notify(order)
        self._unanswered.add(intent.client_id)
        self._run_errand(self.store.account.send(intent))

    def _run_errand(self, work: Coroutine[Any, Any, None]) -> None:
        errand = self.store.loop.spawn(work)
        self._errands.add(errand)
        errand.add_done_callback(self._errand_done)

    def _errand_done(self, errand: Future[Any]) -> None:
        self._errands.discard(errand)
        with self.store.wake:
            self.store.wake.notify_all()

    def _client_id(self, bar: int) -> str:
        number = self._counts[bar] = self._counts.get(bar, 0) + 1
        return f"{self.store.run[:16]}-{_base36(bar // 1000)}-{number}"

    def _refuse(self, order: Any, reason: str) -> Any:
        order.addinfo(refusal=reason)
        order.reject(self)
        self.notify(order)
        log.event(_LOG, "order_refused", symbol=order.data.symbol, size=order.size, refusal=reason)
        self._over(order)
        return order

    # News of the account

    def _hear(self, event: AccountEvent) -> None:
        if isinstance(event, Acknowledged | Refused | Ended):
            self._unanswered.discard(event.client_id)
        if isinstance(event, Traded):
            self._execute(event.execution)
        elif isinstance(event, Acknowledged | Refused | Ended):
            order = self._orders.get(event.client_id)
            if order is not None and order.alive():
                self._change(order, event)
        elif isinstance(event, Halted):
            self.halted = event.reason
            self.store.put_notification("halted", event.reason)
            if event.unwritable:
                raise StorageFull(event.reason)
        elif isinstance(event, Unresolved):
            self.store.put_notification("unresolved", event.client_id)
        elif isinstance(event, ForeignOrder):
            self.store.put_notification("foreign order", event)
        elif isinstance(event, RulesRead):
            for changed in take_rules(self.store._datas, event.rules):
                self.store.put_notification("rules changed", changed)

    def _change(self, order: Any, event: Acknowledged | Refused | Ended) -> None:
        if isinstance(event, Acknowledged):
            if order.status == bt.Order.Submitted:
                order.accept(self)
                self.notify(order)
            return
        if isinstance(event, Refused):
            order.addinfo(refusal=event.reason)
            order.margin() if event.margin else order.reject(self)
        elif event.how == "expired" or order.ref in self._expiring:
            order.status = bt.Order.Expired
        else:
            order.cancel()
        self._leaving.discard(order.ref)
        self.notify(order)
        self._over(order)

    def _execute(self, told: Execution) -> None:
        order = self._orders.get(told.client_id)
        if order is None:
            log.event(_LOG, "execution_without_order", client_id=told.client_id, trade_id=told.trade_id)
            return
        if order.status == bt.Order.Submitted:
            order.accept(self)
            self.notify(order)
        self.cash += execute(order, self.positions[order.data], self._commission(order.data), told)
        self.notify(order)
        if not order.alive():
            self._leaving.discard(order.ref)
            self._over(order)

    def _commission(self, data: Any) -> Any:
        info = self.getcommissioninfo(data)
        return info if data._name in self.comminfo else VenueCommission(commission=0.0)

    # Orders that belong together

    def _over(self, order: Any) -> None:
        """An order is alive no more: its children and siblings follow."""
        self._groups.forget(order)
        self._orders.pop(f"held-{order.ref}", None)
        filled = abs(order.executed.size)
        for child in self._groups.children(order):
            if child.alive():
                self._activate(child, filled) if filled else self.cancel(child)
        relay = self._relay.pop(order.ref, None)
        if relay is not None and relay.alive() and order.status != bt.Order.Completed:
            self._activate(relay, abs(self.positions[order.data].size), at_once=True)
            return
        if filled or order.parent is not None:
            for sibling in self._groups.siblings(order):
                self.cancel(sibling)

    def _activate(self, child: Any, filled: float, *, at_once: bool = False) -> None:
        """Send a child, sized to what its parent filled."""
        rules = facts_of(child.data).rules
        child.activate()
        size = floor_to(min(Decimal(str(abs(child.executed.remsize))), Decimal(f"{filled:.12f}")), rules.step)
        if not size:
            self._refuse(child, "its parent filled too little")
            return
        request: OrderRequest = child.info.request
        sized = OrderRequest(
            symbol=request.symbol, side=request.side, size=size, limit_price=request.limit_price, stop_price=request.stop_price,
            reason=request.reason,
        )  # fmt: skip
        child.addinfo(request=sized)
        child.created.size = child.size = child.executed.remsize = float(size) * (1 if child.isbuy() else -1)
        if at_once or not share_coins(child, self._groups.children(child.parent), rules.can_short):
            self._groups.release(child)
            self._send(child)

    def _send_watched(self, order: Any) -> None:
        stops = [o for o in self._groups.siblings(order) if o.alive() and o.ref in self._intents]
        if any(o.ref in self._relay for o in stops):
            return
        for stop in stops:
            self._relay[stop.ref] = order
            self.cancel(stop)
        if not stops:
            self._activate(order, abs(self.positions[order.data].size), at_once=True)

    def _expire(self) -> None:
        """Time limits count in bar time, as in a backtest."""
        for order in list(self._orders.values()):
            timed = order.alive() and isinstance(order.valid, float) and order.valid and len(order.data)
            if timed and order.data.datetime[0] > order.valid and order.ref not in self._expiring:
                self._expiring.add(order.ref)
                self.cancel(order)

    # What was there before

    def _take_in(self) -> None:
        for data in self.store._datas:
            coins = self._found.get(facts_of(data).rules.base)
            if coins and len(data):
                del self._found[facts_of(data).rules.base]
                if not self.positions[data].size:
                    self.positions[data].set(float(coins), data.close[0])

    def _restore(self, intent: Intent, filled: Decimal, average: float) -> None:
        data = next((d for d in self.store._datas if d.symbol == intent.symbol), None)
        if data is None:
            return
        request = intent.request
        kind = BuyOrder if request.side is Side.BUY else SellOrder
        stop, limit = (None if p is None else float(p) for p in (request.stop_price, request.limit_price))
        exectype = {(True, True): bt.Order.StopLimit, (True, False): bt.Order.Stop, (False, True): bt.Order.Limit}
        order = kind(
            owner=None, data=data, size=float(request.size), price=stop or limit or 0.0, pricelimit=limit if stop else None,
            exectype=exectype.get((stop is not None, limit is not None), bt.Order.Market), simulated=True,
        )  # fmt: skip
        order.p.simulated = False  # only its making needed that: there is no bar yet
        order.addinfo(client_id=intent.client_id, request=request, reason=request.reason, role=intent.role)
        order.status = bt.Order.Accepted
        order.executed.remsize -= float(filled) * (1 if order.isbuy() else -1)
        order.executed.size, order.executed.price = float(filled) * (1 if order.isbuy() else -1), average
        self._orders[intent.client_id] = order
        self._intents[order.ref] = intent


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
