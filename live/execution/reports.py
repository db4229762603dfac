"""What a venue says of our orders without being asked for each: its private socket, and a regular look at what rests there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.live.execution.ccxt_orders import execution, number, open_order, order_report, synthetic
from forwardtrader.live.execution.events import Execution, ForeignOrder, Intent, OpenOrder, VenueView
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.live.execution.reconciliation import reconcile

_LOG: Final = log.logger("live")
_LATE_S: Final = 0.25  # executions that a report of an order did not bring usually come by themselves


class AccountReports:
    """Listens and looks; what it hears goes through the ledger of the account.

    Args:
        account: a `CcxtAccount`.
        check_every_s: seconds between two looks.
    """

    def __init__(self, account: Any, check_every_s: float) -> None:
        self._account = account
        self._check_every_s = check_every_s

    async def view(self, symbols: Iterable[str]) -> VenueView:
        """Balances, then the orders that rest. Raises VenueUnreachable or VenueRefused."""
        balance = await self._account.questions.ask(self._account.client.fetch_balance)
        totals = {asset: number(amount) for asset, amount in (balance.get("total") or {}).items() if amount}
        return VenueView(balances=totals, open_orders=tuple(await self._resting(symbols)))

    async def run(self) -> None:
        """Listen and check until cancelled."""
        client = self._account.client
        jobs = [self._check_regularly()]
        if client.has.get("watchMyTrades") and client.has.get("watchOrders"):
            jobs += [self._listen(client.watch_my_trades, self._told_trades), self._listen(client.watch_orders, self._told_orders)]
        await asyncio.gather(*jobs)

    async def check(self) -> None:
        """Compare with the venue: every order that was acknowledged and does not rest there as it is booked is asked for.

        One symbol is asked about in any case: a key that was revoked is noticed also while no order is sent.
        """
        open_now = [intent for intent, state in self._account.journal.open_intents() if state is IntentState.ACKNOWLEDGED]
        resting = await self._resting(sorted({intent.symbol for intent in open_now}) or self._account.symbols[:1])
        for intent in self.differing(open_now, resting):
            await self._account.settle(intent)

    def differing(self, intents: Iterable[Intent], resting: Sequence[OpenOrder]) -> tuple[Intent, ...]:
        """Those of `intents` that must be asked for, given what rests; the others are acknowledged, orders of others reported."""
        journal, ledger = self._account.journal, self._account.ledger
        ours = {order.venue_id: name for order in resting if (name := ledger.ours(order.client_id, order.venue_id))}
        found = reconcile([(intent, journal.filled(intent.client_id)) for intent in intents], resting, ours)
        for order in found.foreign:
            ledger.report_foreign(ForeignOrder(order.symbol, order.venue_id, order.side, order.size))
        for intent, venue_id in found.adopt:
            ledger.acknowledge(intent.client_id, venue_id)
        return found.ask

    async def heard(self, order: dict[str, Any]) -> None:
        """Take in what a venue says of an order, with all its executions."""
        if self._account.ledger.order(order_report(order)) > 0:
            await self._complete(order)

    async def _resting(self, symbols: Iterable[str]) -> list[OpenOrder]:
        ask, client = self._account.questions.ask, self._account.client
        return [open_order(order) for symbol in symbols for order in await ask(partial(client.fetch_open_orders, symbol))]

    async def _executions(self, symbol: str, venue_id: str) -> list[Execution]:
        client = self._account.client
        if not client.has.get("fetchMyTrades"):
            return []
        question = partial(client.fetch_my_trades, symbol, None, None, {"orderId": venue_id})
        return [execution(trade) for trade in await self._account.questions.ask(question)]

    async def _complete(self, order: dict[str, Any]) -> None:
        """Fetch the executions that an order's news did not bring; where there are none to be had, one stands for them."""
        journal, ledger, news = self._account.journal, self._account.ledger, order_report(order)
        for told in await self._executions(news.symbol, news.venue_id):
            ledger.execution(told)
        if ledger.order(news) > 0:
            client_id = journal.client_id_of(news.venue_id) or news.client_id
            stand_in = replace(news, client_id=client_id)
            ledger.execution(synthetic(stand_in, journal.filled(client_id)))
            ledger.order(stand_in)

    async def _check_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._check_every_s)
            await self._account.attempt(self.check)

    async def _listen(self, watch: Callable[[], Awaitable[Any]], heard: Callable[[Iterable[Any]], Awaitable[None]]) -> None:
        wait = 0.2
        while True:
            try:
                news = await watch()
                wait = 0.2
            except Exception as error:  # noqa: BLE001 - a socket breaks in many ways; what it missed is fetched
                log.event(_LOG, "private_socket_broken", error=type(error).__name__, reason=log.redact(str(error))[:200])
                self._account.halts(error)
                await asyncio.sleep(wait)
                wait = min(30.0, 2 * wait)
                self._account.beside(self.check)
                continue
            await self._account.attempt(partial(heard, list(news)))

    async def _told_trades(self, trades: Iterable[Any]) -> None:
        for trade in trades:
            self._account.ledger.execution(execution(trade))

    async def _told_orders(self, orders: Iterable[Any]) -> None:
        for order in orders:
            bare = {**order, "trades": None}  # what stands there may be incomplete
            if self._account.ledger.order(order_report(bare)) > 0:
                self._account.beside(partial(self._fetch_late, bare))

    async def _fetch_late(self, order: dict[str, Any]) -> None:
        await asyncio.sleep(_LATE_S)
        await self.heard(order)
