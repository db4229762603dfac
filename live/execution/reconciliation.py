"""Reconciliation of journal and venue: what to acknowledge, look up or refuse before the first decision. Pure.

| journal says | venue says | then |
|---|---|---|
| written, sent or unknown | rests under that client id | acknowledged |
| open | rests, and more of it was executed than is booked | ask by client id, with its executions |
| open | does not rest | ask by client id until the answer is certain: executed, ended or never arrived; never send again |
| nothing | an order rests | foreign: reported, never touched |

Coins are checked when every open intent is settled, not before: an execution that was not fetched yet looks like a sale by hand.

| journal says | venue says | then |
|---|---|---|
| bought b, sold s | fewer coins than b - s | refuse to start |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules
from forwardtrader.live.execution.events import Execution, Intent, RestingOrder


@dataclass(frozen=True)
class Reconciled:
    """What follows from comparing the two.

    Attributes:
        adopt: open intents that rest, filled no further than is booked, with the venue's id.
        ask: open intents whose outcome or fills need a query.
        foreign: resting orders that are not ours.
    """

    adopt: tuple[tuple[Intent, str], ...]
    ask: tuple[Intent, ...]
    foreign: tuple[RestingOrder, ...]


def reconcile(intents: Sequence[tuple[Intent, Decimal]], resting: Sequence[RestingOrder], ours: Mapping[str, str]) -> Reconciled:
    """Compare open intents with the orders that rest at the venue.

    Args:
        intents: those that may still be executed, with what is booked of each.
        ours: venue id to client id of those resting orders that the journal knows.
    """
    found = {ours[order.venue_id]: order for order in resting if order.venue_id in ours}
    adopt, ask = [], []
    for intent, booked in intents:
        order = found.get(intent.client_id)
        if order is not None and order.filled <= booked:
            adopt.append((intent, order.venue_id))
        else:
            ask.append(intent)
    return Reconciled(tuple(adopt), tuple(ask), tuple(order for order in resting if order.venue_id not in ours))


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
