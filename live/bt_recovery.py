"""Start is recovery: journal and venue are compared before Backtrader sees the first bar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from core import log
from core.types import MarketRules
from live.account_events import Execution, ForeignOrder, Intent
from live.journal import State
from live.reconcile import position_of, reconcile, require_covered

_LOG: Final = log.logger("live")
_WAIT_S: Final = 900.0


@dataclass(frozen=True)
class Recovered:
    """What an account holds at the start.

    Attributes:
        cash: quote units.
        positions: symbol to units and average price, from our own executions.
        coins: base currency to units that the journal does not explain.
        open: intents that may still be executed, with what is filled and its average price.
    """

    cash: float
    positions: dict[str, tuple[float, float]]
    coins: dict[str, Decimal]
    open: tuple[tuple[Intent, Decimal, float], ...]


def recover(store: Any) -> Recovered:
    """Read journal and venue, settle what is unclear, and say where things stand.

    Raises:
        ReconciliationFailed: coins that our orders bought are gone.
        VenueUnreachable, VenueRefused: the venue does not answer, or not to us.
    """
    journal, account = store.journal, store.account
    view = store.loop.call(account.read())
    rules = [store.rules(symbol) for symbol in account.symbols]
    known = journal.executions()
    intents = journal.open_intents()
    ids = {journal.venue_id(i.client_id): i.client_id for i, _ in journal.intents() if journal.venue_id(i.client_id)}
    result = reconcile(intents, known, view, ids)
    for order in result.foreign:
        store.tell(ForeignOrder(order.symbol, order.venue_id, order.side, order.size))
    require_covered([*known, *result.book], rules, view.balances)
    store.loop.call(_settle(account, result), _WAIT_S)
    open_now = tuple((i, *_so_far(journal.executions(i.client_id))) for i, _ in intents)
    log.event(_LOG, "recovered", open=len(open_now), adopted=len(result.adopt), asked=len(result.ask), foreign=len(result.foreign))
    # What was booked just now is told as events, on top of what was known.
    late = {(e.symbol, e.trade_id) for e in journal.executions()} - {(e.symbol, e.trade_id) for e in known}
    before = [(i, *_so_far([e for e in journal.executions(i.client_id) if (e.symbol, e.trade_id) not in late])) for i, _, _ in open_now]
    return Recovered(
        cash=_cash(view.balances, rules, [e for e in journal.executions() if (e.symbol, e.trade_id) in late], view.executions),
        positions={r.symbol: held for r in rules if (held := _held(known, r)) is not None},
        coins=_unexplained(view.balances, rules, journal.executions()),
        open=tuple(order for order in before if order[1] < order[0].request.size),
    )


async def _settle(account: Any, result: Any) -> None:
    for intent, order in result.adopt:
        account.ledger.acknowledge(intent.client_id, order.venue_id)
    for execution in result.book:
        account.ledger.execution(execution)
    for intent in result.ask:
        if account.journal.state_of(intent.client_id) is not State.DONE:
            await account.settle(intent)


def _cash(balances: dict[str, Decimal], rules: list[MarketRules], late: list[Execution], seen: Iterable[Execution]) -> float:
    """Quote units before the executions that are still to be told, which the balance may include already."""
    quote = rules[0].quote
    cash = balances.get(quote, Decimal(0))
    told = {(e.symbol, e.trade_id) for e in seen}
    for e in late:
        if (e.symbol, e.trade_id) in told:
            cash += (e.size * e.price if e.side == "buy" else -e.size * e.price) + (e.fee if e.fee_currency == quote else 0)
    return float(cash)


def _held(known: list[Execution], rules: MarketRules) -> tuple[float, float] | None:
    """Units and average price of a position from its executions; None where there were none."""
    ours = [e for e in known if e.symbol == rules.symbol]
    if not ours:
        return None
    size, cost = Decimal(0), Decimal(0)
    for e in ours:
        delivered = e.size - (e.fee if e.fee_currency == rules.base else 0)
        if e.side == "buy":
            size, cost = size + delivered, cost + e.size * e.price
        elif size:
            cost -= cost * min(Decimal(1), e.size / size)
            size -= e.size
    return (float(size), float(cost / size)) if size > 0 else (0.0, 0.0)


def _unexplained(balances: dict[str, Decimal], rules: list[MarketRules], known: list[Execution]) -> dict[str, Decimal]:
    explained = {r.base for r in rules if any(e.symbol == r.symbol for e in known)}
    left = {r.base: balances.get(r.base, Decimal(0)) - position_of(known, r) for r in rules if r.base not in explained}
    return {base: coins for base, coins in left.items() if coins > 0}


def _so_far(executions: list[Execution]) -> tuple[Decimal, float]:
    size = sum((e.size for e in executions), Decimal(0))
    return size, float(sum((e.size * e.price for e in executions), Decimal(0)) / size) if size else 0.0
