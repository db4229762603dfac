"""The fate of an order, asked of the venue by client id until it is certain; and its cancellation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import ReconciliationFailed, StorageFull, StoreDamaged, TradingError, VenueRefused, VenueUnreachable
from forwardtrader.core.retry import Backoff
from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import NEVER_ARRIVED, Intent
from forwardtrader.live.execution.journal import OPEN
from forwardtrader.live.execution.order_traces import OrderTraces, UnclearTraces
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.execution.venue_orders import VenueOrders
from forwardtrader.live.venue.ccxt_client import CcxtClient, CcxtOrder
from forwardtrader.live.venue.ccxt_errors import OrderOutcome, classify, is_query_error, names_of
from forwardtrader.live.venue.order_access import OrderKey
from forwardtrader.live.venue.retry import VenueQueries

_LOG: Final = log.logger("live")
_CANCELS: Final = 4


@dataclass(frozen=True)
class QueryTimeouts:
    """Seconds. A query that finds nothing is believed after `not_found_s`, the time a signed request stays valid and more, if no list of
    the venue has a trace of the order either.
    """

    not_found_s: float = 12.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0
    give_up_s: float = 600.0
    check_every_s: float = 30.0
    lag_s: float = 5.0  # that a venue's list of executions, orders or balances may lag behind another one

    @property
    def backoff(self) -> Backoff:
        return Backoff(first_s=self.first_wait_s, longest_s=self.longest_wait_s)


class OrderLookup:
    """Resolves and cancels orders of ours, one order at a time."""

    def __init__(self, client: CcxtClient, queries: VenueQueries, orders: VenueOrders, halt: TradingHalt, timeouts: QueryTimeouts) -> None:
        self._client = client
        self._queries = queries
        self._orders = orders
        self._halt = halt
        self._timeouts = timeouts
        self._uncancelled: dict[str, Intent] = {}  # wanted off the venue, which has not confirmed it
        self._traces = OrderTraces(client, queries, orders.ledger.journal.client_id_of)

    async def on_answer(self, intent: Intent, answer: CcxtOrder) -> None:
        """Book what the answer to a post or cancel says; some venues leave id and symbol out of it."""
        await self._orders.on_order({**answer, "clientOrderId": intent.client_id, "symbol": intent.symbol})

    async def completed(self, intent: Intent, answer: CcxtOrder) -> CcxtOrder:
        """The order of an answer that has its ids only, so that it does not say whether the order rests; asked once."""
        if answer.get("status"):
            return answer
        try:
            return await self._orders.access.find(key_of(intent)) or answer
        except Exception as error:  # noqa: BLE001 - the venue reports the order, or it is compared with the lists
            log.event(_LOG, "order_query_failed", client_id=intent.client_id, error=names_of(error)[0])
            return answer

    async def resolve(self, intent: Intent, not_found_s: float | None = None) -> None:
        """Ask for the order until the answer is certain, else halt the account.

        Args:
            not_found_s: how long the venue must not know the order, question after question, until it is taken as never arrived; the
                account's own time where None.
        """
        needed = self._timeouts.not_found_s if not_found_s is None else not_found_s
        now, failures = asyncio.get_running_loop().time, 0
        began, unknown_since = now(), -1.0
        kind: type[TradingError] = ReconciliationFailed
        while now() - began < self._timeouts.give_up_s:
            await self._queries.wait_turn()
            sent = self._client.requests_sent
            try:
                if await self._booked(intent, await self._orders.access.find(key_of(intent))):
                    return
                unknown_since, kind = (now() if unknown_since < 0 else unknown_since), ReconciliationFailed
                if now() - unknown_since >= needed:
                    if not await self._booked(intent, await self._traces.find(key_of(intent))):
                        self._orders.ledger.refuse(intent.client_id, NEVER_ARRIVED)
                    return
            except (StorageFull, StoreDamaged):
                raise
            except Exception as error:  # noqa: BLE001 - only "not found", for long enough, ends the search
                log.event(_LOG, "order_query_failed", client_id=intent.client_id, error=names_of(error)[0])
                if self._is_unaskable(error, sent) or self._is_final(error):
                    return
                await self._correct_clock(error)
                unknown_since = -1.0  # what happened while it did not answer is not known
                kind = ReconciliationFailed if isinstance(error, UnclearTraces) else VenueUnreachable
            failures += 1
            await asyncio.sleep(self._timeouts.backoff.pause(failures))
        self._halt.halt(f"order {intent.client_id} stays unresolved; look it up at the venue, then start again", error=kind)

    async def _booked(self, intent: Intent, found: CcxtOrder | None) -> bool:
        """Whether the venue has the order, which is booked then."""
        if found is not None:
            await self.on_answer(intent, found)
        return found is not None

    async def look_again(self, intent: Intent) -> None:
        """Book what the venue has of an order, whatever its lists say; asked once."""
        await self._queries.wait_turn()
        try:
            order = await self._orders.access.find(key_of(intent))
        except Exception as error:  # noqa: BLE001 - it is asked again at the next comparison
            self._is_final(error)
            return
        if order is not None:
            await self._orders.on_order(order)

    async def cancel(self, intent: Intent) -> None:
        """Take an order back. Cancelling twice does no harm, so it is retried unless the venue does not know the order any more.

        One that no answer confirms is repeated by `cancel_again`.
        """
        self._uncancelled.pop(intent.client_id, None)
        for attempt in range(1, _CANCELS + 1):
            await self._queries.wait_turn()
            sent = self._client.requests_sent
            try:
                await self.on_answer(intent, await self._orders.access.cancel(key_of(intent)))
                return
            except (StorageFull, StoreDamaged):
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, only the venue knows what became of the order
                names, reason = names_of(error), log.redact(str(error))[:200]
                log.event(_LOG, "cancel_unclear", client_id=intent.client_id, error=names[0], reason=reason)
                if "OrderNotFound" in names or self._is_unaskable(error, sent) or self._is_final(error):
                    return
                await self._correct_clock(error)
            await asyncio.sleep(self._timeouts.backoff.pause(attempt))
        self._uncancelled[intent.client_id] = intent

    async def cancel_again(self) -> None:
        """Take back what no answer has confirmed so far: it may still rest, and nobody else would ask for it again."""
        journal = self._orders.ledger.journal
        for client_id, intent in list(self._uncancelled.items()):
            if journal.state_of(client_id) in OPEN:
                await self.cancel(intent)
            else:
                self._uncancelled.pop(client_id, None)

    async def _correct_clock(self, error: Exception) -> None:
        """Without the new difference no signature is valid once a clock has jumped, neither now nor later."""
        if classify(names_of(error), str(error)) is OrderOutcome.RESEND:
            await self._halt.attempt(self._read_clock)

    async def _read_clock(self) -> None:
        await self._queries.ask(self._client.load_time_difference)

    def _is_final(self, error: Exception) -> bool:
        """Whether the account is halted by this error; a venue that is too busy is left alone for a while."""
        if classify(names_of(error), str(error)) is OrderOutcome.BUSY:
            self._queries.pause()
        return self._halt.on_error(error)

    def _is_unaskable(self, error: Exception, sent: int) -> bool:
        """Whether the query itself is wrong, which no repetition mends: then the account is halted with its reason at once.

        Args:
            sent: the client's count of requests before the query.
        """
        names = names_of(error) + (names_of(error.__cause__) if error.__cause__ is not None else [])
        if not is_query_error(names, unsent=self._client.requests_sent == sent):
            return False
        reason = " ".join(log.redact(str(error)).split())[:200]
        self._halt.halt(f"{self._client.id} cannot be asked about an order ({names[0]}: {reason})", error=VenueRefused)
        return True


def key_of(intent: Intent) -> OrderKey:
    """What the order of an intent is found by."""
    request = intent.request
    return OrderKey(
        client_id=intent.client_id, symbol=intent.symbol, side="buy" if request.side is Side.BUY else "sell",
        is_stop=request.stop_price is not None and not intent.triggered, since=intent.bar,
    )  # fmt: skip
