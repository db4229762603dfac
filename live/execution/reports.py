"""Account reports: the venue's private socket, and a regular comparison with what rests there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from forwardtrader.core import log
from forwardtrader.core.retry import Backoff
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.execution.venue_orders import VenueOrders
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade

T = TypeVar("T")
_LOG: Final = log.logger("live")
_LATE_S: Final = 0.25  # executions that an order's report did not bring usually come by themselves
_RECONNECT: Final = Backoff(first_s=0.2, longest_s=30.0)


class AccountReports:
    """Subscribes and polls; what it receives goes through the account's ledger.

    Args:
        settle: finds out what became of an order.
        check_every_s: seconds between two comparisons.
    """

    def __init__(
        self, client: CcxtClient, orders: VenueOrders, halt: TradingHalt, settle: Callable[[Intent], Awaitable[None]],
        symbols: Sequence[str], check_every_s: float,
    ) -> None:  # fmt: skip
        self._client = client
        self._orders = orders
        self._halt = halt
        self._settle = settle
        self._symbols = symbols
        self._check_every_s = check_every_s

    async def run(self) -> None:
        """Subscribe and poll until cancelled."""
        client = self._client
        jobs = [self._check_regularly()]
        if client.has.get("watchMyTrades") and client.has.get("watchOrders"):
            jobs += [self._listen(client.watch_my_trades, self._on_trades), self._listen(client.watch_orders, self._on_orders)]
        await asyncio.gather(*jobs)

    async def check(self) -> None:
        """Compare with the venue: every acknowledged order that does not rest there as it is booked is looked up.

        One symbol is queried in any case: a revoked key is noticed also while no order is sent.
        """
        journal = self._orders.ledger.journal
        acknowledged = [intent for intent, state in journal.open_intents() if state is IntentState.ACKNOWLEDGED]
        resting = await self._orders.resting(sorted({intent.symbol for intent in acknowledged}) or self._symbols[:1])
        for intent in self._orders.differing(acknowledged, resting):
            await self._settle(intent)

    async def _check_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._check_every_s)
            await self._halt.attempt(self.check)

    async def _listen(self, watch: Callable[[], Awaitable[Sequence[T]]], handle: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        failures = 0
        while True:
            try:
                message = await watch()
            except Exception as error:  # noqa: BLE001 - a socket breaks in many ways; what it missed is fetched
                failures += 1
                log.event(_LOG, "private_socket_broken", error=type(error).__name__, reason=log.redact(str(error))[:200])
                self._halt.on_error(error)
                await asyncio.sleep(_RECONNECT.pause(failures))
                self._halt.attempt_later(self.check)
                continue
            failures = 0
            await self._halt.attempt(partial(handle, list(message)))

    async def _on_trades(self, trades: Sequence[CcxtTrade]) -> None:
        for trade in trades:
            self._orders.on_trade(trade)

    async def _on_orders(self, orders: Sequence[CcxtOrder]) -> None:
        for order in orders:
            bare: CcxtOrder = {**order, "trades": None}  # those may be incomplete
            if self._orders.book(bare) > 0:
                self._halt.attempt_later(partial(self._fetch_late, bare))

    async def _fetch_late(self, order: CcxtOrder) -> None:
        await asyncio.sleep(_LATE_S)
        await self._orders.on_order(order)
