"""The last step before the wire: ccxt puts the request of an order together while the intent is still on its way to the disk."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.order_arguments import order_arguments


class Withheld(Exception):
    """An order was not given leave; nothing of it was sent."""


class OrderSubmitter:
    """Sends orders through a ccxt client, whose requests on behalf of an order ask for leave at the last moment.

    Attributes:
        request: puts one request on the wire, and returns the answer; the client's own way.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.request = client.fetch
        client.fetch = self._fetch

    async def order(self, intent: Intent, may_leave: Callable[[], bool]) -> dict[str, Any]:
        """Post an order; returns ccxt's order.

        Args:
            may_leave: asked once, before the first request.

        Raises:
            Withheld: it may not. All that ccxt and `may_leave` raise goes through.
        """
        before = _leave.set(_Leave(may_leave))
        try:
            answer: dict[str, Any] = await self._client.create_order(*order_arguments(intent))
            return answer
        finally:
            _leave.reset(before)

    async def _fetch(self, *given: Any, **named: Any) -> Any:
        leave = _leave.get()
        if leave is not None:
            leave.take()
        return await self.request(*given, **named)


class _Leave:
    """What is asked at the first request of an order holds for all that belong to it."""

    def __init__(self, may_leave: Callable[[], bool]) -> None:
        self._ask: Callable[[], bool] | None = may_leave

    def take(self) -> None:
        ask, self._ask = self._ask, None
        if ask is not None and not ask():
            raise Withheld


# Of the task that sends an order: other requests of the same client, made meanwhile, are not asked.
_leave: Final[ContextVar[_Leave | None]] = ContextVar("leave", default=None)
