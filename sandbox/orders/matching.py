"""When and at what price an order fills: pure decisions for both fill modes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import TAKE_PROFITS, WITH_TRIGGER, ZERO, NewOrder, OrderType


@dataclass(frozen=True, slots=True)
class BarOutcome:
    """What one bar does to an order: the price of its fill, if any, and whether its trigger has been passed."""

    price: Decimal | None
    triggered: bool


def at_open(wish: NewOrder, triggered: bool, price: Decimal) -> BarOutcome:
    """What happens to an order at a bar's open, `price`, before the rest of the bar is known."""
    flat = Candle(0, price, price, price, price, ZERO)
    return over_bar(wish, triggered, flat)


def over_bar(wish: NewOrder, triggered: bool, bar: Candle) -> BarOutcome:
    """What a whole bar does to an order.

    Backtrader's own rule: a market order fills at the open; a limit at the open if that is better, else at the limit once it is
    touched; a stop at the open on a gap, else at its trigger; a stop limit becomes a limit, within the bar only where the path is certain.
    """
    if wish.type is OrderType.MARKET:
        return BarOutcome(bar.open, False)
    if wish.type not in WITH_TRIGGER or triggered:
        return BarOutcome(_limit(wish, bar), triggered)
    assert wish.stop_price is not None
    rising = triggers_upward(wish)
    gap = bar.open >= wish.stop_price if rising else bar.open <= wish.stop_price
    if gap:
        return BarOutcome(_limit(wish, bar) if wish.limit_price is not None else bar.open, True)
    if not (bar.high >= wish.stop_price if rising else bar.low <= wish.stop_price):
        return BarOutcome(None, False)
    return BarOutcome(_inside(wish, bar) if wish.limit_price is not None else wish.stop_price, True)


def triggers_upward(wish: NewOrder) -> bool:
    """Whether the trigger is passed by a rising price: a buy stop or a take-profit sale."""
    return (wish.side is Side.BUY) != (wish.type in TAKE_PROFITS)


def is_triggered(wish: NewOrder, last: Decimal) -> bool:
    """Whether the last price has reached the trigger."""
    if wish.stop_price is None:
        return False
    return last >= wish.stop_price if triggers_upward(wish) else last <= wish.stop_price


def crosses(wish: NewOrder, price: Decimal) -> bool:
    """Whether a limit order would deal at `price`."""
    if wish.limit_price is None:
        return True
    return price <= wish.limit_price if wish.side is Side.BUY else price >= wish.limit_price


@dataclass(frozen=True, slots=True)
class Level:
    """A price with the size that stands there."""

    price: Decimal
    size: Decimal


def walk(levels: Sequence[Level], wish: NewOrder, size: Decimal) -> list[Level]:
    """The pieces a taker gets from the far side of the book, best price first, until `size` or the limit is reached."""
    pieces: list[Level] = []
    for level in levels:
        if size <= 0 or not crosses(wish, level.price):
            break
        piece = min(size, level.size)
        if piece > 0:
            pieces.append(Level(level.price, piece))
            size -= piece
    return pieces


def slipped(wish: NewOrder, price: Decimal, bar: Candle, bps: Decimal) -> Decimal:
    """A fill price made worse by `bps` in full, as the backtest's broker does it: also beyond the bar, but never beyond a limit.

    A limit order that is filled at its own price does not slip.
    """
    buys = wish.side is Side.BUY
    worse = price * (1 + bps / 10_000) if buys else price * (1 - bps / 10_000)
    if wish.limit_price is None:
        return worse
    if price == wish.limit_price:
        return price
    return min(worse, wish.limit_price, bar.high) if buys else max(worse, wish.limit_price)


def _limit(wish: NewOrder, bar: Candle) -> Decimal | None:
    limit = wish.limit_price
    if limit is None:
        return bar.open
    if wish.side is Side.BUY:
        return bar.open if limit >= bar.open else limit if limit >= bar.low else None
    return bar.open if limit <= bar.open else limit if limit <= bar.high else None


def _inside(wish: NewOrder, bar: Candle) -> Decimal | None:
    """The fill of a stop limit whose trigger is passed within the bar: only where the path after it is certain."""
    stop, limit = wish.stop_price, wish.limit_price
    assert stop is not None and limit is not None
    if crosses(wish, stop):
        return stop
    turned = bar.open > bar.close if wish.side is Side.BUY else bar.open <= bar.close
    return limit if turned and crosses(wish, bar.close) else None
