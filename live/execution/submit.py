"""Order submission: the only place that posts an order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import StorageFull, StoreDamaged
from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import Intent, Refused, RulesRead, arrival_name
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.order_lookup import OrderLookup
from forwardtrader.live.execution.reconciliation import assets_of
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.venue.ccxt_client import CcxtClient
from forwardtrader.live.venue.ccxt_errors import OrderOutcome, classify, names_of, would_take
from forwardtrader.live.venue.order_access import access_of
from forwardtrader.live.venue.retry import VenueQueries
from forwardtrader.strategies.order_rules import adds_exposure
from forwardtrader.strategies.orders.entries import CROSSED

_LOG: Final = log.logger("live")
_QUOTE_AFTER_S: Final = 0.01


class OrderSubmitter:
    """Posts each intent once, and books what the answer says.

    An answer that leaves open whether the order was executed makes it unknown: it is looked up by client id, never posted again.

    Args:
        symbols: those of the account, whose rules are read again after a refusal.
        last_price: the newest price of a symbol, or None.
    """

    def __init__(
        self, client: CcxtClient, queries: VenueQueries, ledger: OrderLedger, lookup: OrderLookup, halt: TradingHalt,
        symbols: Sequence[str], last_price: Callable[[str], float | None],
    ) -> None:  # fmt: skip
        self._client = client
        self._queries = queries
        self._ledger = ledger
        self._lookup = lookup
        self._halt = halt
        self._symbols = tuple(symbols)
        self._last_price = last_price
        self._directed = access_of(client).traits.has_directions

    async def post(self, intent: Intent, left: Callable[[], object] = bool) -> None:
        """Send the order of an intent that the journal holds; a second call for the same intent sends nothing.

        Args:
            left: called in the event loop as soon as the request waits for its answer.
        """
        if self._claimed(intent):
            self._halt.attempt_later(partial(self._note_arrival, intent, self._last_price(intent.symbol)))
            asyncio.get_running_loop().call_soon(left)
            await self._create(intent, clock_corrected=False)

    def _claimed(self, intent: Intent) -> bool:
        """Whether this call may post the order; where that cannot be written it is not posted, and the next start finds it so."""
        try:
            with self._halt.on_storage_error():
                return self._ledger.journal.claim(intent.client_id)
        except (StorageFull, StoreDamaged) as error:
            self._ledger.tell(Refused(intent.client_id, str(error)))
            return False

    async def _create(self, intent: Intent, *, clock_corrected: bool) -> None:
        try:
            answer = await self._client.create_order(*order_arguments(intent, reduces=self._reduces(intent), directed=self._directed))
        except asyncio.CancelledError:
            self._ledger.doubt(intent.client_id, "stopped while the order was on its way")
            raise
        except Exception as error:  # noqa: BLE001 - `classify` gives every kind its meaning
            await self._on_error(intent, error, clock_corrected=clock_corrected)
        else:
            await self._lookup.on_answer(intent, await self._lookup.completed(intent, answer) if intent.post_only else answer)

    def _reduces(self, intent: Intent) -> bool:
        """Whether an order on a perpetual only reduces the position that is booked, so that it must not do more at the venue."""
        request = intent.request
        held = self._ledger.effects.get(assets_of(request.symbol)[0], Decimal(0))
        return self._client.trades_perpetuals and not adds_exposure(held, request.side, request.size)

    async def _on_error(self, intent: Intent, error: Exception, *, clock_corrected: bool) -> None:
        names, reason = names_of(error), " ".join(log.redact(str(error)).split())[:200]
        outcome = classify(names, reason)
        log.event(_LOG, "order_answered_by_error", client_id=intent.client_id, error=names[0], outcome=outcome.value, reason=reason)
        if intent.post_only and outcome is OrderOutcome.REJECTED and would_take(names, reason):
            self._ledger.refuse(intent.client_id, CROSSED)
        elif outcome in (OrderOutcome.REJECTED, OrderOutcome.MARGIN):
            if outcome is OrderOutcome.REJECTED and {"InvalidOrder", "BadRequest"} & set(names):
                await self._halt.attempt(self._read_rules)
            self._ledger.refuse(intent.client_id, reason, margin=outcome is OrderOutcome.MARGIN)
        elif outcome is OrderOutcome.RESEND and not clock_corrected:
            await self._queries.ask(self._client.load_time_difference)
            # The one exception to "posted once": this error says that nothing was executed.
            await self._create(intent, clock_corrected=True)
        elif outcome is OrderOutcome.HALT:
            self._halt.on_error(error)
            self._ledger.refuse(intent.client_id, reason)
        else:
            await self._on_unknown(intent, reason, is_busy=outcome is OrderOutcome.BUSY)

    async def _on_unknown(self, intent: Intent, reason: str, *, is_busy: bool) -> None:
        """Look the order up; a venue that was too busy has most likely not taken it, which one query confirms."""
        if is_busy:
            self._queries.pause()
        self._ledger.doubt(intent.client_id, reason)
        await self._lookup.resolve(intent, not_found_s=0.0 if is_busy else None)

    async def _read_rules(self) -> None:
        """An order on the grid that is refused all the same may mean that the venue changed its grid."""
        await self._queries.ask(partial(self._client.load_markets, True))
        self._ledger.tell(RulesRead(self._queries.rules(self._symbols)))

    async def _note_arrival(self, intent: Intent, last: float | None) -> None:
        """Keep the market as it was when the order was sent; queried after the order, which must not wait for it."""
        await asyncio.sleep(_QUOTE_AFTER_S)
        seen = {} if last is None else {"last": last}
        if self._client.has.get("fetchOrderBook"):
            book = await self._queries.ask(partial(self._client.fetch_order_book, intent.symbol, 5))
            bids, asks = book.get("bids"), book.get("asks")
            if bids and asks:
                seen["half_spread"] = (float(asks[0][0]) - float(bids[0][0])) / 2
        if seen:
            self._ledger.journal.remember(arrival_name(intent.client_id), seen)


def order_arguments(
    intent: Intent, *, reduces: bool = False, directed: bool = False
) -> tuple[str, str, str, float, float | None, dict[str, object]]:
    """The arguments of ccxt's `create_order`. A market order never carries a price: binance would buy for an amount of quote currency."""
    request = intent.request
    params: dict[str, object] = {"clientOrderId": intent.client_id}
    if request.stop_price is not None and not intent.triggered:
        params["triggerPrice" if directed else "stopLossPrice"] = float(request.stop_price)
        if directed:
            params["triggerDirection"] = "ascending" if request.side is Side.BUY else "descending"
    if reduces:
        params["reduceOnly"] = True
    if intent.post_only:
        params["postOnly"] = True
    kind = "market" if request.limit_price is None else "limit"
    price = None if request.limit_price is None else float(request.limit_price)
    side = "buy" if request.side is Side.BUY else "sell"
    return request.symbol, kind, side, float(request.size), price, params
