"""The intents of Backtrader's orders: their client ids, and what joins them to others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from forwardtrader.core.types import OrderRequest
from forwardtrader.live.bridge.bt_types import LiveOrder
from forwardtrader.live.bridge.contingent.trailing_stops import trail_of
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import Journal
from forwardtrader.live.venue.client_ids import begun_prefix, client_id, command_id
from forwardtrader.strategies.backtrader.bars_frame import epoch_seconds
from forwardtrader.strategies.orders.entries import POST_ONLY

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

_BARS: Final = 64  # whose orders are counted
_MOVED: Final = 36**3  # the first number of those that were moved: of four digits


class Intents:
    """Makes the intents of one run."""

    def __init__(self, run: str, journal: Journal) -> None:
        self._journal = journal
        self._prefix = begun_prefix(journal.oldest(), run)
        self._numbers: dict[int, int] = {}
        self._commanded = 0

    def made(self, broker: CCXTBroker, order: LiveOrder, request: OrderRequest) -> Intent:
        """The intent of a new order."""
        bar = round(epoch_seconds(order.data.datetime[0]) * 1000)
        command = str(order.info.get("command", ""))
        name = self._commanded_id(command) if command else self.next_id(bar)
        return Intent(
            client_id=name, request=request, bar=bar, role=str(order.info.get("role", "")),
            parent=broker.contingent.parent_name(order), group=broker.contingent.group_name(order), expires=_expiry_of(order),
            trail=trail_of(order), post_only=str(order.info.get(POST_ONLY, "")) if request.limit_price is not None else "",
        )  # fmt: skip

    def released(self, broker: CCXTBroker, order: LiveOrder, intent: Intent) -> Intent:
        """The intent of an order that waited here and is sent now."""
        if len(order.data):
            return replace(intent, bar=round(epoch_seconds(order.data.datetime[0]) * 1000))
        now, step = int(broker.store.clock.now().timestamp() * 1000), broker.store.market_of(order.data).step
        return replace(intent, bar=now - now % step)

    def next_id(self, bar: int) -> str:
        """The client id of the next order decided on a bar (ms UTC), equal for a run that is repeated."""
        return client_id(self._prefix, bar, self.next_number(bar))

    def _commanded_id(self, command: str) -> str:
        self._commanded += 1
        return command_id(self._prefix, command, self._commanded)

    def unused_id(self, bar: int) -> str:
        """A client id for an order that was decided on an earlier bar, and goes on under a new one."""
        while self._journal.state_of(name := self.next_id(bar)) is not None:
            pass
        return name

    def moved_id(self, bar: int) -> str:
        """A client id for a stop that was moved after a bar (ms UTC): none that an order decided on that bar may have, whenever that is."""
        number = _MOVED
        while self._journal.state_of(name := client_id(self._prefix, bar, number)) is not None:
            number += 1
        return name

    def next_number(self, bar: int) -> int:
        """Counts the orders decided on one bar from 1."""
        number = self._numbers[bar] = self._numbers.get(bar, 0) + 1
        if len(self._numbers) > 2 * _BARS:
            self._numbers = {at: self._numbers[at] for at in sorted(self._numbers)[-_BARS:]}
        return number


def _expiry_of(order: LiveOrder) -> int:
    """The bar time (ms UTC) after which an order is taken back; 0 for never."""
    valid = order.valid
    return max(1, round(epoch_seconds(valid) * 1000)) if isinstance(valid, float) and valid else 0
