"""Recovery: every start reconciles journal and venue before Backtrader sees the first bar.

The account is listened to before the first question. Open intents are settled first. Balances are checked and taken over only when nothing
was executed while they were read: then they contain what is booked, no more and no less.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol

from forwardtrader.core import log
from forwardtrader.core.types import MarketRules
from forwardtrader.live.bridge.venue_thread import VenueThread
from forwardtrader.live.execution.account import CcxtAccount
from forwardtrader.live.execution.events import UNPROTECTED, AccountEvent, Ended, Execution, Filled, FundingPaid, Intent, StandsStill
from forwardtrader.live.execution.journal import OPEN, Journal
from forwardtrader.live.execution.reconciliation import effects_of, position_of, require_bought, require_own_positions
from forwardtrader.live.execution.recovery.comparison import OpenedAccount
from forwardtrader.live.execution.recovery.rebuild import lacking, rebuild, unprotected_in
from forwardtrader.live.venue.history_pages import HistoryPages
from forwardtrader.live.venue.perpetuals import FundingPayment

_LOG: Final = log.logger("live")
_WAIT_S: Final = 900.0
_REBUILD_S: Final = 3600.0


@dataclass(frozen=True)
class Recovered:
    """What an account held when the owner last recorded it: executions since then are on their way as events.

    Attributes:
        cash: quote units.
        positions: symbol to units and average price, from our own executions.
        coins: base currency to units that the journal does not explain.
        open: orders that were open then, with what was filled and its average price.
    """

    cash: float
    positions: dict[str, tuple[float, float]]
    coins: dict[str, Decimal]
    open: tuple[tuple[Intent, Decimal, float], ...]


def rebuilt(
    account: CcxtAccount, loop: VenueThread, prefixes: tuple[str, ...], began: int | None, recorded: Collection[tuple[str, str]],
    notify: Callable[[AccountEvent], object],
) -> bool:  # fmt: skip
    """Rebuild a journal that was lost from what the venue lists; whether that was needed.

    What joined orders, the venue does not list. A symbol with an order that only the venue knew, whose position may have lost its stop,
    takes no new exposure until somebody has seen to it; the next start of its session says so, whoever had the journal rebuilt.

    Args:
        prefixes: of our client ids.
        began: the earliest time (ms) that an order may be of.
        recorded: executions that the owner has, by symbol and trade id.
        notify: receives an event for each stop that rests and may have trailed.

    Raises:
        ReconciliationFailed: the venue does not list all that was recorded.
    """
    journal = account.journal
    if not journal.is_lost and not lacking(journal, recorded):
        return False
    pages, whole = HistoryPages(account.client, account.queries), journal.whole
    loop.call(rebuild(journal, pages, account.symbols, prefixes, began, recorded), _REBUILD_S)
    found = {intent.client_id: intent.symbol for intent, _ in journal.intents(after=whole)}
    rules = [rule for rule in account.queries.rules(account.symbols) if rule.symbol in found.values()]
    journal.remember(UNPROTECTED, {**journal.recall(UNPROTECTED, {}), **unprotected_in(journal, rules)})
    for intent, _ in journal.open_intents():
        if intent.request.stop_price is not None and intent.client_id in found:
            notify(StandsStill(intent.symbol, intent.client_id, _stands_still(intent)))
    return True


def _stands_still(intent: Intent) -> str:
    """What to say of a stop that only the venue knew: not whether it was moved."""
    size, price = intent.request.size, intent.request.stop_price
    return (
        f"the journal was lost: the stop of {size} at {price} is kept, and does not move any more where it trailed; cancel it and send a "
        "trailing stop in its place, or stop the session and put journal.db back"
    )


class Owner(Protocol):
    """Whose account it is: what it has of it already, and where events go."""

    @property
    def loop(self) -> VenueThread: ...

    @property
    def was_recorded(self) -> Callable[[Execution], bool]:
        """Whether it has an execution of the journal; the others are sent to `notify` again."""

    @property
    def recorded_until(self) -> int | None:
        """The end (ms UTC) of the newest bar that it has: funding settled later is sent to `notify` again."""

    def notify(self, event: AccountEvent) -> None:
        """Receives the events of what happened meanwhile."""


def recover(account: CcxtAccount, rules: Sequence[MarketRules], owner: Owner, *, sells_any_coins: bool) -> Recovered:
    """Reconcile journal and venue, and return the state of the account.

    Args:
        sells_any_coins: whether coins are sold that our orders did not buy.

    Raises:
        ReconciliationFailed: coins that our orders bought are gone, more were sold than bought, or an order stays unresolved.
        VenueUnreachable, VenueRefused: the venue does not answer, or refuses.
    """
    journal = account.journal
    loop, notify, until = owner.loop, owner.notify, owner.recorded_until
    paid = {p.id for p in journal.payments() if until is None or p.at < until}
    booked = journal.executions()
    known = [e for e in booked if owner.was_recorded(e)]
    unrecorded = [e for e in booked if not owner.was_recorded(e)]
    intents = _unfinished(journal, unrecorded)
    for event in _again(journal, unrecorded):
        notify(event)
    for payment in journal.payments():
        if payment.id not in paid:
            notify(FundingPaid(payment))
    loop.spawn(account.run())  # before the first question: whatever happens from here on is reported or noticed
    opened, booked, payments = loop.call(_opened(account, rules), _WAIT_S)
    if not sells_any_coins:
        require_bought(booked, rules)
        require_own_positions(booked, rules, opened.view.balances)
    recorded = {(e.symbol, e.trade_id) for e in known}
    late = [e for e in booked if (e.symbol, e.trade_id) not in recorded]
    log.event(_LOG, "recovered", open=len(journal.open_intents()), executions=len(booked), told_now=len(late))
    balances = opened.view.balances
    return Recovered(
        cash=_cash_before(known, booked, opened, rules[0].quote) - float(sum(p.amount for p in payments if p.id not in paid)),
        positions={r.symbol: held for r in rules if (held := _held(known, r)) is not None},
        coins=_unexplained(balances, rules, booked),
        open=_open_orders(intents, known),
    )


async def _opened(account: CcxtAccount, rules: Sequence[MarketRules]) -> tuple[OpenedAccount, list[Execution], list[FundingPayment]]:
    """The account, and what was booked at the moment that it shows: a stream may book more as soon as another thread looks."""
    opened = await account.comparison.open(rules)
    return opened, account.journal.executions(), account.journal.payments()


def _unfinished(journal: Journal, unrecorded: Iterable[Execution]) -> list[Intent]:
    """What may still be executed, and what was while nobody could record it."""
    late = [journal.intent(client_id) for client_id in dict.fromkeys(e.client_id for e in unrecorded)]
    known = {intent.client_id: intent for intent in [*(intent for intent, _ in journal.open_intents()), *late] if intent is not None}
    return list(known.values())


def _again(journal: Journal, unrecorded: list[Execution]) -> list[Filled | Ended]:
    """What an earlier process booked and died of before it was kept with a bar."""
    over = [name for name in dict.fromkeys(e.client_id for e in unrecorded) if journal.state_of(name) not in OPEN]
    return [*(Filled(e) for e in unrecorded), *(Ended(name, "canceled") for name in over)]


def _cash_before(known: Iterable[Execution], booked: Iterable[Execution], opened: OpenedAccount, quote: str) -> float:
    """Quote units before the events that are still to be handled; the balance holds all that is booked."""
    cash = opened.view.balances.get(quote, Decimal(0))
    for sign, executions in ((1, known), (-1, booked)):
        cash += sign * sum((effects_of(e).get(quote, Decimal(0)) for e in executions), Decimal(0))
    return float(cash - sum(change.change for change in opened.changed if change.asset == quote))


def _held(known: list[Execution], rules: MarketRules) -> tuple[float, float] | None:
    """Units and average price of a position from its executions; None where there were none."""
    ours = [e for e in known if e.symbol == rules.symbol]
    if not ours:
        return None
    if rules.is_perpetual:
        return _position(ours)
    size, cost = Decimal(0), Decimal(0)
    for e in ours:
        delivered = e.size - (e.fee if e.fee_currency == rules.base else 0)
        if e.side == "buy":
            size, cost = size + delivered, cost + e.size * e.price
        elif size:
            cost -= cost * min(Decimal(1), e.size / size)
            size -= e.size
    return (float(size), float(cost / size)) if size > 0 else (0.0, 0.0)


def _position(executions: Iterable[Execution]) -> tuple[float, float]:
    """Signed units and average entry: what closes leaves the entry as it is, what turns a position round begins with its own price."""
    size, entry = Decimal(0), Decimal(0)
    for e in executions:
        change = e.size if e.side == "buy" else -e.size
        after = size + change
        if size * change >= 0:
            entry = (entry * size + e.price * change) / after if after else Decimal(0)
        elif size * after <= 0:
            entry = e.price if after else Decimal(0)
        size = after
    return float(size), float(entry)


def _unexplained(balances: dict[str, Decimal], rules: Sequence[MarketRules], known: list[Execution]) -> dict[str, Decimal]:
    explained = {r.base for r in rules if any(e.symbol == r.symbol for e in known)}
    left = {r: balances.get(r.base, Decimal(0)) - position_of(known, r) for r in rules if r.base not in explained}
    return {r.base: coins for r, coins in left.items() if coins > 0 or (coins and r.is_perpetual)}


def _open_orders(intents: Iterable[Intent], known: list[Execution]) -> tuple[tuple[Intent, Decimal, float], ...]:
    before = [(intent, *_filled_of([e for e in known if e.client_id == intent.client_id])) for intent in intents]
    return tuple(order for order in before if order[1] < order[0].request.size)


def _filled_of(executions: list[Execution]) -> tuple[Decimal, float]:
    size = sum((e.size for e in executions), Decimal(0))
    return size, float(sum((e.size * e.price for e in executions), Decimal(0)) / size) if size else 0.0
