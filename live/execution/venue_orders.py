"""Orders, executions and balances as the venue reports them, booked in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from forwardtrader.live.execution.ccxt_orders import execution, number, open_order, order_report, synthetic
from forwardtrader.live.execution.events import Execution, ForeignOrder, Intent, RestingOrder, VenueView
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.reconciliation import reconcile
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder, CcxtTrade
from forwardtrader.live.venue.order_access import access_of
from forwardtrader.live.venue.retry import VenueQueries


class VenueOrders:
    """Reads orders through one client. Raises (methods that query): VenueUnreachable or VenueRefused.

    Raises:
        ConfigError: orders cannot be found again at this venue.
    """

    def __init__(self, client: CcxtClient, queries: VenueQueries, ledger: OrderLedger) -> None:
        self.ledger = ledger
        self.access = access_of(client)
        self._client = client
        self._queries = queries

    async def view(self, symbols: Iterable[str]) -> VenueView:
        """Balances, then the resting orders."""
        balance = await self._queries.ask(self._client.fetch_balance)
        totals = {asset: number(amount) for asset, amount in (balance.get("total") or {}).items() if amount}
        return VenueView(balances=totals, open_orders=tuple(await self.resting(symbols)))

    async def resting(self, symbols: Iterable[str]) -> list[RestingOrder]:
        """The orders that rest at the venue, whoever sent them."""
        found: list[RestingOrder] = []
        for symbol in symbols:
            found += [open_order(order) for order in await self._queries.ask(partial(self.access.resting, symbol))]
        return found

    def differing(self, intents: Iterable[Intent], resting: Sequence[RestingOrder]) -> tuple[Intent, ...]:
        """Those of `intents` that must be looked up, given what rests; the others are acknowledged, orders of others reported."""
        ledger = self.ledger
        ours = {order.venue_id: name for order in resting if (name := ledger.ours(order.client_id, order.venue_id))}
        found = reconcile([(intent, ledger.journal.filled(intent.client_id)) for intent in intents], resting, ours)
        for order in found.foreign:
            ledger.report_foreign(ForeignOrder(order.symbol, order.venue_id, order.side, order.size, order.client_id))
        for intent, venue_id in found.adopt:
            ledger.acknowledge(intent.client_id, venue_id)
        return found.ask

    async def on_order(self, order: CcxtOrder) -> None:
        """Book what the venue says of an order, with all its executions."""
        if self.book(order) > 0:
            await self._complete(order)

    def book(self, order: CcxtOrder) -> Decimal:
        """Book an order as it is reported; returns how many of its filled units came without an execution."""
        return self.ledger.order(order_report(order))

    def on_trade(self, trade: CcxtTrade) -> None:
        """Book one execution."""
        self.ledger.execution(execution(trade))

    async def _complete(self, order: CcxtOrder) -> None:
        """Fetch the executions that a report left out; one synthetic execution stands for those that the venue does not list."""
        ledger, report = self.ledger, order_report(order)
        for fill in await self._executions(report.symbol, report.venue_id):
            ledger.execution(fill)
        if ledger.order(report) > 0:
            report = replace(report, client_id=ledger.journal.client_id_of(report.venue_id) or report.client_id)
            ledger.execution(synthetic(report, ledger.journal.filled(report.client_id)))
            ledger.order(report)

    async def _executions(self, symbol: str, venue_id: str) -> list[Execution]:
        if not self._client.has.get("fetchMyTrades"):
            return []
        return [execution(trade) for trade in await self._queries.ask(partial(self.access.trades_of, symbol, venue_id))]
