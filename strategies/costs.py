"""Trading costs: for the decision as shares of the traded value, for Backtrader as a commission scheme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backtrader as bt

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules


@dataclass(frozen=True, slots=True)
class Costs:
    """Shares of the traded value, paid on each side of a trade."""

    fee: float
    slippage: float
    half_spread: float

    @classmethod
    def of(cls, settings: StrategySettings) -> Costs:
        return cls(settings.fee_bps / 1e4, settings.slippage_bps / 1e4, settings.spread_bps / 2e4)

    @property
    def per_side(self) -> float:
        return self.fee + self.slippage + self.half_spread

    @property
    def round_trip(self) -> float:
        return 2 * self.per_side


def maker_fee(settings: StrategySettings, rule: MarketRules) -> float | None:
    """The share that an order pays which rested: every limit order of a perpetual, post-only entries on spot; None where it pays as any
    other."""
    if settings.maker_fee_bps is not None:
        return settings.maker_fee_bps / 1e4
    if not rule.is_perpetual or rule.maker_fee is None:
        return None
    return min(float(rule.maker_fee), settings.fee_bps / 1e4)


class VenueCommission(bt.CommInfoBase):
    """A share of the traded value; fractions of a unit can be traded.

    Params:
        base_fee: share of a buy that the venue keeps in base currency; such a buy pays nothing in quote currency.
        maker: share that an order pays which rested, on margin, and a post-only entry anywhere; None where that is the same.
    """

    params = (("stocklike", True), ("commtype", bt.CommInfoBase.COMM_PERC), ("percabs", True), ("base_fee", 0.0), ("maker", None))

    def as_maker(self) -> VenueCommission:
        """The same for an order that rested."""
        share = self.p.commission if self.p.maker is None else self.p.maker
        base_fee = share if self.p.base_fee else 0.0
        return VenueCommission(commission=share, base_fee=base_fee, leverage=self.p.leverage, mult=self.p.mult)

    def fee(self, size: float, price: float, *, maker: bool) -> float:
        """What `size` units at `price` cost, in quote currency."""
        rate = self.p.maker if maker and self.p.maker is not None else self.p.commission
        return float(abs(size) * rate * price)

    def getsize(self, price: float, cash: float) -> float:
        return self.p.leverage * cash / price  # Backtrader's own rounds to whole units

    def _getcommission(self, size: float, price: float, pseudoexec: bool) -> float:
        if self.p.base_fee and size > 0:
            return 0.0
        return abs(size) * self.p.commission * price


def as_the_venue_takes_it(asked: Any, own: Any) -> Any:
    """A commission scheme that a user asked for, in the place of `own`, the scheme of a symbol so far (None where there is none).

    A plain share of the traded value stays one that is taken in base currency where the venue does so, and knows fractions of a unit;
    another scheme (per contract, with margin, of the user's own class) is taken as it is.
    """
    is_share = type(asked) is bt.CommInfoBase and asked.stocklike and asked._commtype == bt.CommInfoBase.COMM_PERC and not asked.p.interest
    if not is_share or not isinstance(own, VenueCommission):
        return asked
    share = asked.p.commission
    base_fee = share if own.p.base_fee else 0.0
    return VenueCommission(commission=share, base_fee=base_fee, maker=own.p.maker, leverage=asked.p.leverage, mult=asked.p.mult)
