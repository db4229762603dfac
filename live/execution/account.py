"""The account at the venue: sends, cancels and settles orders, one at a time per symbol.

An intent is in the journal before it comes here, and is posted once. Where an answer leaves open whether the order was executed, the venue
is queried by client id until it is certain, and its symbol takes no further order meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from forwardtrader.core import log
from forwardtrader.live.execution.events import AccountEvent, ClosedByVenue, ForeignOrder, Intent, VenueView
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.order_lookup import OrderLookup, QueryTimeouts, key_of
from forwardtrader.live.execution.recovery.comparison import VenueComparison
from forwardtrader.live.execution.reports import AccountReports
from forwardtrader.live.execution.risk_limits import AccountRiskLimits
from forwardtrader.live.execution.submit import OrderSubmitter
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.execution.venue_orders import VenueOrders
from forwardtrader.live.venue.account_mode import read_mode, require_one_way_cross, set_leverage
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.perpetuals import LIQUIDATION, require_plain_contracts
from forwardtrader.live.venue.retry import VenueQueries
from forwardtrader.live.venue.withdrawals import WithdrawalRight, fetch_withdrawal_right

_LOG: Final = log.logger("live")
_CANCEL_ANSWER_S: Final = 1.0  # after that an order is posted though a cancel before it is not answered
_ACCEPTED: Final = "accepted orders"  # of other sessions; a person saw them and let this one go on


class CcxtAccount:
    """Orders, executions and balances of one account, through one client that does nothing else.

    Args:
        client: a `ccxt.pro` client with keys.
        journal: holds every intent before it is sent.
        notify: receives events, in the event loop; must not block.
        limits: checked before every order, whoever made it; None for no limits.
        last_price: the newest price of a symbol, or None.
    """

    def __init__(
        self, client: CcxtClient, journal: Journal, symbols: Sequence[str], notify: Callable[[AccountEvent], None],
        timeouts: QueryTimeouts | None = None, limits: AccountRiskLimits | None = None,
        last_price: Callable[[str], float | None] = lambda _symbol: None,
    ) -> None:  # fmt: skip
        timeouts = timeouts or QueryTimeouts()
        self.client = client
        self.journal = journal
        self.symbols = tuple(symbols)
        self.queries = VenueQueries(client, timeouts.first_wait_s)
        self.switch: Callable[[], str] = lambda: ""  # why no order may leave, asked before each one; "" where they may
        self._notify_owner = notify
        self._limits = limits
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._cancels: dict[str, set[asyncio.Event]] = defaultdict(set)  # by symbol those that the venue has not answered yet
        self._queued: set[str] = set()  # client ids of orders that wait for their turn: nothing of them has left
        self._halt = TradingHalt(notify)
        self._strangers: list[str] = []  # venue ids of orders that another session sent
        self.orders = VenueOrders(client, self.queries, OrderLedger(journal, self._notify), timeouts.lag_s)
        self._lookup = OrderLookup(client, self.queries, self.orders, self._halt, timeouts)
        self._submitter = OrderSubmitter(client, self.queries, self.orders.ledger, self._lookup, self._halt, symbols, last_price)
        self.comparison = VenueComparison(self.orders, self._lookup, self._halt, self.symbols, timeouts.lag_s)
        self._reports = AccountReports(client, self.orders, self._halt, self.comparison.check, timeouts.check_every_s)
        if limits is not None:
            limits.restore(journal.executions(), [intent for intent, _ in journal.open_intents()])

    async def connect(self) -> None:
        """Read markets, unless the client has them, and the venue's clock. Raises VenueUnreachable or VenueRefused."""
        await self.queries.ask(self.client.load_markets)
        if self.client.has.get("fetchTime"):
            await self.queries.ask(self.client.load_time_difference)
        kind_of_account = getattr(self.client, "is_unified_enabled", None)  # which Bybit's client asks for before each call until it knows
        if kind_of_account is not None:
            await self.queries.ask(kind_of_account)

    async def prepare_positions(self, leverage: Decimal) -> None:
        """Require one-way positions and cross margin, and set the leverage of perpetuals.

        Raises:
            StartRefused: another mode, or a leverage that the venue does not take.
            ConfigError: contracts of another size than one unit.
            VenueUnreachable, VenueRefused: no answer, or a refusal.
        """
        require_plain_contracts(self.queries.rules(self.symbols))
        mode = await read_mode(self.client, self.queries, self.symbols)
        require_one_way_cross(mode)
        await set_leverage(self.client, self.queries, mode, leverage)

    @property
    def trades_perpetuals(self) -> bool:
        return self.orders.trades_perpetuals

    async def read_funding(self) -> None:
        """Book the funding of perpetuals since the last time; a venue that does not answer is asked again by the next comparison."""
        await self._halt.attempt(self.orders.read_funding)

    async def withdrawal_right(self) -> WithdrawalRight:
        """Whether the key is allowed to withdraw."""
        return await fetch_withdrawal_right(self.client, self.queries)

    async def read(self) -> VenueView:
        """Balances and resting orders. Raises as `connect`."""
        return await self.orders.view(self.symbols)

    @property
    def halted(self) -> str:
        """Why no order is sent; "" where they are."""
        return self._halt.reason

    def halt(self, reason: str) -> None:
        """Send no more orders until `rearm`; may be called from any thread."""
        self._halt.halt(reason)

    # Orders. The journal holds the intent already.

    async def send(self, intent: Intent, left: Callable[[], object] = bool) -> None:
        """Post an order that the journal holds and that was not posted before; its fate arrives as events.

        `left` is called in the event loop once the request is out, or will not go out.
        """
        self._queued.add(intent.client_id)
        try:
            if before := self._cancels[intent.symbol]:  # what they lock may be what is sold
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.gather(*(answered.wait() for answered in before)), _CANCEL_ANSWER_S)
            async with self._locks[intent.symbol]:
                await self.queries.wait_turn()
                if intent.client_id not in self._queued:
                    return  # it was taken back meanwhile
                self._queued.discard(intent.client_id)
                if refusal := self._refusal(intent):
                    self.orders.ledger.refuse(intent.client_id, refusal)
                    return
                with self._halt.on_storage_error():
                    await self._submitter.post(intent, left)
        finally:
            self._queued.discard(intent.client_id)
            left()

    async def cancel(self, intent: Intent) -> None:
        """Take an order back; one that was executed meanwhile is looked up, one that waits for its turn is not sent.

        A request under way for another order of its symbol, which may take minutes to settle, is not waited for first.
        """
        answered = asyncio.Event()
        self._cancels[intent.symbol].add(answered)
        try:
            await self._cancel(intent, answered)
        finally:
            answered.set()
            self._cancels[intent.symbol].discard(answered)

    async def _cancel(self, intent: Intent, answered: asyncio.Event) -> None:
        lock = self._locks[intent.symbol]
        with self._halt.on_storage_error():
            self.orders.ledger.want_off(intent.client_id)
        if intent.client_id in self._queued:
            self._queued.discard(intent.client_id)
            with self._halt.on_storage_error():
                self.orders.ledger.take_back(intent.client_id)
            return
        if lock.locked() and self.journal.state_of(intent.client_id) in OPEN:
            with self._halt.on_storage_error():
                await self._lookup.cancel(intent)
                answered.set()
                if self.journal.state_of(intent.client_id) in OPEN:
                    await self._lookup.look_again(intent)  # what it has bought is known before its answer comes
        async with lock:
            if self.journal.state_of(intent.client_id) not in OPEN:
                return
            with self._halt.on_storage_error():
                await self._lookup.cancel(intent)
                answered.set()
                if self.journal.state_of(intent.client_id) in OPEN:
                    await self._lookup.resolve(intent)

    async def cancel_all(self) -> None:
        """Take every open order back."""
        await asyncio.gather(*(self.cancel(intent) for intent, _ in self.journal.open_intents()))

    def stop_trading(self, reason: str) -> None:
        """Send no order any more until `rearm`; in the event loop."""
        self._halt.halt(reason)

    async def settle(self, intent: Intent) -> None:
        """Find out what became of an open intent."""
        async with self._locks[intent.symbol]:
            if self.journal.state_of(intent.client_id) in OPEN:
                with self._halt.on_storage_error():
                    await self._lookup.resolve(intent)

    async def rearm(self) -> None:
        """Send orders again after a halt, and find out what became of those that it left in doubt."""
        self._halt.reason = ""
        if self._strangers:
            self.journal.remember(_ACCEPTED, [*self.journal.recall(_ACCEPTED, ()), *self._strangers])
            self._strangers.clear()
        for intent, state in self.journal.open_intents():
            if state is IntentState.UNKNOWN:
                await self.settle(intent)

    # Reports

    async def run(self) -> None:
        """Receive reports and compare with the venue until cancelled. Before a start asks its first question, so that it misses nothing."""
        await self._reports.run()

    def _refusal(self, intent: Intent) -> str:
        """Why the order is not sent: a halt, its venue, or a limit; "" for one that is, which counts against the limits from now on."""
        refusal = self.halted or self.switch() or self.orders.access.objection(key_of(intent))
        if refusal or self._limits is None:
            return refusal
        reason = self._limits.admit(intent)
        if reason:
            log.event(_LOG, "order_stopped_by_risk_gate", logging.WARNING, client_id=intent.client_id, reason=reason)
        return reason

    def _notify(self, event: AccountEvent) -> None:
        if isinstance(event, ForeignOrder) and event.is_another_session and event.venue_id not in self.journal.recall(_ACCEPTED, ()):
            self._strangers.append(event.venue_id)
            self._halt.halt(
                f"order {event.client_id} is of our form and not in this journal: another session or a copy of this one trades the "
                f"account, or the journal is not the newest; stop the other one and look at the account, then use --resume"
            )
        if self._limits is not None:
            self._limits.on_event(event)
        self._notify_owner(event)
        if isinstance(event, ClosedByVenue) and event.kind == LIQUIDATION:
            self._halt.halt(
                f"the venue liquidated the position in {event.execution.symbol}: look at the account, its margin and its leverage, then "
                f"use --resume"
            )
