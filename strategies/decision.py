"""The decision of one symbol from forecast, account and risk gate: signals, sizing and risk combined, the same in every mode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.strategies.costs import Costs
from forwardtrader.strategies.order_rules import enlarges
from forwardtrader.strategies.orders.entries import EntryRule
from forwardtrader.strategies.risk import Gate, RiskLimits
from forwardtrader.strategies.signals import EdgeRule, Signal, decide
from forwardtrader.strategies.sizing import SizeRule, exposure_cap, stop_distance, stop_price

HALTED = "drawdown halt"
COOLING = "cooling down after a stop"
STOPPED = "protective stop"
_EXCHANGE_HOURS_S = 23_400  # a stock exchange is open 6.5 hours a day


@dataclass(frozen=True, slots=True)
class DecisionParams:
    """Parameters of one symbol's decision, computed once. `renewal` is the share of a new bar in the remembered scale, `entry` how entries
    rest; None where all go to the market."""

    edge: EdgeRule
    size: SizeRule
    limits: RiskLimits
    cooldown_s: float
    renewal: float
    entry: EntryRule | None = None

    @classmethod
    def of(cls, settings: StrategySettings, market: MarketRules, timeframe: Timeframe, horizon: int, symbols: int = 1) -> DecisionParams:
        """The knobs for one of `symbols` that share the account: exposure, volatility and loss at the stop are divided among them.

        Where all are decided on together, that decision limits exposure and volatility, and `portfolio_stop` alone says where stops lie.
        `horizon` is that of the forecasts, in bars.
        """
        costs, together = Costs.of(settings), settings.decides_together(symbols, perpetual=market.is_perpetual)
        holding = timeframe.bars(settings.holding) or horizon
        yearly_root = (bars_per_year(market, timeframe) / horizon) ** 0.5
        stop = settings.portfolio_stop if together else settings.stop_scales
        edge = EdgeRule(
            round_trip=costs.round_trip,
            margin=settings.margin,
            leave=settings.leave,
            share=min(1.0, holding / horizon),
            premium=settings.premium / yearly_root * max(0, holding - horizon) / horizon,
            span=holding / horizon,
            risk_aversion=settings.risk_aversion,
            min_change=settings.min_trade,
            shorts=market.can_short and settings.sells_short(perpetual=market.is_perpetual),
        )
        size = SizeRule(
            max_exposure=settings.max_exposure / symbols,
            target_volatility=settings.target_volatility / symbols,
            yearly_root=yearly_root,
            risk_tolerance=1.0 if together else settings.risk_tolerance / symbols,
            stop_scales=stop * (max(1.0, timeframe.bars_per_day) / horizon) ** 0.5,
            round_trip=costs.round_trip,
            entry_cost=costs.fee + costs.slippage,
            cash_reserve=settings.cash_reserve,
            leverage=settings.leverage if market.is_perpetual else 0.0,
        )
        limits = RiskLimits(settings.max_drawdown, settings.max_daily_loss, settings.halt_for.total_seconds())
        memory = timeframe.bars(settings.scale_memory)
        renewal = 1.0 - 0.5 ** (1.0 / memory) if memory else 1.0
        return cls(edge, size, limits, settings.cooldown.total_seconds(), renewal, EntryRule.of(settings, market, horizon))

    def at_costs(self, multiple: float) -> DecisionParams:
        """The same where a trade costs `multiple` times as much; what the cash must pay stays, as orders are checked by it."""
        edge = replace(self.edge, round_trip=self.edge.round_trip * multiple)
        return replace(self, edge=edge, size=replace(self.size, round_trip=self.size.round_trip * multiple))


@dataclass(slots=True)
class PositionState:
    """State of one symbol between bars; plain numbers, so that it survives a restart.

    Attributes:
        stop: price of the protective stop; 0 where there is none.
        distance, budget: stop distance and quote units that may be lost, as decided with the newest order that added exposure.
        fill: price of a fill that added exposure and for which the stop is not worked out yet; 0 otherwise.
        resume_at: UTC epoch seconds before which no exposure is taken, after a stop was hit.
        variance: exponentially weighted mean of the squared forecast scales; 0 before the first one.
    """

    stop: float = 0.0
    distance: float = 0.0
    budget: float = 0.0
    fill: float = 0.0
    resume_at: float = 0.0
    variance: float = 0.0

    @classmethod
    def restore(cls, saved: Mapping[str, float]) -> PositionState:
        """Read what `as_dict` wrote.

        Raises:
            InvalidSetting: a field is missing or unknown.
        """
        if set(saved) != {field.name for field in fields(cls)}:
            raise InvalidSetting(
                f"saved position state holds {sorted(saved)}; delete the session's state or resume it with its own version"
            )
        return cls(**saved)

    def as_dict(self) -> dict[str, float]:
        return asdict(self)

    def steady_scale(self, scale: float, params: DecisionParams) -> float:
        """Take in the newest forecast scale; the remembered one, by which sizes and stops do not follow every bar."""
        if not scale > 0.0:
            return scale
        new = scale * scale
        self.variance = new if not self.variance else self.variance + params.renewal * (new - self.variance)
        return math.sqrt(self.variance)

    def intend(self, scale: float, equity: float, params: DecisionParams) -> None:
        """Remember what the order that adds exposure now may lose."""
        self.distance = stop_distance(scale, params.size)
        self.budget = params.size.risk_tolerance * equity

    def place_stop(self, size: float, params: DecisionParams) -> None:
        """Work out the stop after a fill; an older stop on the same side is never loosened."""
        side = 1.0 if size > 0.0 else -1.0
        new = stop_price(side, self.fill, abs(size), self.distance, self.budget, params.size)
        self.stop = new if not self.stop else max(self.stop, new) if side > 0.0 else min(self.stop, new)
        self.fill = 0.0

    def close(self) -> None:
        """Forget the position."""
        self.stop = self.distance = self.budget = self.fill = 0.0


def target_exposure(
    location: float, scale: float, held: float, at: float, gate: Gate, state: PositionState, params: DecisionParams
) -> Signal | None:
    """The exposure to go to, or None to stay.

    Args:
        location, scale: the forecast; NaN where no model is in force.
        held: present exposure as a share of equity.
        at: open time of the bar, UTC epoch seconds.
    """
    if gate is Gate.HALTED:
        return Signal(0.0, HALTED) if held else None
    if at < state.resume_at:
        return Signal(0.0, COOLING) if held else None
    if not held and not location > 0.0 and not params.edge.shorts:
        return None  # the result of `decide`, before anything is computed: most bars of a long-only run end here
    signal = decide(location, scale, held, exposure_cap(scale, params.size), params.edge)
    if signal is not None and gate is Gate.LOCKED and enlarges(held, signal.exposure):
        return None
    return signal


def bars_per_year(market: MarketRules, timeframe: Timeframe) -> float:
    """Bars in a year; a market that rests on weekends is taken to be open 6.5 hours a day."""
    open_seconds = 86400 if market.periods_per_year >= 360 or timeframe.seconds >= 86400 else _EXCHANGE_HOURS_S
    return market.periods_per_year * open_seconds / timeframe.seconds
