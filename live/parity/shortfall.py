"""Implementation shortfall: the cost of trading against a paper portfolio that trades each decision in full, at its price and for free.

A. Perold, "The Implementation Shortfall: Paper versus Reality", Journal of Portfolio Management 14(3), 1988. For each order, in quote
units and signed so that a cost is positive (s is +1 for a buy, -1 for a sale):

    delay        s * (arrival - decision) * filled          the market moved before the order got there
    spread       half the quoted spread * filled            what every taker pays
    impact       s * (paid - arrival) * filled - spread     the rest of what was paid: size, luck, a stop jumped over
    fees         as booked
    opportunity  s * (later - decision) * unfilled          what was ordered and not filled

`decision` is the close of the bar decided on, or the order's own price where it has one (but for entries that rest to save costs, whose
wait counts, with that of what followed at the market); `arrival` the last price known when the order
was sent; `later` the close of the following bar. The parts add up exactly; between spread and impact the line is as sharp as one
quote after the order makes it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

import pandas as pd

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import Execution, Intent, arrival_name
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.parity.resting_entries import fee_in_quote
from forwardtrader.reports.pages.parity_page import SHARES, Shortfall

_LISTED: Final = 10


@dataclass(frozen=True, kw_only=True)
class Sent:
    """One order as it was sent and as it was filled. Prices and fees in quote units, sizes in base units; `at` in milliseconds UTC.

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
    ordered: float
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
    """What one order cost, in quote units; `value` is what was ordered at the decision's price."""

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
    unfilled = max(0.0, order.ordered - order.filled)
    missed = sign * (order.later - decision) * unfilled if order.later is not None and order.own_price is None else 0.0
    return Cost(
        at=order.at, symbol=order.symbol, side=order.side, value=order.ordered * decision, delay=delay, spread=spread,
        impact=whole - delay - spread, fees=order.fees, opportunity=missed,
    )  # fmt: skip


def totals(costs: Iterable[Cost]) -> dict[str, float]:
    """Each part summed over the orders, with `total` and `value`."""
    rows = list(costs)
    summed = {name: sum(getattr(row, name) for row in rows) for name in SHARES}
    return {**summed, "total": sum(summed.values()), "value": sum(row.value for row in rows)}


def measured(folder: Path, candles: Mapping[str, pd.DataFrame], equity: tuple[float, float], settings: StrategySettings) -> Shortfall:
    """The implementation shortfall of the session in `folder`.

    Args:
        candles: the session's own, by symbol.
        equity: at the end, of the session and of its replay.
    """
    orders = sent_orders(folder, candles)
    costs = [cost_of(order) for order in orders]
    summed = totals(costs)
    return Shortfall(
        orders=len(orders), filled=sum(order.filled > 0 for order in orders), **summed,
        total_bps=_bps(summed["total"], summed["value"]),
        assumed_bps=_bps((settings.fee_bps + settings.slippage_bps) / 1e4 * _filled_value(orders), summed["value"]),
        session_equity=equity[0], replay_equity=equity[1],
        by_symbol={s: totals(c for c in costs if c.symbol == s) for s in sorted({c.symbol for c in costs})},
        costliest=[_row(cost) for cost in sorted(costs, key=lambda c: -c.total)[:_LISTED]],
    )  # fmt: skip


def _filled_value(orders: list[Sent]) -> float:
    return sum(order.filled * order.paid for order in orders)


def _row(cost: Cost) -> dict[str, float | str]:
    at = pd.Timestamp(cost.at, unit="ms", tz="UTC").isoformat()
    return {**asdict(cost), "at": at, "total": cost.total}


def _bps(part: float, whole: float) -> float:
    return part / whole * 1e4 if whole else 0.0


def sent_orders(folder: Path, candles: Mapping[str, pd.DataFrame]) -> list[Sent]:
    """Every order in the journal of the session in `folder`; `candles` are the session's own, by symbol."""
    path = folder / "journal.db"
    if not path.is_file():
        return []
    journal = Journal(path)
    try:
        return list(_read(journal, candles))
    finally:
        journal.close()


def _read(journal: Journal, candles: Mapping[str, pd.DataFrame]) -> Iterator[Sent]:
    closes = {s: dict(zip(_times(frame), frame["close"].tolist(), strict=True)) for s, frame in candles.items()}
    intents = [intent for intent, state in journal.intents() if state not in (IntentState.HELD, IntentState.DROPPED)]
    seen = {i.client_id: journal.recall(arrival_name(i.client_id)) or {} for i in intents}
    usual, handed_over = _usual_spread(intents, seen), {intent.replaces for intent in intents}
    first = {intent.client_id: intent.bar for intent in intents if intent.post_only}
    for intent in intents:
        known = closes.get(intent.symbol, {})
        bar = first.get(intent.replaces, intent.bar)
        if bar not in known:
            continue
        arrival = seen[intent.client_id]
        step = min((b - a for a, b in itertools.pairwise(sorted(known))), default=0)
        later = known.get(bar + step) if step else None
        quoted = arrival.get("half_spread", usual.get(intent.symbol))
        sent = _sent(intent, journal.executions(intent.client_id), known[bar], arrival.get("last"), quoted, later)
        yield replace(sent, ordered=sent.filled) if intent.client_id in handed_over and intent.post_only else sent


def _sent(
    intent: Intent, executions: list[Execution], close: float, arrival: float | None, quoted: float | None, later: float | None
) -> Sent:
    request = intent.request
    filled = float(sum(e.size for e in executions))
    paid = float(sum(e.size * e.price for e in executions)) / filled if filled else 0.0
    own = request.limit_price if request.limit_price is not None and not intent.post_only else request.stop_price
    return Sent(
        at=intent.bar, symbol=request.symbol, side="buy" if request.side is Side.BUY else "sell", ordered=float(request.size),
        filled=filled, paid=paid, decision=close, own_price=float(own) if own is not None else None, arrival=arrival, quoted=quoted,
        takes=request.limit_price is None, later=later,
        fees=float(sum((fee for e in executions if (fee := fee_in_quote(e)) is not None), Decimal(0))),
    )  # fmt: skip


def _usual_spread(intents: list[Intent], seen: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """The median half spread of each symbol, for orders after which no quote could be read."""
    found: dict[str, list[float]] = {}
    for intent in intents:
        if "half_spread" in seen[intent.client_id]:
            found.setdefault(intent.symbol, []).append(seen[intent.client_id]["half_spread"])
    return {symbol: median(values) for symbol, values in found.items()}


def _times(frame: pd.DataFrame) -> list[int]:
    index = pd.DatetimeIndex(frame.index)
    times: list[int] = (index.as_unit("ns").asi8 // 1_000_000).tolist()
    return times
