"""What a venue says of our orders without being asked for each: its private socket, and a regular look at what rests there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from core import log
from live.account_events import Execution, VenueView
from live.journal import State
from live.order_news import execution, number, open_order, order_news, synthetic

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
        self._newest = {e.symbol: e.trade_id for e in account.journal.executions() if e.trade_id.isdigit()}

    async def view(self, symbols: Sequence[str]) -> VenueView:
        """Balances, resting orders, and executions that the journal may lack. Raises VenueUnreachable or VenueRefused."""
        ask, client = self._account.questions.ask, self._account.client
        balance = await ask(client.fetch_balance)
        totals = {asset: number(amount) for asset, amount in (balance.get("total") or {}).items() if amount}
        resting, told = [], []
        for symbol in symbols:
            resting += [open_order(o) for o in await ask(partial(client.fetch_open_orders, symbol))]
            told += await self.executions(symbol)
        return VenueView(balances=totals, open_orders=tuple(resting), executions=tuple(told))

    async def run(self) -> None:
        """Listen and check until cancelled."""
        client = self._account.client
        jobs = [self._check_regularly()]
        if client.has.get("watchMyTrades") and client.has.get("watchOrders"):
            jobs += [self._listen(client.watch_my_trades, self._told_trades), self._listen(client.watch_orders, self._told_orders)]
        await asyncio.gather(*jobs)

    async def check(self) -> None:
        """Compare with the venue: executions since the last known one, and every open order that does not rest there."""
        account = self._account
        open_now = [intent for intent, state in account.journal.open_intents() if state is State.ACKNOWLEDGED]
        for symbol in sorted({intent.symbol for intent in open_now}):
            for told in await self.executions(symbol):
                account.ledger.execution(told)
            asked = await account.questions.ask(partial(account.client.fetch_open_orders, symbol))
            resting = {open_order(o).client_id for o in asked}
            for intent in open_now:
                if intent.symbol == symbol and intent.client_id not in resting:
                    await account.settle(intent)

    async def heard(self, order: dict[str, Any]) -> None:
        """Take in what a venue says of an order, with all its executions."""
        if self._account.ledger.order(order_news(order)) > 0:
            await self._complete(order)

    async def executions(self, symbol: str, params: dict[str, Any] | None = None) -> list[Execution]:
        """Those since the newest one known, or those that `params` choose."""
        account = self._account
        if not account.client.has.get("fetchMyTrades"):
            return []
        known = self._newest.get(symbol)
        chosen = params if params is not None else {"fromId": known} if known and known.isdigit() else {}
        told = [execution(t) for t in await account.questions.ask(partial(account.client.fetch_my_trades, symbol, None, None, chosen))]
        if params is None and told:
            self._newest[symbol] = told[-1].trade_id
        return told

    async def _complete(self, order: dict[str, Any]) -> None:
        """Fetch the executions that an order's news did not bring; where there are none to be had, one stands for them."""
        journal, ledger, news = self._account.journal, self._account.ledger, order_news(order)
        for told in await self.executions(news.symbol, {"orderId": news.venue_id}):
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
            if self._account.ledger.order(order_news(bare)) > 0:
                self._account.beside(partial(self._fetch_late, bare))

    async def _fetch_late(self, order: dict[str, Any]) -> None:
        await asyncio.sleep(_LATE_S)
        await self.heard(order)
