"""What must hold after every step, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from forwardtrader.live.execution.ccxt_orders import SYNTHETIC
from forwardtrader.live.execution.events import Execution
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.venue.client_ids import run_prefix
from forwardtrader.sandbox.venue import ACCOUNT

if TYPE_CHECKING:
    from tests.simulation.life import Life
    from tests.simulation.venue import SimulatedVenue

OURS: Final = run_prefix("simulated")
_NOISE: Final = 1e-9
_SMALLEST: Final = 1e-6  # quote units


class Violation(AssertionError):
    """An invariant does not hold."""


def require(holds: bool, text: str) -> None:
    """Raises Violation."""
    if not holds:
        raise Violation(text)


def trades_of(venue: SimulatedVenue, first: int | None = None) -> dict[tuple[str, str], Any]:
    """The venue's executions of our own orders, or those among the `first` ones of all."""
    orders = venue.venue.exchange.order_index.orders
    ours = {number for number, order in orders.items() if order.request.client_id.startswith(OURS) or order.request.origin}
    return {(t.symbol, str(t.id)): t for t in venue.venue.exchange.order_index.trades[:first] if t.order_id in ours}


def each_intent_once(venue: SimulatedVenue) -> None:
    """No client id of ours belongs to two orders."""
    names = Counter(o.request.client_id for o in venue.venue.exchange.order_index.orders.values() if o.request.client_id.startswith(OURS))
    twice = [name for name, count in names.items() if count > 1]
    require(not twice, f"sent twice: {twice}")


def every_order_known(venue: SimulatedVenue, journal: Journal) -> None:
    """Every order of ours at the venue is in the journal."""
    known = {intent.client_id for intent, _ in journal.intents()}
    unknown = [
        o.request.client_id for o in venue.venue.exchange.order_index.orders.values()
        if o.request.client_id.startswith(OURS) and o.request.client_id not in known
    ]  # fmt: skip
    require(not unknown, f"at the venue and not in the journal: {unknown}")


def booked_is_true(venue: SimulatedVenue, booked: Iterable[Execution]) -> None:
    """Every execution of the journal is one of the venue, with its size, price and fee."""
    real = trades_of(venue)
    for e in booked:
        if e.trade_id.startswith(SYNTHETIC):
            continue
        t = real.get((e.symbol, e.trade_id))
        require(t is not None, f"booked, and unknown to the venue: {e}")
        theirs = (t.size, t.price, t.fee, t.side.value)
        require((e.size, e.price, e.fee, e.side) == theirs, f"booked {e}, the venue has {theirs}")


def nothing_overlooked(venue: SimulatedVenue, before: int, journal: Journal) -> None:
    """The first decision after a start knows every execution from before it."""
    booked = journal.executions()
    stand_ins = {e.client_id for e in booked if e.trade_id.startswith(SYNTHETIC)}
    orders = venue.venue.exchange.order_index.orders
    known = {(e.symbol, e.trade_id) for e in booked}
    real = trades_of(venue, before)
    overlooked = [key for key, t in real.items() if key not in known and orders[t.order_id].request.client_id not in stand_ins]
    require(not overlooked, f"decided without knowing the executions {overlooked}, made before the start")


def holdings_of(executions: Iterable[Execution], base: str, symbol: str) -> Decimal:
    """Coins that the executions left."""
    held = Decimal(0)
    for e in executions:
        if e.symbol == symbol:
            held += e.size if e.side == "buy" else -e.size
            held -= e.fee if e.fee_currency == base else 0
    return held


def position_is(life: Life, executions: Iterable[Execution]) -> None:
    """The broker's position is what the executions made of it."""
    known = list(executions)
    for data in life.store.datas:
        expected = float(holdings_of(known, data.symbol.partition("/")[0], data.symbol))
        held = life.broker.units_held(data)
        require(abs(held - expected) < _NOISE, f"position of {data.symbol} is {held}, the executions make {expected}")


def agrees(venue: SimulatedVenue, journal: Journal) -> bool:
    """Whether the journal has every execution and nothing is in doubt."""
    booked = {(e.symbol, e.trade_id) for e in journal.executions()}
    in_doubt = any(state is not IntentState.ACKNOWLEDGED for _, state in journal.open_intents())
    return not in_doubt and booked == trades_of(venue).keys()


def cash_agrees(life: Life) -> bool:
    """Whether the broker has the money that the account has."""
    return abs(life.broker.cash - float(cash_of(life.world.venue))) < _SMALLEST


def cash_of(venue: SimulatedVenue) -> Decimal:
    """Money in the account; of perpetuals as if every position was paid for at its entry."""
    account = venue.venue.exchange.accounts[ACCOUNT]
    return account.total("USDT") - sum((p.size * p.entry for p in account.positions.values()), Decimal(0))


def units_of(venue: SimulatedVenue, symbol: str) -> Decimal:
    """Coins in the account, or the position in a perpetual."""
    account = venue.venue.exchange.accounts[ACCOUNT]
    return account.position(symbol).size if ":" in symbol else account.total(symbol.partition("/")[0])


def at_rest(life: Life, kept: Mapping[tuple[str, str], Execution]) -> None:
    """Everything agrees once nothing is in flight: venue, journal, fills kept, position and cash."""
    venue, journal = life.world.venue, life.store.account.journal  # type: ignore[union-attr]
    booked = {(e.symbol, e.trade_id): e for e in journal.executions()}
    real = trades_of(venue)
    require(
        booked.keys() == real.keys(), f"journal lacks {real.keys() - booked.keys()}, and has beyond the venue {booked.keys() - real.keys()}"
    )
    booked_is_true(venue, booked.values())
    late = {(e.symbol, e.trade_id) for e in life.fills}
    require(
        kept.keys() | late == booked.keys(),
        f"fills kept lack {booked.keys() - kept.keys() - late}, have beyond {kept.keys() - booked.keys()}",
    )
    left = [(intent.client_id, state.value) for intent, state in journal.open_intents()]
    require(not left, f"intents are still open: {left}")
    for data in life.store.datas:
        base = data.symbol.partition("/")[0]
        held = holdings_of(booked.values(), base, data.symbol) + life.world.others.brought(base)
        there = units_of(venue, data.symbol)
        require(held == there, f"the account has {there} {base}, the executions make {held}")
    position_is(life, booked.values())
    require(cash_agrees(life), f"cash is {life.broker.cash}, at the venue {cash_of(venue)}")
    paid = [(p.symbol, p.at, p.amount) for p in journal.payments()]
    real_paid = [(p.symbol, p.at, p.received) for p in venue.venue.exchange.payments]
    require(sorted(paid) == sorted(real_paid), f"funding in the journal {paid}, at the venue {real_paid}")
