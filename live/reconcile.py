"""Journal against venue: what has to be told, asked or refused before the first decision. Pure.

| journal says | venue says | then |
|---|---|---|
| written, sent or unknown | rests or was executed under that client id | acknowledged |
| written, sent or unknown | nothing of that id | ask by client id until the answer is certain; never send again |
| acknowledged | does not rest any more | ask by client id: executed, cancelled or expired |
| nothing | an order rests | foreign: reported, never touched |
| nothing | an execution of one of our orders | booked now |
| bought b, sold s | fewer coins than b - s | refuse to start |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.errors import ReconciliationFailed
from core.types import MarketRules
from live.account_events import Execution, Intent, OpenOrder, VenueView
from live.journal import State


@dataclass(frozen=True)
class Reconciled:
    """What follows from comparing the two.

    Attributes:
        adopt: open intents with the resting order that is theirs.
        ask: intents whose fate only a query can tell.
        foreign: resting orders that are not ours.
        book: executions of our orders that the journal lacks.
    """

    adopt: tuple[tuple[Intent, OpenOrder], ...]
    ask: tuple[Intent, ...]
    foreign: tuple[OpenOrder, ...]
    book: tuple[Execution, ...]


def reconcile(intents: Sequence[tuple[Intent, State]], known: Iterable[Execution], venue: VenueView, ids: Mapping[str, str]) -> Reconciled:
    """Compare the open intents with the venue.

    Args:
        intents: those that may still be executed.
        known: executions in the journal.
        ids: venue id to client id of all orders of the journal.
    """
    resting = {_client_id(order, ids): order for order in venue.open_orders}
    ours = {intent.client_id for intent, _ in intents} | set(ids.values())
    adopt = tuple((intent, resting[intent.client_id]) for intent, _ in intents if intent.client_id in resting)
    adopted = {intent.client_id for intent, _ in adopt}
    seen = {(e.symbol, e.trade_id) for e in known}
    return Reconciled(
        adopt=adopt,
        ask=tuple(intent for intent, _ in intents if intent.client_id not in adopted),
        foreign=tuple(order for name, order in resting.items() if name not in ours),
        book=tuple(e for e in venue.executions if (e.client_id or ids.get(e.venue_id)) in ours and (e.symbol, e.trade_id) not in seen),
    )


def position_of(executions: Iterable[Execution], rules: MarketRules) -> Decimal:
    """Coins held from our own executions of one symbol, fees in coins taken off."""
    held = Decimal(0)
    for e in executions:
        if e.symbol == rules.symbol:
            held += e.size if e.side == "buy" else -e.size
            held -= e.fee if e.fee_currency == rules.base else Decimal(0)
    return held


def require_covered(executions: Sequence[Execution], rules: Sequence[MarketRules], balances: Mapping[str, Decimal]) -> None:
    """Check that the account holds at least what our executions left in it.

    Raises:
        ReconciliationFailed: coins are missing by more than one step, as after a withdrawal or a manual sale.
    """
    for rule in rules:
        held = position_of(executions, rule)
        have = balances.get(rule.base, Decimal(0))
        if held - have > rule.step:
            raise ReconciliationFailed(
                f"the journal holds {held} {rule.base}, the account {have}: they were moved or sold by hand; "
                f"put them back, or start a session of another name"
            )


def _client_id(order: OpenOrder, ids: Mapping[str, str]) -> str:
    return ids.get(order.venue_id, order.client_id)
