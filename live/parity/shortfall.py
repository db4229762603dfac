"""What trading cost against a paper portfolio that trades every decision in full at the price it was decided on, and for nothing.

A. Perold, "The Implementation Shortfall: Paper versus Reality", Journal of Portfolio Management 14(3), 1988. For each order, in quote
units and signed so that a cost is positive (s is +1 for a buy, -1 for a sale):

    delay        s * (arrival - decision) * filled          the market moved before the order got there
    spread       half the quoted spread * filled            what anybody pays who takes
    impact       s * (paid - arrival) * filled - spread     the rest of what was paid: size, luck, a stop jumped over
    fees         as booked
    opportunity  s * (later - decision) * unfilled          what was wished for and not had

`decision` is the close of the bar decided on, or the order's own price where it has one; `arrival` the last price known when the order
was sent; `later` the close of the following bar. The parts add up exactly; between spread and impact the line is as sharp as one
quote after the order makes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forwardtrader.reports.pages.parity_page import SHARES


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One order as it was wished for and as it went. Prices and fees in quote units, sizes in base units; `at` in milliseconds UTC.

    Attributes:
        paid: average price of what was filled.
        own_price: its limit or stop price, or None for a market order.
        arrival: last price when it was sent; None where that was not kept.
        quoted: half of the quoted spread; None where it was not kept.
        takes: whether it took from the book (market and stop orders).
        later: close of the bar after the one decided on; None at the end of the session.
    """

    at: int
    symbol: str
    side: str
    wished: float
    filled: float
    paid: float
    decision: float
    own_price: float | None
    arrival: float | None
    quoted: float | None
    takes: bool
    later: float | None
    fees: float


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one order cost, in quote units; `value` is what was wished for at the decision's price."""

    at: int
    symbol: str
    side: str
    value: float
    delay: float
    spread: float
    impact: float
    fees: float
    opportunity: float

    @property
    def total(self) -> float:
        return self.delay + self.spread + self.impact + self.fees + self.opportunity


def cost_of(order: Sent) -> Cost:
    """The parts of one order's shortfall."""
    sign = 1.0 if order.side == "buy" else -1.0
    decision = order.own_price if order.own_price is not None else order.decision
    # An order with a price of its own is decided to wait for that price: reaching it is no delay.
    arrival = decision if order.own_price is not None or order.arrival is None else order.arrival
    whole = sign * (order.paid - decision) * order.filled
    delay = sign * (arrival - decision) * order.filled
    spread = (order.quoted or 0.0) * order.filled if order.takes else 0.0
    unfilled = max(0.0, order.wished - order.filled)
    missed = sign * (order.later - decision) * unfilled if order.later is not None and order.own_price is None else 0.0
    return Cost(
        at=order.at, symbol=order.symbol, side=order.side, value=order.wished * decision, delay=delay, spread=spread,
        impact=whole - delay - spread, fees=order.fees, opportunity=missed,
    )  # fmt: skip


def totals(costs: Iterable[Cost]) -> dict[str, float]:
    """Each part summed over the orders, with `total` and `value`."""
    rows = list(costs)
    summed = {name: sum(getattr(row, name) for row in rows) for name in SHARES}
    return {**summed, "total": sum(summed.values()), "value": sum(row.value for row in rows)}
