"""Reconciliation of journal and venue: one pure function for the start, after a reconnection, and in between.

| journal says | venue says | then |
|---|---|---|
| written, sent or unknown | rests under that client id | acknowledged |
| open | rests, and more of it was executed than is booked | ask by client id, with its executions |
| open | does not rest | ask by client id until the answer is certain: executed, ended or never arrived; never send again |
| refused or done | rests under that client id | open again: what the venue has counts |
| nothing | an order rests | foreign: reported, never touched |
| its executions explain what the account gained or lost | another balance | reported: a deposit, a withdrawal, or a trade by hand |

Coins are checked when every open intent is settled, not before: an execution that was not fetched yet looks like a sale by hand.

| journal says | venue says | then |
|---|---|---|
| bought b, sold s | fewer coins than b - s | refuse to start |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules
from forwardtrader.live.execution.events import BalanceChanged, Execution, Intent, RestingOrder, VenueView

_SMALL_SHARE = Decimal("0.01")  # of the smallest order: less money is rounding, not a transfer
_ROUNDING = Decimal("0.000001")
_HIGHEST_FEE = Decimal("0.01")


@dataclass(frozen=True, kw_only=True)
class JournalFacts:
    """What the journal knows.

    Attributes:
        open: intents that may still be executed and are not on their way just now, with what is booked of each.
        ours: venue id to client id of those resting orders that the journal knows.
        closed: client ids of those among them that it takes for refused or done.
        effects: what all booked executions changed, by asset.
        apart: what the account held besides when they were compared last, by asset; empty before the first time.
        tolerances: by asset that is compared, how much of it is nothing.
    """

    open: tuple[tuple[Intent, Decimal], ...] = ()
    ours: Mapping[str, str] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    effects: Mapping[str, Decimal] = field(default_factory=dict)
    apart: Mapping[str, Decimal] = field(default_factory=dict)
    tolerances: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Reconciled:
    """What follows from comparing the two.

    Attributes:
        adopt: open intents that rest, filled no further than is booked, with the venue's id.
        ask: open intents whose outcome or fills need a query.
        reopen: client and venue ids of orders that rest though the journal takes them for refused or done.
        foreign: resting orders that are not ours.
        changed: what our executions do not explain.
        apart: what the account holds besides our executions, by asset.
    """

    adopt: tuple[tuple[Intent, str], ...] = ()
    ask: tuple[Intent, ...] = ()
    reopen: tuple[tuple[str, str], ...] = ()
    foreign: tuple[RestingOrder, ...] = ()
    changed: tuple[BalanceChanged, ...] = ()
    apart: Mapping[str, Decimal] = field(default_factory=dict)


def reconcile(journal: JournalFacts, venue: VenueView) -> Reconciled:
    """Compare what the journal knows with the account at the venue."""
    resting = {journal.ours[order.venue_id]: order for order in venue.open_orders if order.venue_id in journal.ours}
    adopt, ask = [], []
    for intent, booked in journal.open:
        order = resting.get(intent.client_id)
        if order is not None and order.filled <= booked:
            adopt.append((intent, order.venue_id))
        else:
            ask.append(intent)
    apart = {asset: venue.balances.get(asset, Decimal(0)) - journal.effects.get(asset, Decimal(0)) for asset in journal.tolerances}
    return Reconciled(
        adopt=tuple(adopt),
        ask=tuple(ask),
        reopen=tuple((name, order.venue_id) for name, order in resting.items() if name in journal.closed),
        foreign=tuple(order for order in venue.open_orders if order.venue_id not in journal.ours),
        changed=tuple(_changes(journal, venue, apart)),
        apart=apart,
    )


def _changes(journal: JournalFacts, venue: VenueView, apart: Mapping[str, Decimal]) -> Iterable[BalanceChanged]:
    for asset, tolerance in journal.tolerances.items():
        change = apart[asset] - journal.apart.get(asset, apart[asset])
        if abs(change) > tolerance:
            yield BalanceChanged(asset, change, venue.balances.get(asset, Decimal(0)))


def effects_of(execution: Execution) -> dict[str, Decimal]:
    """What an execution changed in the account, by asset; the units of a perpetual are an asset as coins are."""
    e, sign = execution, 1 if execution.side == "buy" else -1
    base, quote = assets_of(e.symbol)
    changes = {base: sign * e.size, quote: -sign * e.size * e.price}
    if e.fee:
        changes[e.fee_currency] = changes.get(e.fee_currency, Decimal(0)) - e.fee
    return changes


def assets_of(symbol: str) -> tuple[str, str]:
    """Base and quote currency of `BTC/USDT` or `BTC/USDT:USDT`."""
    base, _, quote = symbol.partition(":")[0].partition("/")
    return base, quote


def tolerances_of(rules: Iterable[MarketRules]) -> dict[str, Decimal]:
    """How much of each asset of these markets is nothing: one step, or a hundredth of the smallest order."""
    spot = [rule for rule in rules if rule.symbol == f"{rule.base}/{rule.quote}" or rule.settle == rule.quote]
    found = {rule.quote: max(rule.min_notional * _SMALL_SHARE, _ROUNDING) for rule in spot}
    for rule in spot:
        found[rule.base] = max(rule.step, found.get(rule.base, Decimal(0)))
    return found


def position_of(executions: Iterable[Execution], rules: MarketRules) -> Decimal:
    """Coins held from our own executions of one symbol, fees in coins taken off."""
    held = Decimal(0)
    for e in executions:
        if e.symbol == rules.symbol:
            held += e.size if e.side == "buy" else -e.size
            held -= e.fee if e.fee_currency == rules.base else Decimal(0)
    return held


def missing_coins(executions: Sequence[Execution], rules: Sequence[MarketRules], balances: Mapping[str, Decimal]) -> str:
    """Which coins our executions left in the account and it lacks by more than one step; "" where it has them all.

    A stand-in names no fee, which may have been taken in coins. A position in a perpetual must be the one that our executions made.
    """
    for rule in rules:
        held, have = position_of(executions, rule), balances.get(rule.base, Decimal(0))
        if rule.is_perpetual:
            if abs(held - have) > rule.step and any(e.symbol == rule.symbol for e in executions):
                return f"the journal has a position of {held} {rule.base} in {rule.symbol}, the account {have}"
            continue
        unclear = sum((e.size for e in executions if e.symbol == rule.symbol and e.is_stand_in), Decimal(0))
        if held - have > rule.step + unclear * _HIGHEST_FEE:
            return f"the journal holds {held} {rule.base}, the account {have}"
    return ""


def require_covered(executions: Sequence[Execution], rules: Sequence[MarketRules], balances: Mapping[str, Decimal]) -> None:
    """Check that the account holds at least what our executions left in it.

    Raises:
        ReconciliationFailed: coins are missing by more than one step, as after a withdrawal or a manual sale.
    """
    if missing := missing_coins(executions, rules, balances):
        raise ReconciliationFailed(f"{missing}: they were moved or sold by hand; put them back, or start a session of another name")


def require_own_positions(executions: Sequence[Execution], rules: Sequence[MarketRules], balances: Mapping[str, Decimal]) -> None:
    """Check that a perpetual of which the journal knows no execution is not held: with our orders its position would become one.

    Raises:
        ReconciliationFailed: it is held.
    """
    for rule in rules:
        held = balances.get(rule.base, Decimal(0))
        if rule.is_perpetual and abs(held) > rule.step and not any(e.symbol == rule.symbol for e in executions):
            raise ReconciliationFailed(
                f"the account holds {held} {rule.base} of {rule.symbol}, which this session did not open; close that position, or trade "
                f"in another account"
            )


def require_bought(executions: Sequence[Execution], rules: Sequence[MarketRules]) -> None:
    """Check that no more coins were sold than our executions bought, where the market allows no short position.

    Raises:
        ReconciliationFailed: purchases are missing, as from a journal that was moved away.
    """
    for rule in rules:
        held = position_of(executions, rule)
        if held < -rule.step and not rule.can_short:
            raise ReconciliationFailed(
                f"the journal knows more sales than purchases of {rule.base} ({held}): a part of it is missing; put the journal back that "
                f"it had before, or start a session of another name (--session NAME)"
            )
