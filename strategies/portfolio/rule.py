"""Parameters of the decision for all symbols together, computed once from the settings."""

from __future__ import annotations

from dataclasses import dataclass

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import Timeframe
from forwardtrader.strategies.costs import Costs


@dataclass(frozen=True, slots=True)
class PortfolioRule:
    """Exposures are shares of equity; gain, scale and volatility are those of the forecasts' horizon.

    Attributes:
        enter: what a unit of exposure must be expected to gain before it is added.
        leave: what it must be expected to lose before it is given up; `leave` never exceeds `enter`.
        aversion: weight of the variance against the gain; 1 is the growth-optimal (Kelly) investor.
        cap: largest exposure to one symbol, on either side.
        gross, net: largest sum of all exposures without and with their sign.
        volatility: largest standard deviation of the account over the horizon.
        min_change: changes of exposure smaller than this are not made, but for closing.
        slack: share by which prices may carry the account above a limit before it is brought back.
        renewal: share of a new bar in the remembered correlations.
        shrinkage: share of the mean correlation in each.
    """

    enter: float
    leave: float
    aversion: float
    cap: float
    gross: float
    net: float
    volatility: float
    min_change: float
    slack: float
    renewal: float
    shrinkage: float

    @classmethod
    def of(cls, settings: StrategySettings, timeframe: Timeframe, yearly_root: float, symbols: int) -> PortfolioRule:
        """The rule of an account of `symbols`; `yearly_root` is the square root of the number of forecast horizons in a year."""
        round_trip = Costs.of(settings).round_trip
        enter = settings.portfolio_margin * round_trip
        cap = min(settings.max_exposure, settings.max_exposure * settings.portfolio_share / symbols)
        memory = timeframe.bars(settings.portfolio_memory)
        return cls(
            enter=enter, leave=min(enter, settings.leave * round_trip), aversion=settings.portfolio_aversion, cap=cap,
            gross=settings.max_exposure, net=min(settings.portfolio_net, settings.max_exposure),
            volatility=settings.portfolio_volatility / yearly_root, min_change=settings.portfolio_min_trade * cap,
            slack=settings.portfolio_min_trade,
            renewal=1.0 - 0.5 ** (1.0 / memory) if memory else 1.0, shrinkage=settings.portfolio_shrinkage,
        )  # fmt: skip
