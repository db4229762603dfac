"""Requests to the account: orders that the journal holds, each at once or all that are decided together after one write to the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

from forwardtrader.live.execution.events import Intent
from forwardtrader.strategies.order_rules import adds_exposure

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_SENDING_S: Final = 0.02
_ANSWER_S: Final = 1.0  # after that an order is posted though it may lack what the one before it sets free
# Posts an order, and calls what it is given once the request is out.
Send: TypeAlias = Callable[[Intent, Callable[[], object]], Coroutine[object, object, None]]
_Ready: TypeAlias = tuple[Intent, Send]


class OrderDispatch:
    """Hands orders to the account, never before the journal has them on the disk.

    Requests overtake each other on their way. An order that adds exposure is paid by what is sold at the market before it, so it waits for
    the venue's answers to that.

    Attributes:
        pending: requests under way; the events that they cause are queued before they are done.
    """

    def __init__(self, broker: CCXTBroker) -> None:
        self._broker = broker
        self.pending: set[Future[None]] = set()
        self._waiting: list[_Ready] | None = None  # for the disk; None where each order is there when it comes
        self._freeing: list[threading.Event] = []  # set once the venue has answered an order that sets money free

    @contextmanager
    def together(self) -> Iterator[None]:
        """Orders given inside are on the disk and posted at the end, in their order; where the disk refuses, none of them is posted."""
        self._waiting = []
        self._broker.journal.gather()
        try:
            yield
        finally:
            self._flush()

    def post(self, intent: Intent, send: Send) -> None:
        """Have `send` post an order that the journal has written."""
        if self._waiting is None:
            self._post([(intent, send)])
        else:
            self._waiting.append((intent, send))

    def post_before_cancel(self, intent: Intent) -> None:
        """An order that is to be cancelled does not wait any longer: the venue hears of it first."""
        if intent in [waiting for waiting, _ in self._waiting or ()]:
            self._flush()
            self._waiting = []
            self._broker.journal.gather()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting or [], None
        self._broker.journal.write_gathered()
        self._post(waiting)

    def _post(self, ready: Sequence[_Ready]) -> None:
        adding = [each for each in ready if self._adds(each[0])]
        answers = self._post_at_once([each for each in ready if each not in adding])
        self._freeing = [answered for answered in (*self._freeing, *answers) if not answered.is_set()]
        if adding:
            loop = self._broker.store.loop
            until = loop.monotonic() + _ANSWER_S
            for answered in self._freeing:
                loop.wait(answered, max(until - loop.monotonic(), 0.0))
            self._freeing = []
            self._post_at_once(adding)

    def _adds(self, intent: Intent) -> bool:
        held = self._broker.units_held(self._broker.store.traded(intent.symbol))
        return adds_exposure(held, intent.request.side, intent.request.size)

    def _post_at_once(self, ready: Sequence[_Ready]) -> list[threading.Event]:
        """Post them; what is returned is set once a market order is answered."""
        store, out, answers = self._broker.store, [threading.Event() for _ in ready], []
        for (intent, send), left in zip(ready, out, strict=True):
            answered = self.request(send(intent, left.set))
            if intent.request.limit_price is None and intent.request.stop_price is None:
                answers.append(answered)
        for left in out:
            store.loop.wait(left, _SENDING_S)  # the venue's thread has the interpreter to itself until the request is out
            store.on_order()
        return answers

    def request(self, work: Coroutine[object, object, None]) -> threading.Event:
        """Run a request of the account in the venue's thread; what is returned is set once it is done."""
        request, answered = self._broker.store.loop.spawn(work), threading.Event()
        self.pending.add(request)
        request.add_done_callback(self._done)
        request.add_done_callback(lambda _request: answered.set())
        return answered

    def _done(self, request: Future[None]) -> None:
        self.pending.discard(request)
        with self._broker.store.wake:
            self._broker.store.wake.notify_all()
