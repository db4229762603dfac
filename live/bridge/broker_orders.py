"""The open orders of one broker, found by what names them. Those that are done are forgotten: a session may run for months."""

from __future__ import annotations

from collections import deque
from typing import Final

from forwardtrader.live.bridge.bt_types import LiveOrder
from forwardtrader.live.execution.events import Intent

_REMEMBERED: Final = 64  # orders that are done: reports of them may still be on their way


class BrokerOrders:
    """Orders that are alive, and the newest of those that are not, by Backtrader's reference and by client id."""

    def __init__(self) -> None:
        self._alive: dict[int, LiveOrder] = {}
        self._by_client_id: dict[str, LiveOrder] = {}
        self._names: dict[int, list[str]] = {}
        self._sent: dict[int, Intent] = {}
        self._done: deque[int] = deque()

    def keep(self, order: LiveOrder, intent: Intent | None = None) -> None:
        """An order that waits here, or with its intent one that goes to the venue."""
        self._alive.pop(order.ref, None)
        self._alive[order.ref] = order
        if intent is not None:
            self._sent[order.ref] = intent
            self.name(order, intent.client_id)

    def name(self, order: LiveOrder, name: str) -> None:
        """Have an order found by a client id, beside those that it had."""
        self._by_client_id[name] = order
        names = self._names.setdefault(order.ref, [])
        if name not in names:
            names.append(name)

    def take_back(self, order: LiveOrder) -> None:
        """An order is off the venue, and alive all the same."""
        self._sent.pop(order.ref, None)

    def over(self, order: LiveOrder) -> None:
        """An order is alive no more; idempotent."""
        if self._alive.pop(order.ref, None) is None:
            return
        self._done.append(order.ref)
        while len(self._done) > _REMEMBERED:
            ref = self._done.popleft()
            self._sent.pop(ref, None)
            for name in self._names.pop(ref, ()):
                if name in self._by_client_id and self._by_client_id[name].ref == ref:  # else another order goes on by that name
                    del self._by_client_id[name]

    def names_of(self, order: LiveOrder) -> tuple[str, ...]:
        """The client ids that an order goes, or went, by; none where it has been done for long."""
        return tuple(self._names.get(order.ref, ()))

    @property
    def alive(self) -> list[LiveOrder]:
        """Oldest first."""
        return [order for order in self._alive.values() if order.alive()]

    def own(self, order: LiveOrder) -> LiveOrder | None:
        """The order itself, of which `order` may be a copy; None where it is not alive."""
        return self._alive.get(order.ref)

    def of_client_id(self, client_id: str) -> LiveOrder | None:
        """The order that goes, or went, by that name; None where there is none, or it has been done for long."""
        return self._by_client_id.get(client_id)

    def sent_as(self, order: LiveOrder) -> Intent | None:
        """What went to the venue; None for an order that is not, and was not, there."""
        return self._sent.get(order.ref)


def is_expired(order: LiveOrder, *, ahead: bool = False) -> bool:
    """Whether the present bar, or the one `ahead` of it, is beyond the time limit of an order, in bar time as in a backtest."""
    data, limit = order.data, order.valid
    if not isinstance(limit, float) or not limit or not len(data) or data.is_past:
        return False
    return (data.next_open if ahead else data.datetime[0]) > limit
