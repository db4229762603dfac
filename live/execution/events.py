"""Intents, executions and account events as plain values: sizes and prices in Decimal, times in milliseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from forwardtrader.core.types import MarketRules, OrderRequest
from forwardtrader.live.venue.client_ids import looks_like_ours
from forwardtrader.live.venue.perpetuals import FundingPayment

COMMANDED: Final = "commanded"  # the role of an order that a control command made while the strategy could not
FORCED: Final = "forced"  # the role of an order that the venue made by itself: a liquidation, or auto-deleveraging

UNPROTECTED: Final = "unprotected"  # under which a journal keeps symbols whose position lacks an order, and why


class OrderKind(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop limit"


NEVER_ARRIVED: Final = "it never arrived at the venue"  # the reason of a refusal
ENDINGS: Final = ("canceled", "expired")  # how an order ends that is not executed wholly
REPORTED: Final = "reported: "  # before the note of an intent whose end its run has dealt with, or asked for
_KINDS: Final = {
    (False, False): OrderKind.MARKET, (False, True): OrderKind.LIMIT, (True, False): OrderKind.STOP, (True, True): OrderKind.STOP_LIMIT,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Trail:
    """How a stop follows the market.

    Attributes:
        amount, percent: distance from the price, in quote units, or as a share of it where there is no amount.
        offset: by how much the limit is below the stop price; 0 where there is no limit.
        since: open time (ms UTC) of the newest bar that it has followed; 0 for none yet.
    """

    amount: float = 0.0
    percent: float = 0.0
    offset: float = 0.0
    since: int = 0


@dataclass(frozen=True, kw_only=True)
class Intent:
    """An order to be sent once, and what joins it to others.

    Attributes:
        bar: open time of the bar it was decided on, or sent on where it waited here (ms UTC).
        role: for whoever sent it.
        parent: client id of the order that must be executed first; "" for none.
        group: client id of the first order of its OCO group, of which only one is executed; "" for none.
        expires: bar time (ms UTC) after which it is taken back; 0 for never.
        triggered: the market has reached its stop price while it waited here, so that it is sent without.
        replaces: client id of an intent of the same order that was taken back, or never arrived; "" for none.
        trail: how its stop price is moved from bar to bar; None for one that stays. A stop that was moved is the intent of a new order.
        post_only: of an entry that must rest, what follows at its deadline (`Then`); "" for any other order. What goes to the market then
            is the intent of a new order, in the place of this one.
    """

    client_id: str
    request: OrderRequest
    bar: int
    role: str = ""
    parent: str = ""
    group: str = ""
    expires: int = 0
    triggered: bool = False
    replaces: str = ""
    trail: Trail | None = None
    post_only: str = ""

    @property
    def symbol(self) -> str:
        return self.request.symbol

    @property
    def kind(self) -> OrderKind:
        """What it was decided as."""
        return _KINDS[self.request.stop_price is not None, self.request.limit_price is not None]


SYNTHETIC: Final = "synthetic-"  # begins the trade id of an execution that stands for those that the venue does not list


@dataclass(frozen=True, kw_only=True)
class Execution:
    """One fill. `client_id` is empty for an order that is not ours."""

    symbol: str
    trade_id: str
    client_id: str
    venue_id: str
    side: str
    size: Decimal
    price: Decimal
    fee: Decimal
    fee_currency: str
    at: int

    @property
    def is_stand_in(self) -> bool:
        return self.trade_id.startswith(SYNTHETIC)


@dataclass(frozen=True)
class Acknowledged:
    client_id: str
    venue_id: str


@dataclass(frozen=True)
class Refused:
    """Definitely not executed; `margin` where money was lacking."""

    client_id: str
    reason: str
    margin: bool = False


@dataclass(frozen=True)
class Filled:
    execution: Execution


@dataclass(frozen=True)
class Replaced:
    """The venue lists now what `stand_in`, which was reported as filled, stood for: of the same size, with its real prices and fees."""

    stand_in: Execution
    executions: tuple[Execution, ...]


@dataclass(frozen=True)
class Ended:
    """Open no more without being filled completely; `how` is canceled or expired. All its executions came before."""

    client_id: str
    how: str


@dataclass(frozen=True)
class Unresolved:
    """The outcome is unknown yet; the symbol takes no new order meanwhile."""

    client_id: str


@dataclass(frozen=True)
class Halted:
    """The account takes no more orders until somebody acts; `unwritable` where its journal cannot be kept, so that the run must end."""

    reason: str
    unwritable: bool = False


@dataclass(frozen=True)
class Unprotected:
    """An order that protects a position is not at the venue and could not be sent again; its symbol takes no new exposure."""

    symbol: str
    reason: str


@dataclass(frozen=True)
class Protected:
    """A position that was unprotected has its stop at the venue, or somebody has seen to it; its symbol takes new exposure again."""

    symbol: str
    why: str


@dataclass(frozen=True)
class StandsStill:
    """A stop of a journal that was lost, as the venue lists it: where it trailed, it does not move any more. `what` to do about it."""

    symbol: str
    client_id: str
    what: str


@dataclass(frozen=True)
class ForeignOrder:
    """An order that this program did not send; it is never touched.

    Attributes:
        client_id: as the venue shows it; "" for an order without one.
    """

    symbol: str
    venue_id: str
    side: str
    size: Decimal
    client_id: str = ""

    @property
    def is_another_session(self) -> bool:
        """Whether its client id has the form of ours: a session that this one's journal does not know trades the account too."""
        return looks_like_ours(self.client_id)


@dataclass(frozen=True)
class BalanceChanged:
    """The account gained (`change` above zero) or lost units of an asset that our executions do not explain: a deposit, a withdrawal, or
    a trade by hand. `held` is its whole balance now."""

    asset: str
    change: Decimal
    held: Decimal


@dataclass(frozen=True)
class FundingPaid:
    """Funding of a perpetual was settled: it is part of the cash from now on."""

    payment: FundingPayment


@dataclass(frozen=True)
class ClosedByVenue:
    """The venue reduced a position by itself; its execution follows. `kind` is liquidation or deleveraging."""

    kind: str
    execution: Execution


@dataclass(frozen=True)
class RulesRead:
    """What the venue accepts was read again, since it refused an order for its size or price."""

    rules: tuple[MarketRules, ...]


AccountEvent = (
    Acknowledged
    | Refused
    | Filled
    | Replaced
    | Ended
    | Unresolved
    | Halted
    | Unprotected
    | Protected
    | StandsStill
    | ForeignOrder
    | BalanceChanged
    | FundingPaid
    | ClosedByVenue
    | RulesRead
)


@dataclass(frozen=True, kw_only=True)
class RestingOrder:
    """An order that rests at the venue."""

    symbol: str
    venue_id: str
    client_id: str
    side: str
    kind: str
    size: Decimal
    filled: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


@dataclass(frozen=True, kw_only=True)
class VenueView:
    """The account at the venue: total balances, and the orders that rested after they had been read."""

    balances: dict[str, Decimal]
    open_orders: tuple[RestingOrder, ...] = ()


def arrival_name(client_id: str) -> str:
    """Under which name the journal keeps what the market looked like when an order was sent."""
    return f"arrival {client_id}"
