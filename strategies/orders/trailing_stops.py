"""Trailing stops: where they begin, and which closed bars move them. The rule of every broker, simulated or live, and Backtrader's.

Backtrader's own `Order.trailadjust` moves them; after each move the price is put on the venue's grid. That rounds to the side that is
triggered no later, and a price that is beyond one on the grid is so rounded as well: the stop stands where it would without the rounding.
"""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

from forwardtrader.core.types import Side
from forwardtrader.strategies.detail.series import inner_of
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import RawOrder, on_tick

TRAILING: Final = (bt.Order.StopTrail, bt.Order.StopTrailLimit)
STOPS: Final = (bt.Order.Stop, bt.Order.StopLimit, *TRAILING)


def raw_order(
    side: Side, data: Any, size: float, price: float | None, plimit: float | None, exectype: int | None, *,
    trailamount: float | None = None, trailpercent: float | None = None, reason: str = "",
) -> RawOrder:  # fmt: skip
    """An order as a strategy asks for it, in the terms of the order rules.

    Args:
        price, plimit: as in Backtrader: the stop price of a stop order and its limit, where a trailing stop hangs from, a limit.
    """
    limit, stop = None, None
    if exectype in TRAILING:
        stop, limit = first_prices(side, price or plimit or data.close[0], plimit, trailamount, trailpercent)
        limit = limit if exectype == bt.Order.StopTrailLimit else None
    elif exectype in STOPS:
        stop, limit = price, plimit if exectype == bt.Order.StopLimit else None
    elif exectype == bt.Order.Limit:
        limit = price
    return RawOrder(side=side, size=abs(size), reference=data.close[0], limit_price=limit, stop_price=stop, reason=reason)


def first_prices(side: Side, base: float, limit: float | None, amount: float | None, percent: float | None) -> tuple[float, float]:
    """Stop and limit price of a trailing stop that hangs from `base`, as Backtrader computes them."""
    away = amount or base * (percent or 0.0)
    stop = base + away if side is Side.BUY else base - away
    return stop, stop - (base - (limit or base))


def begin(order: Any) -> None:
    """Put a new trailing stop on the venue's grid. Its first prices are kept: a bar may move it before anybody is told of it."""
    put_on_grid(order)
    order.addinfo(first_prices=(order.created.price, order.created.pricelimit))


def asked_prices(order: Any) -> tuple[float, float]:
    """Price and limit that an order was made with; 0 where it has none."""
    price, limit = order.info.get("first_prices") or (order.created.price, order.created.pricelimit)
    return float(price or 0.0), float(limit or 0.0)


def put_on_grid(order: Any) -> None:
    """Put the prices of a trailing stop on the venue's grid: those by which it is triggered and filled."""
    rules, side = context_of(order.data).rules, Side.BUY if order.isbuy() else Side.SELL
    order.created.price, order.created.pricelimit = (
        float(on_tick(float(price), rules, side)) for price in (order.created.price, order.created.pricelimit)
    )


def move(order: Any) -> None:
    """Move a trailing stop by the newest bar of its feed, in which nothing has touched it."""
    order.trailadjust(order.data.close[0])
    put_on_grid(order)


def has_traded(data: Any) -> bool:
    """Whether anything was traded in the newest bar: else nothing can have been executed in it, and it moves no stop."""
    if (inner := inner_of(data)) is not None:
        return inner.traded
    return bool(data.volume[0]) or data.high[0] != data.low[0]


def is_touched(order: Any) -> bool:
    """Whether the newest bar has reached the stop price of an order."""
    data, stop = order.data, order.created.price
    return bool(data.high[0] >= stop if order.isbuy() else data.low[0] <= stop)
