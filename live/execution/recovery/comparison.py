"""The comparison of journal and venue: at the start before anything is decided, after a reconnection, and regularly.

Balances and resting orders are read again until nothing moved while they were read. Then they show the same moment, and what is booked
explains what the account gained and lost. What it does not explain counts only when a second reading shows it too: some venues' balances
lag behind their executions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules
from forwardtrader.live.execution.events import BalanceChanged, ForeignOrder, Intent, VenueView
from forwardtrader.live.execution.journal import OPEN, IntentState
from forwardtrader.live.execution.reconciliation import JournalFacts, Reconciled, assets_of, missing_coins, reconcile, tolerances_of
from forwardtrader.live.execution.trading_halt import TradingHalt
from forwardtrader.live.execution.venue_orders import VenueOrders

_LOG: Final = log.logger("live")
_ATTEMPTS: Final = 10
_READINGS: Final = 3
_AT_ONCE: Final = 8  # lookups that run side by side
_APART: Final = "apart"


class Lookup(Protocol):
    """Finds out what became of orders."""

    async def resolve(self, intent: Intent) -> None:
        """Ask until the answer is certain."""

    async def cancel_again(self) -> None:
        """Take back what the venue has not confirmed to be cancelled."""

    async def look_again(self, intent: Intent) -> None:
        """Book what the venue has of an order, whatever its lists say."""


@dataclass(frozen=True)
class OpenedAccount:
    """The account at the moment of the start.

    Attributes:
        changed: what it gained or lost while nobody looked, reported as events.
    """

    view: VenueView
    changed: tuple[BalanceChanged, ...]


@dataclass(frozen=True)
class _Reading:
    view: VenueView
    found: Reconciled
    missing: str = ""

    @property
    def is_explained(self) -> bool:
        return not self.found.changed and not self.missing


class VenueComparison:
    """Compares, one comparison at a time, and has the differences settled. Raises (methods): VenueUnreachable or VenueRefused.

    Args:
        lag_s: seconds that one list of the venue may be behind another: so long a balance that executions do not explain is not believed.
    """

    def __init__(self, orders: VenueOrders, lookup: Lookup, halt: TradingHalt, symbols: Sequence[str], lag_s: float) -> None:
        self._orders = orders
        self._ledger = orders.ledger
        self._journal = orders.ledger.journal
        self._lookup = lookup
        self._halt = halt
        self._symbols = symbols
        self._lag_s = lag_s
        self._turn = asyncio.Lock()
        kept = self._journal.recall(_APART, {})
        self._apart = {str(asset): Decimal(amount) for asset, amount in kept.items()}

    async def open(self, rules: Sequence[MarketRules]) -> OpenedAccount:
        """Settle every open intent, then read the account; for a start, when nothing is on its way.

        Raises:
            ReconciliationFailed: coins that our orders bought are gone, an order stays unresolved, or the account never rests.
            VenueRefused: the venue does not accept the key, or cannot be asked about an order.
        """
        async with self._turn:
            reading = await self._reading(rules)
            for _ in range(_READINGS):
                if reading.is_explained:
                    break
                await asyncio.sleep(self._lag_s)
                if reading.found.changed:
                    await self._look_again()
                elif reading.missing:
                    await self._orders.read_forced(self._symbols)
                before, reading = reading, await self._reading(rules)
                is_late = reading.missing and self._orders.trades_perpetuals  # what the venue closed may be listed seconds later
                if (reading.found.changed, reading.missing) == (before.found.changed, before.missing) and not is_late:
                    break
            if reading.missing:
                raise ReconciliationFailed(
                    f"{reading.missing}: they were moved or sold by hand; put them back, or start a session of another name"
                )
            self._report(reading.found)
            return OpenedAccount(reading.view, reading.found.changed)

    async def check(self) -> None:
        """Compare once, and report what the journal does not explain; nothing is judged while orders are on their way."""
        async with self._turn:
            await self._lookup.cancel_again()
            reading = await self._read(is_start=False)
            if reading is None or reading.is_explained:
                self._report(reading.found if reading else Reconciled())
                return
            await asyncio.sleep(self._lag_s)
            await self._look_again()
            again = await self._read(is_start=False)
            if again is not None and (not again.found.changed or again.found.changed == reading.found.changed):
                self._report(again.found)

    async def _reading(self, rules: Sequence[MarketRules]) -> _Reading:
        reading = await self._read(is_start=True)
        if reading is None:
            raise ReconciliationFailed("orders are executed faster than the account can be read; start again when the market is quieter")
        return _Reading(reading.view, reading.found, missing_coins(self._journal.executions(), rules, reading.view.balances))

    async def _read(self, *, is_start: bool) -> _Reading | None:
        """Read and settle until nothing moved meanwhile; None where it does not come to rest, or orders are on their way."""
        for _ in range(_ATTEMPTS):
            before = self._ledger.changes
            await self._orders.replace_stand_ins()
            await self._orders.read_funding()
            view = await self._orders.view(self._symbols)
            if self._ledger.changes != before:
                continue  # what rested when it was read may be over by now
            found = reconcile(self._facts(view, is_start=is_start), view)
            await self._carry_out(found)
            if is_start and self._halt.reason:
                raise self._halt.error(self._halt.reason)
            if self._ledger.changes == before:
                return None if not is_start and self._in_flight() else _Reading(view, found)
        return None

    def _facts(self, view: VenueView, *, is_start: bool) -> JournalFacts:
        journal, ledger = self._journal, self._ledger
        ours = {order.venue_id: name for order in view.open_orders if (name := ledger.ours(order.client_id, order.venue_id))}
        open_now = [intent for intent, state in journal.open_intents() if is_start or state is IntentState.ACKNOWLEDGED]
        return JournalFacts(
            open=tuple((intent, journal.filled(intent.client_id)) for intent in open_now),
            ours=ours,
            closed=frozenset(name for name in ours.values() if journal.state_of(name) not in OPEN),
            effects=ledger.effects,
            apart=self._apart,
            tolerances=self._compared_assets(),
        )

    def _compared_assets(self) -> dict[str, Decimal]:
        """Tolerances of all assets but those whose exact changes are not known."""
        unclear = {asset for symbol in self._journal.symbols_without_fees() for asset in assets_of(symbol)}
        found = tolerances_of(self._orders.rules(self._symbols))
        return {asset: tolerance for asset, tolerance in found.items() if asset not in unclear}

    def _in_flight(self) -> bool:
        return any(state is not IntentState.ACKNOWLEDGED for _, state in self._journal.open_intents())

    async def _carry_out(self, found: Reconciled) -> None:
        ledger = self._ledger
        for order in found.foreign:
            ledger.report_foreign(ForeignOrder(order.symbol, order.venue_id, order.side, order.size, order.client_id))
        for intent, venue_id in found.adopt:
            ledger.acknowledge(intent.client_id, venue_id)
        for client_id, venue_id in found.reopen:
            ledger.reopen(client_id, venue_id)
        await _side_by_side(self._lookup.resolve, found.ask)

    async def _look_again(self) -> None:
        """Ask for the orders that rest, and the newest that closed short: what looks like a transfer may be an execution of one of them."""
        resting = [intent for intent, state in self._journal.open_intents() if state is IntentState.ACKNOWLEDGED]
        await _side_by_side(self._lookup.look_again, [*resting, *self._journal.closed_short()])
        await self._orders.read_forced(self._symbols)

    def _report(self, found: Reconciled) -> None:
        for change in found.changed:
            log.event(_LOG, "balance_changed", asset=change.asset, change=str(change.change), held=str(change.held))
            self._ledger.tell(change)
        if not found.apart.items() <= self._apart.items():
            self._apart |= found.apart
            self._journal.remember(_APART, {asset: str(amount) for asset, amount in self._apart.items()})


async def _side_by_side(work: Callable[[Intent], Awaitable[None]], intents: Iterable[Intent]) -> None:
    """Run work for each, some at a time; raises the first error when all have ended."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(intent: Intent) -> None:
        async with slots:
            await work(intent)

    ends = await asyncio.gather(*(one(intent) for intent in intents), return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
