"""Account reports: the venue's private socket, and a regular comparison with what rests there."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.retry import Backoff
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.execution.venue_orders import VenueOrders
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade

T = TypeVar("T")
_LOG: Final = log.logger("live")
_LATE_S: Final = 0.25  # executions that an order's report did not bring usually come by themselves
_RECONNECT: Final = Backoff(first_s=0.2, longest_s=30.0)
_SOON: Final = (60, 15, 4)  # after a connection: compare after these parts of the interval, 0.5 s, 2 s and 7.5 s


class AccountReports:
    """Subscribes and polls; what it receives goes through the account's ledger.

    Args:
        compare: compares journal and venue once.
        check_every_s: seconds between two comparisons.
    """

    def __init__(
        self, client: CcxtClient, orders: VenueOrders, halt: TradingHalt, compare: Callable[[], Awaitable[None]], check_every_s: float
    ) -> None:
        self._client = client
        self._orders = orders
        self._halt = halt
        self._compare = compare
        self._check_every_s = check_every_s
        self._pauses: deque[float] = deque()
        self._connected = asyncio.Event()

    async def run(self) -> None:
        """Subscribe and compare until cancelled."""
        client = self._client
        jobs = [self._compare_regularly()]
        if client.has.get("watchMyTrades") and client.has.get("watchOrders"):
            jobs += [self._listen(client.watch_my_trades, self._on_trades), self._listen(client.watch_orders, self._on_orders)]
        await asyncio.gather(*jobs)

    async def _compare_regularly(self) -> None:
        """Compare at intervals, which are short after a connection: nothing says when its subscription is there."""
        while True:
            pause = self._pauses.popleft() if self._pauses else self._check_every_s
            self._connected.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), pause)
                continue
            await self._halt.attempt(self._compare)

    def _on_connection(self) -> None:
        """A socket is about to be opened: compare soon, since what happened meanwhile is reported by nobody."""
        self._pauses = deque(self._check_every_s / share for share in _SOON)
        self._connected.set()

    async def _listen(self, watch: Callable[[], Awaitable[Sequence[T]]], handle: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        failures = 0
        self._on_connection()
        while True:
            try:
                message = await watch()
            except Exception as error:  # noqa: BLE001 - a socket breaks in many ways; what it missed is fetched
                failures += 1
                log.event(_LOG, "private_socket_broken", error=type(error).__name__, reason=log.redact(str(error))[:200])
                self._halt.on_error(error)
                await asyncio.sleep(_RECONNECT.pause(failures))
                self._on_connection()
                continue
            failures = 0
            await self._halt.attempt(partial(handle, list(message)))

    async def _on_trades(self, trades: Sequence[CcxtTrade]) -> None:
        for trade in trades:
            self._orders.on_trade(trade)

    async def _on_orders(self, orders: Sequence[CcxtOrder]) -> None:
        for order in orders:
            bare: CcxtOrder = {**order, "trades": None}  # those may be incomplete
            if self._orders.is_forced(order):
                if order.get("filled"):  # some venues do not report its executions
                    self._halt.attempt_later(partial(self._orders.read_forced, [str(order.get("symbol"))]))
            elif self._orders.book(bare) > 0:
                self._halt.attempt_later(partial(self._fetch_late, bare))

    async def _fetch_late(self, order: CcxtOrder) -> None:
        await asyncio.sleep(_LATE_S)
        await self._orders.on_order(order)
