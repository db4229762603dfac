"""Entries as resting orders: whether one is worth it, at which price it rests, and what follows at its deadline. Pure.

An entry by a market order pays `fee + slippage + half the spread`, one by a post-only limit order the maker's fee. What resting saves,

    saved = (fee - maker fee) + slippage + half the spread

is set against what the forecast expects the price to run away until the deadline, in the direction of the entry:

    lost = location * min(1, deadline / horizon)          (with the other sign for a short)

all as shares of the traded value. The entry rests where `saved` is more than `lost`, and goes to the market where it is not. A buy rests
half the spread below the close that was decided on, and a tick at least; a short as far above it. Exits and stops never rest as makers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.costs import Costs, maker_fee
from forwardtrader.strategies.order_rules import Number, decimal, floor_to, is_dust

POST_ONLY: Final = "post_only"  # the info of a Backtrader order that is one; its value says what follows
CROSSED: Final = "the price had come to its limit before it could rest (post-only)"


class Then(StrEnum):
    """What follows where an entry was not wholly filled until its deadline."""

    MARKET = "market"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True)
class EntryRule:
    """How the entries of one symbol are executed where they may rest.

    Attributes:
        saved: what a resting entry saves, as a share of the traded value.
        half_spread: how far from the close it rests, as a share of it.
        reach: the deadline over the forecast's horizon, 1 at most.
        deadline: bars that it rests.
        then: what follows.
    """

    saved: float
    half_spread: float
    reach: float
    deadline: int
    then: Then

    @classmethod
    def of(cls, settings: StrategySettings, market: MarketRules, horizon: int) -> EntryRule | None:
        """The rule for forecasts over `horizon` bars; None where every entry goes to the market."""
        if settings.entry == "market":
            return None
        costs, maker = Costs.of(settings), maker_fee(settings, market)
        saved = costs.fee - (costs.fee if maker is None else maker) + costs.slippage + costs.half_spread
        reach = min(1.0, settings.entry_deadline / horizon)
        return cls(saved, costs.half_spread, reach, settings.entry_deadline, Then(settings.entry_then))

    def rests(self, location: float, *, buys: bool) -> bool:
        """Whether an entry is better off resting; `location` is that of the forecast."""
        return self.saved > (location if buys else -location) * self.reach

    def limit(self, close: float, market: MarketRules, *, buys: bool) -> float:
        """The price at which it rests, before it is put on the grid; zero or below where there is none."""
        tick = float(market.tick)
        away = max(tick, self.half_spread * close)
        return close - away if buys else close + away

    def seconds(self, bar: float) -> float:
        """How long it rests, for bars of so many seconds; half a bar later, so that no rounding takes its last bar from it."""
        return (self.deadline + 0.5) * bar


def volume_objection(settings: StrategySettings, volumes: Mapping[str, NDArray[np.float64]]) -> str:
    """Why orders cannot rest on bars with these volumes, by symbol; "" where they can, or do not."""
    if settings.entry == "market" and settings.limit_fills == "touch":
        return ""
    asked = "strategies.entry maker" if settings.entry == "maker" else "strategies.limit_fills through"
    unknown = [symbol for symbol, volume in volumes.items() if not np.nan_to_num(volume).any()]
    return (
        f"{', '.join(unknown)}: the volume is unknown, by which {asked} fills; leave that out, or bring candles with one" if unknown else ""
    )


def crosses(limit: float, opened: float, *, buys: bool) -> bool:
    """Whether a post-only order that arrives when the market is at `opened` would take from the book."""
    return opened <= limit if buys else opened >= limit


def part_filled(limit: float, rest: float, worst: float, room: float, market: MarketRules, *, buys: bool) -> float:
    """Base units that one bar fills of an order that rests at `limit`: none where the price did not trade through it by a tick.

    Args:
        rest: base units that are left, above zero; all of them are given back as they are.
        worst: the lowest price of the bar for a buy, the highest for a sale.
        room: base units that the bar may fill, its share of the volume.
    """
    tick = float(market.tick)
    beyond = limit - worst if buys else worst - limit
    if not room > 0.0 or beyond < tick * (1.0 - 1e-6):
        return 0.0
    most = floor_to(decimal(room), market.step)
    return rest if most >= decimal(rest) else float(most)


def left_for_market(rest: Number, limit: Number, market: MarketRules) -> Decimal:
    """Base units that a market order takes of what is left of a resting entry; zero where that is too little for the venue."""
    if is_dust(rest, limit, market):
        return Decimal(0)
    units = floor_to(decimal(rest), market.step)
    return units if market.max_market_size is None else min(units, market.max_market_size)
