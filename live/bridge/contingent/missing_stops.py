"""Stops that the venue refuses, or takes back by itself, while a position needs them.

| a stop is refused, or gone without our cancel | then |
|---|---|
| for the first times | it waits here, and is sent again after each of `Backoffs.stop_s`; at once, should the market reach it |
| once more, `risk.on_missing_stop` is `close` | it is sent as a market order, again and again at the longest pause |
| once more, `risk.on_missing_stop` is `hold` | it is rejected: somebody has to act |
| as a market order, `Backoffs.closes` times | the same |

Its symbol takes no new exposure from the first refusal on. While the account is halted nothing is sent, nor counted.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from forwardtrader.core import log
from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent
from forwardtrader.live.execution.events import Unprotected
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import is_dust

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker
    from forwardtrader.live.bridge.contingent.orders import ContingentOrders

_LOG: Final = log.logger("live")
GIVEN_UP: Final = "given up"
TAKEN_BACK: Final = "the venue has taken it back, or somebody has there"


@dataclass(frozen=True)
class Backoffs:
    """Pauses (s) after each refusal of a stop, and how often its position is tried to be closed at the market."""

    stop_s: tuple[float, ...] = (5.0, 15.0, 60.0, 300.0)
    closes: int = 12

    def pause_after(self, refusals: int) -> float | None:
        """Seconds until it is sent again; None for never."""
        if refusals <= len(self.stop_s):
            return self.stop_s[refusals - 1]
        closes = refusals - len(self.stop_s) - 1  # that were refused
        return None if closes >= self.closes else 0.0 if closes == 0 else self.stop_s[-1]


@dataclass
class _Missing:
    """A stop that is, or was, missing. Times are monotonic seconds.

    Attributes:
        refusals: how often it was refused, or taken back soon.
        due: when it is sent again; None for at the venue, or on its way there.
        is_taken: the venue took it back: executions of it may still be on their way.
        rests_since: when the venue acknowledged it; None for not yet.
    """

    refusals: int = 0
    due: float | None = None
    is_taken: bool = False
    rests_since: float | None = None


class MissingStops:
    """The stops of one broker that were refused, and are alive.

    Attributes:
        closes: whether a position whose stop stays refused is closed at the market.
    """

    def __init__(self, orders: ContingentOrders, broker: CCXTBroker) -> None:
        self._orders = orders
        self._broker = broker
        self._missing: dict[int, tuple[LiveOrder, _Missing]] = {}  # by order
        self.backoffs = Backoffs()
        self.closes = True

    def keep(self, order: LiveOrder, reason: str) -> bool:
        """Whether a stop that was refused, or is gone, waits here from now on; False where it is given up."""
        missing = self._missing.setdefault(order.ref, (order, _Missing()))[1]
        if missing.rests_since is not None and self._now() - missing.rests_since > self.backoffs.stop_s[-1]:
            missing.refusals = 0
        missing.rests_since, missing.is_taken = None, reason == TAKEN_BACK
        missing.refusals += not self._broker.halted
        is_closed = missing.refusals > len(self.backoffs.stop_s)
        pause = self.backoffs.pause_after(max(1, missing.refusals)) if self.closes or not is_closed else None
        if pause is None:
            self._say(order, f"{reason}; {GIVEN_UP} after {missing.refusals} refusals: it stays without one until somebody acts")
            return False
        if missing.refusals <= 1 or (not is_closed and order.data.symbol not in self._broker.unprotected):  # it may have rested in between
            self._say(order, f"{reason}; it is sent again")
        elif is_closed and not pause:
            self._say(order, f"{reason}; its position is closed at the market")
        self._wait(order, is_closed=is_closed or bool(self._orders.taken(order)))  # the rest of one that is executed is sold at once
        missing.due = self._now() + pause
        log.event(
            _LOG, "stop_missing", logging.WARNING, client_id=known_intent(order).client_id, reason=reason, refusals=missing.refusals,
            closes=is_closed, again_s=pause,
        )  # fmt: skip
        return True

    def send_due(self) -> None:
        """Send those whose pause is over."""
        if not self._missing or self._broker.halted:
            return
        now = self._now()
        for order, missing in list(self._missing.values()):
            if missing.due is not None and now >= missing.due:
                missing.due, missing.is_taken = None, False
                if self._orders.is_held(order):
                    self._send(order)

    def rearm(self) -> None:
        """Somebody has seen to it: all are sent at once, and counted anew."""
        for _, missing in self._missing.values():
            missing.refusals, missing.due = 0, None if missing.due is None else self._now()

    def is_pausing(self, order: LiveOrder) -> bool:
        """Whether an order waits for its time, whatever the market does: it would go as a market order, or may have been executed."""
        known = self._missing.get(order.ref)
        return known is not None and known[1].due is not None and (known[1].is_taken or known_intent(order).triggered)

    def rests(self, order: LiveOrder) -> None:
        """The venue has acknowledged an order."""
        if known := self._missing.get(order.ref):
            known[1].due, known[1].rests_since = None, self._now()

    def forget(self, order: LiveOrder) -> None:
        """An order is alive no more."""
        self._missing.pop(order.ref, None)

    def _wait(self, order: LiveOrder, *, is_closed: bool) -> None:
        intent = self._orders.renewed(order, triggered=is_closed or known_intent(order).triggered)
        if is_closed:
            intent = replace(intent, request=replace(intent.request, limit_price=None))
        self._orders.go_on_as(order, intent)

    def _send(self, order: LiveOrder) -> None:
        """Send a stop for what there is to protect."""
        orders, parent = self._orders, order.parent
        if parent is None or not parent.alive():
            orders.send_rest(order)
        elif not is_dust(size := orders.parts.size_of(order), order.created.price, context_of(order.data).rules):
            orders.send_sized(order, size)

    def _say(self, order: LiveOrder, reason: str) -> None:
        self._broker.store.notify(Unprotected(order.data.symbol, reason))

    def _now(self) -> float:
        return self._broker.store.loop.monotonic()
