"""Matching rules: whether and at what price an order fills, as pure functions for both fill modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import TAKE_PROFITS, WITH_TRIGGER, ZERO, NewOrder, OrderType


@dataclass(frozen=True, slots=True)
class BarOutcome:
    """Result of one bar for an order: the fill price, if any, and whether its trigger has been passed."""

    price: Decimal | None
    triggered: bool


def at_open(request: NewOrder, triggered: bool, price: Decimal) -> BarOutcome:
    """Match an order at a bar's open `price`, before the rest of the bar is known."""
    flat = Candle(0, price, price, price, price, ZERO)
    return over_bar(request, triggered, flat)


def over_bar(request: NewOrder, triggered: bool, bar: Candle) -> BarOutcome:
    """Match an order over a complete bar.

    Backtrader's own rule: a market order fills at the open; a limit at the open if that is better, else at the limit once it is
    touched; a stop at the open on a gap, else at its trigger; a stop limit becomes a limit, within the bar only where the path is certain.
    """
    if request.type is OrderType.MARKET:
        return BarOutcome(bar.open, False)
    if request.type not in WITH_TRIGGER or triggered:
        return BarOutcome(_limit(request, bar), triggered)
    assert request.stop_price is not None
    rising = triggers_upward(request)
    gap = bar.open >= request.stop_price if rising else bar.open <= request.stop_price
    if gap:
        return BarOutcome(_limit(request, bar) if request.limit_price is not None else bar.open, True)
    if not (bar.high >= request.stop_price if rising else bar.low <= request.stop_price):
        return BarOutcome(None, False)
    return BarOutcome(_inside(request, bar) if request.limit_price is not None else request.stop_price, True)


def part_of_bar(request: NewOrder, remaining: Decimal, bar: Candle, tick: Decimal, step: Decimal, share: Decimal) -> Decimal:
    """How much a complete bar fills of an order that rests in a queue: nothing where its prices only touch the limit, else up to `share` of
    the bar's volume, on the grid of sizes."""
    limit = request.limit_price
    assert limit is not None
    beyond = limit - bar.low if request.side is Side.BUY else bar.high - limit
    if beyond < tick:
        return ZERO
    return min(remaining, bar.volume * share // step * step)


def triggers_upward(request: NewOrder) -> bool:
    """Whether the trigger is passed by a rising price: a buy stop or a take-profit sale."""
    return (request.side is Side.BUY) != (request.type in TAKE_PROFITS)


def is_triggered(request: NewOrder, last: Decimal) -> bool:
    """Whether the last price has reached the trigger."""
    if request.stop_price is None:
        return False
    return last >= request.stop_price if triggers_upward(request) else last <= request.stop_price


def crosses(request: NewOrder, price: Decimal) -> bool:
    """Whether an order's limit allows a fill at `price`."""
    if request.limit_price is None:
        return True
    return price <= request.limit_price if request.side is Side.BUY else price >= request.limit_price


@dataclass(frozen=True, slots=True)
class Level:
    """A price level of the book and its size."""

    price: Decimal
    size: Decimal


def walk(levels: Sequence[Level], request: NewOrder, size: Decimal) -> list[Level]:
    """The fills of a taker against the opposite side of the book, best price first, up to `size` or the limit price."""
    pieces: list[Level] = []
    for level in levels:
        if size <= 0 or not crosses(request, level.price):
            break
        piece = min(size, level.size)
        if piece > 0:
            pieces.append(Level(level.price, piece))
            size -= piece
    return pieces


def slipped(request: NewOrder, price: Decimal, bar: Candle, bps: Decimal) -> Decimal:
    """Slippage: the fill price made worse by `bps`, as in the backtest's broker; it may leave the bar but never passes a limit.

    A limit order that is filled at its own price does not slip.
    """
    buys = request.side is Side.BUY
    worse = price * (1 + bps / 10_000) if buys else price * (1 - bps / 10_000)
    if request.limit_price is None:
        return worse
    if price == request.limit_price:
        return price
    return min(worse, request.limit_price, bar.high) if buys else max(worse, request.limit_price)


def _limit(request: NewOrder, bar: Candle) -> Decimal | None:
    limit = request.limit_price
    if limit is None:
        return bar.open
    if request.side is Side.BUY:
        return bar.open if limit >= bar.open else limit if limit >= bar.low else None
    return bar.open if limit <= bar.open else limit if limit <= bar.high else None


def _inside(request: NewOrder, bar: Candle) -> Decimal | None:
    """The fill of a stop limit whose trigger is passed within the bar: only where the path after it is certain."""
    stop, limit = request.stop_price, request.limit_price
    assert stop is not None and limit is not None
    if crosses(request, stop):
        return stop
    turned = bar.open > bar.close if request.side is Side.BUY else bar.open <= bar.close
    return limit if turned and crosses(request, bar.close) else None
