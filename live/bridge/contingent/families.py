"""Orders that belong together, and what a restart does with each of them. Pure.

A family are a parent and its children, the orders of an OCO group, and the intents that took each other's place: an order that is sent
again, or that made room for a sibling, goes on under a new client id.

| the order | its family | then |
|---|---|---|
| waits here | its parent may still be executed | stays |
| a stop that waits here | its parent was executed in part, and rests on | send for that part |
| a stop that was executed for a part | its parent delivered more | send for the rest, at the market |
| rests | a child of it was executed | cancel: its position is closed |
| waits here | its parent was executed, and no sibling protects the position at the venue | send, sized to what was delivered |
| waits here | its parent was executed, a sibling locks the coins, or is about to sell the rest | stays, until the market reaches it |
| a trailing stop that waits here | it rested, and was being moved | send |
| never arrived | as one that waits here | renew: the same order under a new client id |
| a stop that the venue refused or took back | nobody has dealt with that | the same |
| waits here, never arrived | its parent brought nothing; a sibling was executed or taken back | drop |
| rests | a sibling was executed or taken back | cancel |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import ENDINGS, NEVER_ARRIVED, REPORTED, Intent, OrderKind
from forwardtrader.live.execution.journal import OPEN, IntentState

_STOPS: Final = (OrderKind.STOP, OrderKind.STOP_LIMIT)


class Step(StrEnum):
    """What is done with an order at a start."""

    STAY = "stay"
    SEND = "send"
    DROP = "drop"
    CANCEL = "cancel"


@dataclass(frozen=True, kw_only=True)
class KnownIntent:
    """An intent as the journal knows it.

    Attributes:
        executed: base units.
        delivered: the same, less a fee in base currency.
    """

    intent: Intent
    state: IntentState
    note: str = ""
    executed: Decimal = Decimal(0)
    delivered: Decimal = Decimal(0)

    @property
    def is_lost(self) -> bool:
        """Whether the venue has certainly never had it."""
        return self.state is IntentState.REFUSED and self.note == NEVER_ARRIVED

    @property
    def is_unreported(self) -> bool:
        """Whether the venue refused it, or took it back, and its run has not dealt with that, nor asked for it."""
        is_gone = self.state is IntentState.DONE and self.note in ENDINGS
        return is_gone or (self.state is IntentState.REFUSED and not self.note.startswith(REPORTED))

    @property
    def was_taken_back(self) -> bool:
        """Whether the venue, or somebody there, took it back, and its run has dealt with that: it had not asked for it."""
        return self.state is IntentState.DONE and self.note in [f"{REPORTED}{how}" for how in ENDINGS]


class OrderChain:
    """One order: its intents, each in the place of the one before."""

    def __init__(self, known: Sequence[KnownIntent]) -> None:
        self.known = tuple(known)
        self.names = frozenset(each.intent.client_id for each in known)
        self.executed = sum((each.executed for each in known), Decimal(0))
        self.delivered = sum((each.delivered for each in known), Decimal(0))
        resting = [each for each in known if each.state in OPEN]
        self.rests = bool(resting)
        self.current = (resting or list(known))[-1]

    @property
    def first(self) -> Intent:
        return self.known[0].intent

    @property
    def is_full(self) -> bool:
        return self.executed >= self.first.request.size

    @property
    def is_held(self) -> bool:
        """Whether it waits here."""
        return not self.rests and not self.is_full and self.current.state is IntentState.HELD

    @property
    def is_lost(self) -> bool:
        """Whether it was sent and has never arrived; also a stop that was refused or taken back, where nobody has dealt with that."""
        is_missing = self.first.kind in _STOPS and self.current.is_unreported
        return not self.rests and not self.is_full and (self.current.is_lost or is_missing)

    @property
    def was_moved(self) -> bool:
        """Whether it is a trailing stop that rested before, so that it must rest again."""
        return self.first.trail is not None and len(self.known) > 1

    @property
    def is_alive(self) -> bool:
        return self.rests or self.is_held or self.is_lost

    @property
    def is_cut(self) -> bool:
        """Whether a part of it was sent, and executed wholly."""
        is_over = not self.rests and self.known[0].state is IntentState.DROPPED and self.current.state is IntentState.DONE
        return is_over and not self.is_full and self.current.executed >= self.current.intent.request.size

    @property
    def superfluous(self) -> list[str]:
        """Held intents that are not needed, since an earlier one of the order is not off the venue, or was executed."""
        waiting = [each.intent.client_id for each in self.known if each.state is IntentState.HELD]
        return waiting if not self.is_held else waiting[:-1]


@dataclass(frozen=True)
class Decided:
    """What becomes of one order.

    Attributes:
        is_active: its parent was executed, or it has none.
        is_part: its parent was executed in part, and rests on.
        size: base units that it may have; None for as many as are left of it.
    """

    chain: OrderChain
    step: Step
    is_active: bool = True
    is_part: bool = False
    size: Decimal | None = None


def chains_of(known: Iterable[KnownIntent]) -> list[OrderChain]:
    """The orders of some intents, oldest first."""
    chains: dict[str, list[KnownIntent]] = {}
    for each in known:
        chain = chains.get(each.intent.replaces) if each.intent.replaces else None
        chain = [] if chain is None else chain
        chain.append(each)
        chains[each.intent.client_id] = chain
    return [OrderChain(chain) for chain in {id(chain): chain for chain in chains.values()}.values()]


def decide(chains: Sequence[OrderChain], can_short: bool) -> list[Decided]:
    """What a restart does with every order that is alive; all of one symbol, whose market may take short positions or not."""
    return [_decide(chain, chains, can_short) for chain in chains if chain.is_alive or _is_cut_short(chain, chains)]


def _is_cut_short(chain: OrderChain, chains: Sequence[OrderChain]) -> bool:
    return chain.is_cut and _parent_of(chain, chains) is not None and _left(chain, chains) > 0


def _left(chain: OrderChain, chains: Sequence[OrderChain]) -> Decimal:
    """Base units that the parent of an order delivered, or that itself was to trade, and its family did not take back."""
    parent = _parent_of(chain, chains)
    executed = sum((each.executed for each in [chain, *_siblings(chain, chains)]), Decimal(0))
    return (chain.first.request.size if parent is None else parent.delivered) - executed


def _decide(chain: OrderChain, chains: Sequence[OrderChain], can_short: bool) -> Decided:
    parent = _parent_of(chain, chains)
    siblings = _siblings(chain, chains)
    if chain.rests and any(each.executed > 0 for each in chains if each.first.parent in chain.names):
        return Decided(chain, Step.CANCEL)
    if parent is not None and parent.rests and parent.delivered > 0:
        return _decide_part(chain, siblings, _left(chain, chains), can_short)
    if chain.first.parent and (parent is None or parent.rests or parent.is_held):
        gone = parent is None and not chain.rests  # its family never left
        return Decided(chain, Step.DROP if gone else Step.STAY, is_active=chain.rests)
    if chain.is_lost and parent is None and not chain.was_moved and (can_short or chain.first.request.side is Side.BUY):
        return Decided(chain, Step.DROP)  # an entry is not made up for: the market has moved on
    left = None if parent is None and not siblings else _left(chain, chains)
    going_on = [each for each in siblings if each.is_alive or _is_cut_short(each, chains)]
    if (left is not None and left <= 0) or any(_ended(each, can_short) for each in siblings if each not in going_on):
        return Decided(chain, Step.CANCEL if chain.rests else Step.DROP)
    if chain.rests or _waits_for_room(chain, going_on, can_short):
        return Decided(chain, Step.STAY, size=left)
    return Decided(chain, Step.SEND if parent is not None or siblings or chain.was_moved else Step.DROP, size=left)


def _decide_part(chain: OrderChain, siblings: Sequence[OrderChain], left: Decimal, can_short: bool) -> Decided:
    """A child of a parent that was executed in part, and rests on: only its stop is sent before that is over."""
    if left <= 0:
        return Decided(chain, Step.CANCEL if chain.rests else Step.STAY, is_active=chain.rests, is_part=True)
    is_stop = chain.first.kind in _STOPS and not _waits_for_room(chain, [each for each in siblings if each.is_alive], can_short)
    step = Step.SEND if is_stop and not chain.rests else Step.STAY
    return Decided(chain, step, is_active=chain.rests or step is Step.SEND, is_part=True, size=left)


def _parent_of(chain: OrderChain, chains: Sequence[OrderChain]) -> OrderChain | None:
    return next((each for each in chains if chain.first.parent in each.names), None) if chain.first.parent else None


def _siblings(chain: OrderChain, chains: Sequence[OrderChain]) -> list[OrderChain]:
    """The other children of its parent, and the other orders of its group."""
    family, group = chain.first.parent, chain.first.group
    return [
        each
        for each in chains
        if each is not chain
        and (
            (family and each.first.parent == family)
            or (group and (each.first.group == group or group in each.names))
            or (each.first.group and each.first.group in chain.names)
        )
    ]


def _ended(chain: OrderChain, can_short: bool) -> bool:
    """Whether an order that does not go on was executed or taken back, and the others of its family with it; not where the venue refused it
    or took it back by itself: then the stop of a position goes on, as it does while a session runs."""
    takes_profit = chain.first.kind not in _STOPS and (chain.first.parent or (not can_short and chain.first.request.side is Side.SELL))
    if not chain.is_full and (chain.current.is_unreported or (takes_profit and chain.current.was_taken_back)):
        return False
    return chain.executed > 0 or chain.current.state in (IntentState.DONE, IntentState.DROPPED)


def _waits_for_room(chain: OrderChain, siblings: Sequence[OrderChain], can_short: bool) -> bool:
    """Whether a sell order waits here since one of its siblings that go on locks, or is about to lock, the same coins at a spot venue."""
    if can_short or chain.first.request.side is not Side.SELL:
        return False
    others = [each for each in siblings if each.first.request.side is Side.SELL]
    if any(each.rests for each in others):
        return True
    rivals = [each for each in others if each.first.kind in _STOPS]
    return bool(rivals) and chain.first.kind not in _STOPS
