"""Backtrader's view of the account: the full life of an order, told by clones; value is cash and coins."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from decimal import Decimal
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.core import log
from forwardtrader.core.types import OrderRequest
from forwardtrader.live.bridge.contingent_orders import Families
from forwardtrader.live.bridge.open_orders import OrderBook
from forwardtrader.live.bridge.order_updates import hear
from forwardtrader.live.bridge.pre_trade_checks import STOPS, admitted
from forwardtrader.live.bridge.recovery import Recovered, recover
from forwardtrader.live.bridge.restored_order import restored_order
from forwardtrader.live.execution.events import AccountEvent, Intent, Refused
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.holdings import Holdings
from forwardtrader.strategies.order_rules import OrderRefusal

_LOG: Final = log.logger("live")
_ON_ITS_WAY_S: Final = 0.02
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class CCXTBroker(bt.BrokerBase):
    """Made by `CCXTStore.getbroker`. Nothing here waits for the venue: orders are journalled, sent beside, and told of in `next`.

    Orders are refused, and cancels ignored, while a feed delivers old bars. The limit of a bracket on a spot market waits here, since
    the stop holds the coins; it is sent when the market reaches it. Trailing orders are refused.

    Params:
        use_positions: coins in the account that the journal does not know count as a position, at the first price seen.
    """

    params = (("use_positions", True),)

    def __init__(self) -> None:
        super().__init__()
        self.comminfo[None] = VenueCommission(commission=0.0)  # fees are the venue's; Backtrader's own would size whole units only
        self.store: Any = None
        self.cash = self.startingcash = 0.0
        self.halted = ""
        self.positions = self.holdings = Holdings()  # `positions` is what strategies ask for
        self.on_turn: Callable[[], None] | None = None  # called in turns of the loop that brought no bar
        self.on_event: Callable[[AccountEvent], None] = lambda _event: None  # hears what orders were told, and refusals while halted
        self._seen = -1
        self._is_live = False
        self.muted = False  # set by the session: no order may add exposure
        self._found: dict[str, Decimal] = {}
        self._notices: deque[Any] = deque()
        self._book = OrderBook()
        self._leaving: set[int] = set()
        self._unanswered: set[str] = set()
        self._errands: set[Future[Any]] = set()  # at the account: what they find out was told before they are done
        self._expiring: set[int] = set()
        self.families = Families(self)
        self._groups = self.families.groups

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
                self.holdings.held[data].set(*held)
        for intent, filled, average in found.open:
            self._restore(intent, filled, average)
        self.store.loop.spawn(self.store.account.run())

    def next(self) -> None:
        if self._found:
            self._take_in()
        seen = sum(len(data) for data in self.store._datas)
        is_idle, self._seen = seen == self._seen, seen
        if self._is_present(is_idle):
            while self.store.events:
                hear(self, self.store.events.popleft())
        self.families.send_reached()
        self._expire()
        if is_idle and not self.store.waiting.rehearse() and self.on_turn is not None:
            self.on_turn()

    def _is_present(self, is_idle: bool) -> bool:
        """Whether the bars of the history are over: what was executed since an earlier process ended comes after them."""
        self._is_live = self._is_live or is_idle or any(data.is_current for data in self.store._datas)
        return self._is_live

    def rearm(self) -> None:
        """Send orders again after a halt; cancels that it kept from the venue may be said again."""
        self.halted = ""
        self._leaving.clear()
        self.store.loop.spawn(self.store.account.rearm())

    @property
    def is_settled(self) -> bool:
        """Whether nothing is on its way: every order sent was answered, every cancel was heard of."""
        # Errands first: an acknowledgement is heard before the executions that came with it are booked.
        return not (self._errands or self.store.events or self._unanswered or self._leaving or self.families.reached)

    # Account

    def getcash(self) -> float:
        return self.cash

    def getvalue(self, datas: Any = None) -> float:
        chosen = self.holdings.held if datas is None else {data: self.holdings[data] for data in datas}
        worth = sum(position.size * data.close[0] for data, position in chosen.items() if position.size and len(data))
        return float(worth if datas is not None else self.cash + worth)

    get_cash, get_value = getcash, getvalue

    def getposition(self, data: Any, clone: bool = True) -> Any:
        return self.holdings[data].clone() if clone else self.holdings[data]

    def get_orders_open(self, safe: bool = False) -> list[Any]:
        return [order.clone() if safe else order for order in self._book.alive]

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
        """Take an order back, unless the present bar is one of the history: after a restart that was decided on long ago."""
        return not (order.data.is_past and self.is_sent(order)) and self.take_back(order)

    def take_back(self, order: Any) -> bool:
        """Take an order back, whatever the bar; what is at the venue stays alive until the venue has said so."""
        order = self._book.own(order) or (order if self._groups.is_held(order) else None)
        if order is None or not order.alive():
            return False
        intent = self._book.intent_of(order)
        if self._groups.release(order) or intent is None:
            order.cancel()
            self.notify(order)
            self.over(order)
        elif order.ref not in self._leaving:
            self._leaving.add(order.ref)
            self._run_errand(self.store.account.cancel(intent))
        return True

    def _order(
        self, kind: Any, owner: Any, data: Any, size: float, price: float | None = None, plimit: float | None = None,
        exectype: int | None = None, valid: Any = None, tradeid: int = 0, oco: Any = None, trailamount: Any = None,
        trailpercent: Any = None, parent: Any = None, transmit: bool = True, histnotify: bool = False, _checksubmit: bool = True,
        **info: Any,
    ) -> Any:  # fmt: skip
        answer = admitted(self, kind, data, size, price, plimit, exectype, oco, parent, info)
        begun: tuple[Intent, bool] | None = None
        if isinstance(answer, OrderRequest):
            if parent is None and transmit and valid is None:
                # Before Backtrader's own order is made, which takes a tenth of the time from bar to wire and cannot fail here.
                begun = self._begin(data, answer, info)
            size = float(answer.size)
            limit, stop = (None if p is None else float(p) for p in (answer.limit_price, answer.stop_price))
            price, plimit = (stop, limit) if exectype in STOPS else (limit, None)
        order = kind(
            owner=owner, data=data, size=abs(size), price=price, pricelimit=plimit, exectype=exectype, valid=valid, tradeid=tradeid,
            parent=parent, transmit=transmit, histnotify=histnotify,
        )  # fmt: skip
        order.addinfo(**info)
        self._groups.add(order, oco)
        if isinstance(answer, OrderRefusal):
            return self.refuse(order, answer.reason)
        order.addinfo(request=answer)
        return self._admit(order) if begun is None else self._follow(order, *begun)

    def _admit(self, order: Any) -> Any:
        if order.parent is None and order.transmit:
            return self.send(order)
        self._groups.hold(order)
        if order.parent is not None:
            order.submit(self)
            self.notify(order)
            order.accept(self)
            self.notify(order)
            self._book.keep(order)
        if order.transmit and order.parent is not None and self._groups.release(order.parent):
            self.send(order.parent)
        return order

    def send(self, order: Any) -> Any:
        """Write the intent, then let it go; the venue's answer is heard in `next`."""
        return self._follow(order, *self._begin(order.data, order.info.request, order.info))

    def _begin(self, data: Any, request: OrderRequest, info: Mapping[str, Any]) -> tuple[Intent, bool]:
        """What is intended, and whether it is on its way: False where it was sent before."""
        bar = round(epoch_seconds(data.datetime[0]) * 1000)
        intent = Intent(client_id=self._client_id(bar), request=request, bar=bar, role=str(info.get("role", "")))
        left = threading.Event()
        if not self.store.journal.write(intent, lambda: self._let_go(intent, left.set)):
            return intent, False
        self._unanswered.add(intent.client_id)
        left.wait(_ON_ITS_WAY_S)  # the venue's thread has the interpreter to itself until the request is out
        return intent, True

    def _follow(self, order: Any, intent: Intent, is_sent: bool) -> Any:
        """`order` stands for the intent from now on."""
        order.addinfo(client_id=intent.client_id)
        if not is_sent:
            return self.refuse(order, "this decision was sent before the restart already")
        self._book.keep(order, intent)
        if order.status == bt.Order.Created:
            order.submit(self)
            self.notify(order)
        return order

    def _let_go(self, intent: Intent, left: Callable[[], object]) -> None:
        self._run_errand(self.store.account.send(intent, left))
        self.store.waiting.hand_back()

    def _run_errand(self, work: Coroutine[Any, Any, None]) -> None:
        errand = self.store.loop.spawn(work)
        self._errands.add(errand)
        errand.add_done_callback(self._errand_done)

    def _errand_done(self, errand: Future[Any]) -> None:
        self._errands.discard(errand)
        with self.store.wake:
            self.store.wake.notify_all()

    def _client_id(self, bar: int) -> str:
        return f"{self.store.run[:16]}-{_base36(bar // 1000)}-{self._book.next_number(bar)}"

    def refuse(self, order: Any, reason: str) -> Any:
        """Reject an order here."""
        order.addinfo(refusal=reason)
        order.reject(self)
        self.notify(order)
        log.event(_LOG, "order_refused", symbol=order.data.symbol, size=order.size, refusal=reason)
        if self.halted:
            self.on_event(Refused("", reason))
        self.over(order)
        return order

    # What the news of the account does

    def order_of(self, client_id: str) -> Any:
        """The order that the venue knows as `client_id`; None where it is not one of this run."""
        return self._book.of_client_id(client_id)

    def answered(self, client_id: str) -> Any:
        """As `order_of`; the venue has said what it thinks of the order."""
        self._unanswered.discard(client_id)
        return self.order_of(client_id)

    def is_sent(self, order: Any) -> bool:
        """Whether the order is, or was, at the venue."""
        return self._book.intent_of(order) is not None

    def is_leaving(self, order: Any) -> bool:
        """Whether the venue was asked to take it back."""
        return order.ref in self._leaving

    def is_expiring(self, order: Any) -> bool:
        """Whether it was cancelled for its time limit."""
        return order.ref in self._expiring

    def over(self, order: Any) -> None:
        """An order is alive no more."""
        self._leaving.discard(order.ref)
        self._expiring.discard(order.ref)
        self._book.over(order)
        self.families.over(order)

    def _expire(self) -> None:
        """Time limits count in bar time, as in a backtest."""
        for order in self._book.alive:
            timed = isinstance(order.valid, float) and order.valid and len(order.data)
            if timed and order.data.datetime[0] > order.valid and order.ref not in self._expiring:
                self._expiring.add(order.ref)
                self.cancel(order)

    # What was there before

    def _take_in(self) -> None:
        for data in self.store._datas:
            coins = self._found.get(context_of(data).rules.base)
            if coins and len(data):
                del self._found[context_of(data).rules.base]
                if not self.holdings.held[data].size:
                    self.holdings.held[data].set(float(coins), data.close[0])

    def _restore(self, intent: Intent, filled: Decimal, average: float) -> None:
        data = next((d for d in self.store._datas if d.symbol == intent.symbol), None)
        if data is not None:
            order = restored_order(intent, data, filled, average, self.holdings.held[data].size)
            self._book.keep(order, intent)


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
