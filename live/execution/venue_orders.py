"""Orders, executions and balances as the venue reports them, booked in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Final

from forwardtrader.core.types import MarketRules
from forwardtrader.live.execution.ccxt_orders import execution, number, open_order, order_report, synthetic
from forwardtrader.live.execution.events import Execution, RestingOrder, VenueView
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade
from forwardtrader.live.venue.order_access import access_of
from forwardtrader.live.venue.perpetuals import traits_of
from forwardtrader.live.venue.retry import VenueQueries

_LAG_SHARES: Final = (20, 10, 5, 2.5, 4)  # of the time that a list may lag: asked again after 0.25, 0.5, 1, 2 and 1.25 of 5 seconds
_FUNDING_READ: Final = "funding read"
_STAND_INS: Final = 10  # that are asked for at each comparison


class VenueOrders:
    """Reads orders through one client. Raises (methods that query): VenueUnreachable or VenueRefused.

    Args:
        lag_s: how long the executions that a report left out are asked for before one stands for them.

    Raises:
        ConfigError: orders cannot be found again at this venue.
    """

    def __init__(self, client: CcxtClient, queries: VenueQueries, ledger: OrderLedger, lag_s: float) -> None:
        self.ledger = ledger
        self._pauses = [lag_s / share for share in _LAG_SHARES] if client.has.get("fetchMyTrades") else []
        self.access = access_of(client)
        self._client = client
        self._queries = queries
        self._perpetuals = traits_of(client) if client.trades_perpetuals else None

    @property
    def trades_perpetuals(self) -> bool:
        return self._perpetuals is not None

    async def view(self, symbols: Sequence[str]) -> VenueView:
        """Balances, then the resting orders; of perpetuals their positions instead of coins, and cash as if each were paid for."""
        if self._perpetuals is not None:
            rules = self.rules(symbols)
            held = await self._queries.ask(partial(self._perpetuals.holdings, self._client, rules[0].settle))
            sizes = {r.base: held.sizes[r.symbol] for r in rules if held.sizes.get(r.symbol)}
            return VenueView(balances={rules[0].settle: held.cash, **sizes}, open_orders=tuple(await self.resting(symbols)))
        balance = await self._queries.ask(self._client.fetch_balance)
        totals = {asset: number(amount) for asset, amount in (balance.get("total") or {}).items() if amount}
        return VenueView(balances=totals, open_orders=tuple(await self.resting(symbols)))

    async def resting(self, symbols: Iterable[str]) -> list[RestingOrder]:
        """The orders that rest at the venue, whoever sent them."""
        lists = await asyncio.gather(*(self._queries.ask(partial(self.access.resting, symbol)) for symbol in symbols))
        return [open_order(order) for listed in lists for order in listed]

    def rules(self, symbols: Iterable[str]) -> tuple[MarketRules, ...]:
        """What the venue accepts, by the markets that were loaded last."""
        return self._queries.rules(symbols)

    async def on_order(self, order: CcxtOrder) -> None:
        """Book what the venue says of an order, with all its executions."""
        if self.book(order) > 0:
            await self._complete(order)

    def book(self, order: CcxtOrder) -> Decimal:
        """Book an order as it is reported; returns how many of its filled units came without an execution.

        One that the venue made by itself is booked by its executions.
        """
        return Decimal(0) if self.is_forced(order) else self.ledger.order(order_report(order))

    def is_forced(self, order: CcxtOrder) -> bool:
        """Whether the venue made an order by itself, to reduce a position of ours."""
        return self._perpetuals is not None and self._perpetuals.is_forced(order)

    def on_trade(self, trade: CcxtTrade) -> None:
        """Book one execution."""
        kind = self._perpetuals.kind_of(trade) if self._perpetuals is not None else ""
        if kind:
            self.ledger.forced(kind, execution(trade))
        else:
            self.ledger.execution(execution(trade))

    async def read_funding(self) -> None:
        """Book the funding of perpetuals since the last time."""
        if self._perpetuals is None:
            return
        now, known = self._client.milliseconds(), self.ledger.journal.recall(_FUNDING_READ, 0)
        for payment in await self._queries.ask(partial(self._perpetuals.funding, self._client, known, now)):
            if payment.at >= self._began():
                self.ledger.payment(payment)
        self.ledger.journal.remember(_FUNDING_READ, now)

    async def read_forced(self, symbols: Iterable[str]) -> None:
        """Book what the venue closed of perpetuals by itself."""
        if self._perpetuals is None:
            return
        for symbol in symbols:
            for kind, trade in await self._queries.ask(partial(self._perpetuals.forced, self._client, symbol)):
                fill = execution(trade)
                if fill.at >= self._began():
                    self.ledger.forced(kind, fill)

    def _began(self) -> int:
        """The time (ms) of this journal's first execution: what lies before it concerns somebody else."""
        return min((e.at for e in self.ledger.journal.executions()), default=1 << 62)

    async def replace_stand_ins(self) -> None:
        """Ask once more for the executions of the newest orders for which others stand; some venues never list old ones."""
        newest = sorted(self.ledger.journal.stand_ins(), key=lambda e: e.at)[-_STAND_INS:]
        for stand_in in {e.client_id: e for e in newest}.values():
            self.ledger.listing(stand_in.client_id, await self._executions(stand_in.symbol, stand_in.venue_id))

    async def _complete(self, order: CcxtOrder) -> None:
        """Fetch the executions that a report left out; where the venue does not list them in time, one synthetic execution stands for them.

        A list lags behind the order at some venues, for seconds.
        """
        ledger, report = self.ledger, order_report(order)
        client_id = ledger.ours(report.client_id, report.venue_id)
        for pause in (*self._pauses, None):
            ledger.listing(client_id, await self._executions(report.symbol, report.venue_id))
            if ledger.order(report) == 0:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        report = replace(report, client_id=client_id)
        ledger.execution(synthetic(report, ledger.journal.filled(client_id)))
        ledger.order(report)

    async def _executions(self, symbol: str, venue_id: str) -> list[Execution]:
        """What the venue lists of one order, oldest first."""
        if not self._client.has.get("fetchMyTrades"):
            return []
        listed = [execution(trade) for trade in await self._queries.ask(partial(self.access.trades_of, symbol, venue_id))]
        return sorted(listed, key=lambda e: (e.at, len(e.trade_id), e.trade_id))
