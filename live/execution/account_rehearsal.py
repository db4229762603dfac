"""Requests of the account made for show, by a double of its client whose requests end before the wire."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.order_arguments import order_arguments


class Unsent(Exception):
    """In place of a request: a double sends none."""


class AccountRehearsal:
    """Walks the way of an order in the venue's thread.

    Args:
        account: a `CcxtAccount`.
    """

    def __init__(self, account: Any) -> None:
        self._account = account
        self._shown: Future[Any] | None = None
        self._double_class: type[Any] | None = None

    def begin(self, spawn: Callable[[Coroutine[Any, Any, None]], Future[Any]], intent: Intent) -> None:
        """Have the request of an order made, unless the one before it still is; from any thread."""
        if self._shown is None or self._shown.done():
            self._shown = spawn(self.order(intent))

    async def order(self, intent: Intent) -> None:
        """Ask the risk gate and make the signed request of an order; nothing counts it, nothing leaves."""
        account = self._account
        if account.gate is not None:
            account.gate.objection(intent)
        with contextlib.suppress(Unsent):
            await self._double().create_order(*order_arguments(intent))

    async def connection(self) -> None:
        """Have a connection open that the next order will find: venues and clients close those that are idle for seconds."""
        account = self._account
        if account.client.has.get("fetchTime") and not account.halted:
            await account.attempt(self._ask_time)

    async def _ask_time(self) -> None:
        await self._account.questions.once(self._account.client.fetch_time)

    def _double(self) -> Any:
        """All that the client knows at this moment, and no way to send."""
        client = self._account.client
        if self._double_class is None:
            self._double_class = type("Double", (type(client),), {"__del__": _nothing})
        double = object.__new__(self._double_class)
        double.__dict__.update(client.__dict__)
        # On the double itself, where it stands before whatever the client carries; and without its connections.
        double.__dict__.update(fetch=_unsent, session=None, own_session=False, closed_by_user=True, clients={})
        double.enableRateLimit = False  # what is not sent uses up no allowance
        return double


async def _unsent(*_given: Any, **_more: Any) -> Any:
    raise Unsent


def _nothing(_double: Any) -> None:
    """A double owns no connection that would have to be closed."""
