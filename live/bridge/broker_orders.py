"""The open orders of one broker, found by what names them. Those that are done are forgotten: a session may run for months."""

from __future__ import annotations

from collections import deque
from typing import Final

from forwardtrader.live.bridge.bt_types import LiveOrder
from forwardtrader.live.execution.events import Intent

_REMEMBERED: Final = 64  # orders that are done: reports of them may still be on their way
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


class BrokerOrders:
    """Orders that are alive, and the newest of those that are not, by Backtrader's reference and, once sent, by client id."""

    def __init__(self) -> None:
        self._alive: dict[int, LiveOrder] = {}
        self._by_client_id: dict[str, LiveOrder] = {}
        self._intents: dict[int, Intent] = {}
        self._done: deque[int] = deque()
        self._numbers: dict[int, int] = {}
        self._commanded = 0

    def keep(self, order: LiveOrder, intent: Intent | None = None) -> None:
        """An order that waits here, or with its intent one that goes to the venue."""
        self._alive.pop(order.ref, None)
        self._alive[order.ref] = order
        if intent is not None:
            self._by_client_id[intent.client_id] = order
            self._intents[order.ref] = intent

    def over(self, order: LiveOrder) -> None:
        """An order is alive no more; idempotent."""
        if self._alive.pop(order.ref, None) is None:
            return
        self._done.append(order.ref)
        while len(self._done) > _REMEMBERED:
            intent = self._intents.pop(self._done.popleft(), None)
            if intent is not None:
                del self._by_client_id[intent.client_id]

    @property
    def alive(self) -> list[LiveOrder]:
        """Oldest first."""
        return [order for order in self._alive.values() if order.alive()]

    def own(self, order: LiveOrder) -> LiveOrder | None:
        """The order itself, of which `order` may be a copy; None where it is not alive."""
        return self._alive.get(order.ref)

    def of_client_id(self, client_id: str) -> LiveOrder | None:
        """The order that the venue knows by that name; None where there is none, or it has been done for long."""
        return self._by_client_id.get(client_id)

    def intent_of(self, order: LiveOrder) -> Intent | None:
        """What went to the venue; None for an order that did not."""
        return self._intents.get(order.ref)

    def next_client_id(self, run: str, bar: int, command: str = "") -> str:
        """The client id of the next order decided on a bar, equal for a run that is repeated; at most 36 characters.

        Args:
            bar: its open time, milliseconds UTC.
            command: the control command that the order belongs to, of at most 12 characters; "" for a decision of the strategy.
        """
        if command:
            self._commanded += 1
            return f"{client_id_prefix(run)}c{command[:12]}-{self._commanded}"
        return f"{client_id_prefix(run)}{_base36(bar // 1000)}-{self.next_number(bar)}"

    def next_number(self, bar: int) -> int:
        """Counts the orders decided on one bar from 1."""
        number = self._numbers[bar] = self._numbers.get(bar, 0) + 1
        if len(self._numbers) > 2 * _REMEMBERED:
            self._numbers = {at: self._numbers[at] for at in sorted(self._numbers)[-_REMEMBERED:]}
        return number


def client_id_prefix(run: str) -> str:
    """How the client ids of a run begin."""
    return f"{run[:16]}-"


def _base36(value: int) -> str:
    digits = ""
    while value:
        value, rest = divmod(value, 36)
        digits = _DIGITS[rest] + digits
    return digits or "0"
