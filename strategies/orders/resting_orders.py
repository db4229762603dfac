"""Limit orders that are filled only where the price trades through them: post-only entries, and all where the settings ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import backtrader as bt

from forwardtrader.strategies.detail.series import inner_of
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.orders.entries import POST_ONLY, Then, crosses, left_for_market, part_filled


@dataclass(frozen=True)
class RestingFills:
    """How resting orders are filled: by which share of a bar's volume at most, and whether all limit orders are filled so."""

    volume_share: float = 0.1
    every_limit: bool = False


def is_post_only(order: Any) -> bool:
    """Whether an order is a post-only entry that may rest, or rests."""
    return POST_ONLY in order.info and order.exectype == bt.Order.Limit


def fills_through(order: Any, fills: RestingFills) -> bool:
    """Whether the price must trade through an order to fill it."""
    if order.exectype != bt.Order.Limit:
        return False
    return is_post_only(order) or (fills.every_limit and (has_arrived(order) or not _is_reached(order)))


def has_arrived(order: Any) -> bool:
    """Whether a bar has met the order."""
    return bool(getattr(order, "has_rested", False))


def is_crossing(order: Any) -> bool:
    """Whether a post-only order arrives where it would take from the book, which the venue refuses."""
    return not has_arrived(order) and is_post_only(order) and _is_reached(order)


def _is_reached(order: Any) -> bool:
    return crosses(float(order.created.price), opened_at(order.data), buys=order.isbuy())


def opened_at(data: Any) -> float:
    """Where the newest bar of a feed opened, or the finer one that it is at."""
    inner = inner_of(data)
    return float(data.open[0]) if inner is None else inner.open


def part_of(order: Any, fills: RestingFills) -> float:
    """Base units that the newest bar, or the finer one that its feed is at, fills of a resting order, without sign."""
    data, buys, inner = order.data, order.isbuy(), inner_of(order.data)
    low, high, volume = (data.low[0], data.high[0], data.volume[0]) if inner is None else (inner.low, inner.high, inner.volume)
    rest, worst = abs(order.executed.remsize), low if buys else high
    return part_filled(float(order.created.price), rest, worst, volume * fills.volume_share, context_of(data).rules, buys=buys)


def _is_over(order: Any) -> bool:
    return bool(order.valid) and order.data.datetime[0] > order.valid


def hand_over(orders: Iterable[Any], objection: Callable[[Any], str]) -> None:
    """Have entries whose deadline is over go to the market, where that follows and enough is left for the venue to take it.

    Args:
        objection: why nothing may be entered on a feed now; "" where it may.
    """
    for order in orders:
        if not is_post_only(order) or order.info[POST_ONLY] != Then.MARKET or not _is_over(order):
            continue
        units = float(left_for_market(abs(order.executed.remsize), order.created.price, context_of(order.data).rules))
        if units and not objection(order.data):
            order.exectype = bt.Order.Market
            order.executed.remsize = units if order.isbuy() else -units
