"""Planted defects: each takes one safety rule away, and the simulation must notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, TypeAlias
from unittest.mock import patch

from forwardtrader.live.bridge import recovery
from forwardtrader.live.bridge.contingent import restoring
from forwardtrader.live.bridge.contingent.families import Decided, KnownIntent, Step
from forwardtrader.live.bridge.contingent.missing_stops import MissingStops
from forwardtrader.live.execution import ccxt_orders, reconciliation, venue_orders
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import Ended
from forwardtrader.live.execution.journal import OPEN, IntentState, Journal
from forwardtrader.live.execution.ledger import OrderLedger
from forwardtrader.live.execution.order_lookup import OrderLookup
from forwardtrader.live.execution.order_traces import OrderTraces
from forwardtrader.live.execution.reconciliation import Reconciled, require_covered
from forwardtrader.live.execution.recovery import comparison
from forwardtrader.live.execution.recovery.comparison import VenueComparison
from forwardtrader.live.execution.submit import OrderSubmitter
from forwardtrader.live.venue.trade_pages import TradePages
from tests.simulation.scenario import Scenario
from tests.simulation.world import Outcome, simulate

SEEDS: Final = range(400)
Change: TypeAlias = tuple[Any, str, Any]


@dataclass(frozen=True)
class Defect:
    """A rule, and what is done to the program so that it does not hold."""

    rule: str
    changes: Callable[[], list[Change]]

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in self.changes():
                stack.enter_context(patch.object(owner, name, value))
            yield

    def found_by(self, seeds: range) -> tuple[int, Outcome] | None:
        """How many of these seeds were needed, and the run that breaks an invariant and breaks none without the defect."""
        for number, seed in enumerate(seeds, 1):
            with self.planted():
                outcome = simulate(Scenario.of(seed))
            if outcome.violation and not simulate(Scenario.of(seed)).violation:
                return number, outcome
        return None


async def _nothing(*_args: Any, **_options: Any) -> None:
    """Leave it out."""


def _ignore(*_args: Any, **_options: Any) -> None:
    """Leave it out."""


def _unprotected(self: Any, order: Any, reason: str) -> bool:
    self._say(order, reason)
    return False


def _resend() -> list[Change]:
    async def on_unknown(self: Any, intent: Any, _reason: str, *, is_busy: bool) -> None:
        await self._create(intent, clock_corrected=is_busy)

    return [(OrderSubmitter, "_on_unknown", on_unknown)]


def _unknown_is_refused() -> list[Change]:
    async def on_unknown(self: Any, intent: Any, reason: str, *, is_busy: bool) -> None:
        self._ledger.refuse(intent.client_id, reason)

    # What takes a wrong refusal back later is left out too: it would heal this one.
    healers: list[Change] = [(OrderLedger, "_reopen_refused", _ignore), (OrderLedger, "reopen", _ignore)]
    return [(OrderSubmitter, "_on_unknown", on_unknown), *healers]


def _journal_after_wire() -> list[Change]:
    return [(Journal, "_put", lambda *_args: None)]


def _not_found_at_once() -> list[Change]:
    resolve = OrderLookup.resolve

    async def at_once(self: Any, intent: Any, not_found_s: float | None = None) -> None:
        await resolve(self, intent, 0.0)

    # What looks for the order in the venue's lists then would find it.
    return [(OrderLookup, "resolve", at_once), (OrderTraces, "find", _nothing)]


def _covered_before_settled() -> list[Change]:
    open_account = VenueComparison.open

    async def too_early(self: Any, rules: Any) -> Any:
        require_covered(self._journal.executions(), rules, (await self._orders.view(self._symbols)).balances)
        return await open_account(self, rules)

    return [(VenueComparison, "open", too_early)]


def _report_twice() -> list[Change]:
    book, executions = Journal.book, Journal.executions

    def nameless(self: Any, client_id: str | None = None) -> Any:
        return executions(self) if client_id is None else [replace(e, trade_id="") for e in executions(self, client_id)]

    return [(Journal, "book", lambda self, execution: book(self, execution) or True), (Journal, "executions", nameless)]


def _no_fees() -> list[Change]:
    execution = ccxt_orders.execution

    def without_fee(*args: Any) -> Any:
        return replace(execution(*args), fee=Decimal(0))

    return [(ccxt_orders, "execution", without_fee), (venue_orders, "execution", without_fee)]


def _adopt_blindly() -> list[Change]:
    reconcile = comparison.reconcile

    def adopting(journal: Any, venue: Any) -> Reconciled:
        return reconcile(replace(journal, open=tuple((intent, Decimal("Infinity")) for intent, _ in journal.open)), venue)

    return [(comparison, "reconcile", adopting)]


def _no_settling() -> list[Change]:
    reconcile = comparison.reconcile
    return [(comparison, "reconcile", lambda journal, venue: replace(reconcile(journal, venue), ask=()))]


def _high_water_mark() -> list[Change]:
    execution = OrderLedger.execution

    def newest_only(self: Any, fill: Any) -> None:
        booked = [int(e.trade_id) for e in self.journal.executions() if e.symbol == fill.symbol and e.trade_id.isdecimal()]
        if not fill.trade_id.isdecimal() or int(fill.trade_id) > max(booked, default=0):
            execution(self, fill)

    return [(OrderLedger, "execution", newest_only)]


class _NoLocks(dict[str, Any]):
    def __missing__(self, _symbol: str) -> asyncio.Lock:
        return asyncio.Lock()


def _no_lock() -> list[Change]:
    make = CcxtAccount.__init__

    def without(self: Any, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        self._locks = _NoLocks()

    return [(CcxtAccount, "__init__", without)]


def _cancel_unconfirmed() -> list[Change]:
    cancel = OrderLookup.cancel

    async def believed(self: Any, intent: Any) -> None:
        await cancel(self, intent)
        ledger = self._orders.ledger
        if ledger.journal.state_of(intent.client_id) in OPEN:
            ledger.journal.mark(intent.client_id, IntentState.DONE)
            ledger.notify(Ended(intent.client_id, "canceled"))

    return [(OrderLookup, "cancel", believed)]


def _ends_early() -> list[Change]:
    end = OrderLedger._end_if_complete

    def at_once(self: Any, client_id: str, booked: Decimal) -> None:
        if client_id in self._ending:
            self._ending[client_id] = (self._ending[client_id][0], booked)
        end(self, client_id, booked)

    return [(OrderLedger, "_end_if_complete", at_once)]


def _stop_not_sent() -> list[Change]:
    decide = restoring.decide

    def waiting(chains: Any, can_short: bool) -> list[Decided]:
        return [replace(each, step=Step.STAY) if each.step is Step.SEND else each for each in decide(chains, can_short)]

    return [(restoring, "decide", waiting)]


def _first_page_only() -> list[Change]:
    of_order = TradePages.of_order

    async def first(self: Any, *args: Any) -> Any:
        return await of_order(replace(self, following=_ignore), *args)

    return [(TradePages, "of_order", first)]


DEFECTS: Final = {
    "resend": Defect("an order whose answer is missing is looked up, never sent again", _resend),
    "unknown is refused": Defect("an order whose answer is missing may have been executed", _unknown_is_refused),
    "journal after the wire": Defect("an intent is on the disk before its order is sent", _journal_after_wire),
    "not found at once": Defect("'not found' counts after it was repeated for long enough", _not_found_at_once),
    "coins before orders": Defect("open intents are settled before coins are judged", _covered_before_settled),
    "report twice": Defect("an execution is booked once, by its id", _report_twice),
    "no fees": Defect("fees are part of an execution", _no_fees),
    "adopt blindly": Defect("an order that rests is adopted with what was executed of it", _adopt_blindly),
    "high-water mark": Defect("executions are known one by one, not by the newest", _high_water_mark),
    "no lock": Defect("orders of one symbol go one at a time", _no_lock),
    "cancel unconfirmed": Defect("a cancel counts once the venue has confirmed it", _cancel_unconfirmed),
    "ends early": Defect("an order ends after its last execution", _ends_early),
    "halted and sending": Defect(
        "nothing is sent while the account is halted", lambda: [(CcxtAccount, "_refusal", lambda _self, _intent: "")]
    ),
    "fills forgotten": Defect(
        "executions that no bar has kept are reported again after a restart", lambda: [(recovery, "_again", lambda *_args: [])]
    ),
    "cash twice": Defect(
        "a balance holds what is still to be reported",
        lambda: [(recovery, "_cash_before", lambda _known, _booked, opened, quote: float(opened.view.balances.get(quote, 0)))],
    ),
    "orders forgotten": Defect("orders that rest are taken over at a start", lambda: [(recovery, "_open_orders", lambda *_args: ())]),
    "no check": Defect("the venue is asked regularly, whatever its socket says", lambda: [(VenueComparison, "check", _nothing)]),
    "stop not sent": Defect("a stop whose parent was executed is at the venue before the first decision", _stop_not_sent),
    "refused stop given up": Defect("a stop that the venue refuses is sent again", lambda: [(MissingStops, "keep", _unprotected)]),
    "refusal unreported": Defect(
        "a stop whose refusal nobody has dealt with is made by the next start", lambda: [(KnownIntent, "is_unreported", False)]
    ),
    "cancel given up": Defect(
        "a cancel that no answer confirms is repeated",
        lambda: [(OrderLookup, "cancel_again", _nothing), (OrderLookup, "_correct_clock", _nothing)],
    ),
    "first page only": Defect("executions are read to the last page", _first_page_only),
    "transfers unseen": Defect("money that others move is noticed", lambda: [(reconciliation, "_changes", lambda *_args: ())]),
    "no settling": Defect("a start finds out what became of every open intent", _no_settling),
}
