"""The account at the venue: the only file that can send an order, and the third ccxt door.

An intent is in the journal before it comes here. It is posted once. An answer that leaves open whether the order was executed makes it
unknown: the venue is then asked by client id until it is certain, and its symbol takes no further order meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from forwardtrader.core import log
from forwardtrader.core.errors import StorageFull, StoreDamaged, TradingError
from forwardtrader.feeds.venues.exchange import rules_of
from forwardtrader.live.execution.ccxt_errors import OrderOutcome, classify, names_of
from forwardtrader.live.execution.events import AccountEvent, Halted, Intent, Refused, RulesRead, VenueView, arrival_name
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.reports import AccountReports
from forwardtrader.live.execution.retry import VenueQueries
from forwardtrader.live.execution.risk_limits import RiskLimits
from forwardtrader.live.execution.submit import OrderSubmitter, Withheld
from forwardtrader.live.execution.venue_clock import clock_offset as clock_offset
from forwardtrader.live.execution.withdrawals import WithdrawalRight, fetch_withdrawal_right

_LOG: Final = log.logger("live")
_CANCELS: Final = 4
_QUOTE_AFTER_S: Final = 0.01


@dataclass(frozen=True)
class QueryTimeouts:
    """Seconds. A query that finds nothing is believed after `not_found_s`: the time a signed request stays valid, and more."""

    not_found_s: float = 12.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    give_up_s: float = 600.0
    check_every_s: float = 30.0


class CcxtAccount:
    """Orders, executions and balances of one account, through one client that does nothing else.

    Args:
        client: a `ccxt.pro` client with keys.
        journal: holds every intent before it is submitted.
        tell: hears events, in the event loop.
        gate: asked before every order, whoever made it; None for no limits.
    """

    def __init__(
        self, client: Any, journal: Journal, symbols: Sequence[str], tell: Callable[[AccountEvent], None],
        patience: QueryTimeouts | None = None, gate: RiskLimits | None = None,
    ) -> None:  # fmt: skip
        self.client = client
        self.wire = OrderSubmitter(client)
        self.journal = journal
        self.symbols = tuple(symbols)
        self.gate = gate
        self.ledger = OrderLedger(journal, self._hear if gate is not None else tell)
        self.halted = ""
        self.posts = 0
        self.last_price: Callable[[str], float | None] = lambda _symbol: None  # the newest price known, if anybody listens
        self._tell = tell
        self._patience = patience or QueryTimeouts()
        self._lanes: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self.questions = VenueQueries(client, self._patience.first_wait_s)
        self.reports = AccountReports(self, self._patience.check_every_s)
        self._tasks: set[asyncio.Task[Any]] = set()
        if gate is not None:
            gate.know(journal.executions(), [intent for intent, _ in journal.open_intents()])

    async def connect(self) -> None:
        """Read markets and the venue's clock. Raises VenueUnreachable or VenueRefused."""
        await self.questions.ask(self.client.load_markets)
        if self.client.has.get("fetchTime"):
            await self.questions.ask(self.client.load_time_difference)

    async def withdrawal_right(self) -> WithdrawalRight:
        """Whether the key is allowed to withdraw."""
        return await fetch_withdrawal_right(self.client, self.questions.ask)

    async def read(self) -> VenueView:
        """Balances, resting orders, and executions that the journal may lack. Raises as `connect`."""
        return await self.reports.view(self.symbols)

    # Orders. The journal holds the intent already.

    async def send(self, intent: Intent, left: Callable[[], object] = bool) -> None:
        """Post an order that was written to the journal and not sent before; its fate is told as events.

        `left` is called in the event loop once the request is out, or will not go out.
        """
        try:
            await self._send(intent, left)
        finally:
            left()

    async def _send(self, intent: Intent, left: Callable[[], object]) -> None:
        async with self._lanes[intent.symbol]:
            if self.halted:
                self.ledger.refuse(intent.client_id, self.halted)
                return
            await self.questions.turn()
            if objection := self._objection(intent):
                log.event(_LOG, "order_stopped_by_risk_gate", logging.WARNING, client_id=intent.client_id, reason=objection)
                self.ledger.refuse(intent.client_id, objection)
            else:
                with self._kept():
                    await self._post(intent, partial(self._may_leave, intent, left), again=True)

    async def cancel(self, intent: Intent) -> None:
        """Take an order back; a lost race is settled by a query."""
        async with self._lanes[intent.symbol]:
            if self.journal.state_of(intent.client_id) not in OPEN:
                return
            with self._kept():
                await self._take_back(intent)
                if self.journal.state_of(intent.client_id) in OPEN:
                    await self._look(intent)

    async def settle(self, intent: Intent) -> None:
        """Find out what became of an intent that an earlier process left open."""
        async with self._lanes[intent.symbol]:
            if self.journal.state_of(intent.client_id) in OPEN:
                with self._kept():
                    await self._look(intent)

    async def rearm(self) -> None:
        """Send orders again after a halt, and find out what became of those that it left in doubt."""
        self.halted = ""
        for intent, state in self.journal.open_intents():
            if state is IntentState.UNKNOWN:
                await self.settle(intent)

    def _objection(self, intent: Intent) -> str:
        """What the risk gate says; an order that it lets through counts from now on."""
        objection = self.gate.objection(intent) if self.gate is not None else ""
        if self.gate is not None and not objection:
            self.gate.sent(intent)
        return objection

    def _hear(self, event: AccountEvent) -> None:
        assert self.gate is not None
        self.gate.heard(event)
        self._tell(event)

    def _may_leave(self, intent: Intent, left: Callable[[], object]) -> bool:
        """The request stands ready: whether it may go to the venue."""
        if not self._claimed(intent):
            return False
        self.posts += 1
        self.beside(partial(self._note_arrival, intent, self.last_price(intent.symbol)))
        asyncio.get_running_loop().call_soon(left)  # runs as soon as the request waits for its answer
        return True

    def _again(self) -> bool:
        self.posts += 1
        return True

    def _claimed(self, intent: Intent) -> bool:
        """Whether the order may be posted; where that cannot be kept it is not posted, and the next start finds it so."""
        try:
            with self._kept():
                return self.journal.claim(intent.client_id)
        except (StorageFull, StoreDamaged) as trouble:
            self._tell(Refused(intent.client_id, str(trouble)))
            return False

    async def _take_back(self, intent: Intent) -> None:
        """Cancelling twice harms nobody, so it is tried again unless the venue says that the order does not rest."""
        wait = self._patience.first_wait_s
        for _ in range(_CANCELS):
            await self.questions.turn()
            try:
                answer = await self.client.cancel_order(None, intent.symbol, self._by_client_id(intent))
                await self._heard({**answer, "clientOrderId": intent.client_id, "symbol": intent.symbol})
                return
            except (StorageFull, StoreDamaged):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, only the venue knows what became of the order
                kind, reason = names_of(error), log.redact(str(error))[:200]
                log.event(_LOG, "cancel_unclear", client_id=intent.client_id, error=kind[0], reason=reason)
                outcome = classify(kind, reason)
                if "OrderNotFound" in kind or self.halts(error):
                    return
                if outcome is OrderOutcome.BUSY:
                    self.questions.pause()
            await asyncio.sleep(wait)
            wait *= 2

    async def _post(self, intent: Intent, may_leave: Callable[[], bool], *, again: bool) -> None:
        try:
            answer = await self.wire.order(intent, may_leave)
        except Withheld:
            return
        except asyncio.CancelledError:
            self.ledger.doubt(intent.client_id, "stopped while the order was on its way")
            raise
        except Exception as error:  # noqa: BLE001 - every kind has its meaning in the table of verdicts
            await self._judge(intent, error, again=again)
        else:
            await self._heard({**answer, "clientOrderId": intent.client_id, "symbol": intent.symbol})

    async def _judge(self, intent: Intent, error: Exception, *, again: bool) -> None:
        names, reason = names_of(error), " ".join(log.redact(str(error)).split())[:200]
        outcome = classify(names, reason)
        log.event(_LOG, "order_answered_by_error", client_id=intent.client_id, error=names[0], outcome=outcome.value, reason=reason)
        if outcome in (OrderOutcome.REJECTED, OrderOutcome.MARGIN):
            if outcome is OrderOutcome.REJECTED and {"InvalidOrder", "BadRequest"} & set(names):
                await self.attempt(self._read_rules)
            self.ledger.refuse(intent.client_id, reason, margin=outcome is OrderOutcome.MARGIN)
        elif outcome is OrderOutcome.RESEND and again:
            await self.questions.ask(self.client.load_time_difference)
            # The one exception to "posted once": this error says that nothing was executed.
            await self._post(intent, self._again, again=False)
        elif outcome is OrderOutcome.HALT:
            self.halts(error)
            self.ledger.refuse(intent.client_id, reason)
        else:
            if outcome is OrderOutcome.BUSY:
                self.questions.pause()
            self.ledger.doubt(intent.client_id, reason)
            await self._look(intent, certain_s=0.0 if outcome is OrderOutcome.BUSY else None)

    async def _note_arrival(self, intent: Intent, last: float | None) -> None:
        """Keep what the market looked like when the order was sent; asked for behind the order, which must not wait for it."""
        await asyncio.sleep(_QUOTE_AFTER_S)
        seen = {} if last is None else {"last": last}
        if self.client.has.get("fetchOrderBook"):
            book = await self.questions.ask(partial(self.client.fetch_order_book, intent.symbol, 5))
            if book.get("bids") and book.get("asks"):
                seen["half_spread"] = (float(book["asks"][0][0]) - float(book["bids"][0][0])) / 2
        if seen:
            self.journal.remember(arrival_name(intent.client_id), seen)

    async def _read_rules(self) -> None:
        """An order on the grid that is refused all the same may mean that the venue changed its grid."""
        import ccxt

        await self.questions.ask(partial(self.client.load_markets, True))
        ticks = self.client.precisionMode == ccxt.TICK_SIZE
        self._tell(RulesRead(tuple(rules_of(self.client.markets[s], self.client.id, ticks=ticks) for s in self.symbols)))

    async def _look(self, intent: Intent, certain_s: float | None = None) -> None:
        """Ask for the order by client id until the answer is certain."""
        needed = self._patience.not_found_s if certain_s is None else certain_s
        began, wait, missing_since = time.monotonic(), self._patience.first_wait_s, None
        while time.monotonic() - began < self._patience.give_up_s:
            await self.questions.turn()
            try:
                await self._heard(await self.client.fetch_order(None, intent.symbol, self._by_client_id(intent)))
                return
            except (StorageFull, StoreDamaged):
                raise
            except Exception as error:  # noqa: BLE001 - only "not found", said long enough, ends the search
                if "OrderNotFound" in names_of(error):
                    missing_since = missing_since or time.monotonic()
                    if time.monotonic() - missing_since >= needed:
                        self.ledger.refuse(intent.client_id, "it never arrived at the venue")
                        return
                elif self.halts(error):
                    return
                elif classify(names_of(error), str(error)) is OrderOutcome.BUSY:
                    self.questions.pause()
            await asyncio.sleep(wait)
            wait = min(self._patience.longest_wait_s, 2 * wait)
        self._halt(f"order {intent.client_id} stays unresolved; look it up at the venue, then start again")

    async def _heard(self, order: dict[str, Any]) -> None:
        await self.reports.heard(order)

    # News

    async def run(self) -> None:
        """Listen and check until cancelled."""
        await self.reports.run()

    async def check(self) -> None:
        """Compare with the venue: executions since the last known one, and every open order that does not rest there."""
        await self.reports.check()

    # Trouble

    def halts(self, error: BaseException | None) -> bool:
        """Whether an answer says that the venue takes no orders from this key or account; the account is halted then."""
        if error is None or classify(names_of(error), str(error)) is not OrderOutcome.HALT:
            return False
        said = " ".join(log.redact(str(error)).split())[:200]
        self._halt(f"the venue does not accept the key, or restricts the account: {said}")
        return True

    def _halt(self, reason: str, *, unwritable: bool = False) -> None:
        if not self.halted:
            self.halted = reason
            self._tell(Halted(reason, unwritable))

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """What happens in the block is written to the journal; where that fails nothing more is sent."""
        try:
            yield
        except (StorageFull, StoreDamaged) as trouble:
            self._halt(str(trouble), unwritable=True)
            raise

    def beside(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something that nothing waits for."""
        task = asyncio.ensure_future(self.attempt(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something whose failure is no more than told, unless the journal cannot be kept."""
        try:
            with self._kept():
                await work()
        except TradingError as trouble:
            log.event(_LOG, "account_check_failed", reason=str(trouble))
            self.halts(trouble.__cause__)

    def _by_client_id(self, intent: Intent) -> dict[str, str]:
        return {"orderLinkId" if self.client.id == "bybit" else "origClientOrderId": intent.client_id}
