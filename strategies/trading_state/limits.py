"""The limits of an account as the state machine reads them; what is not limited is infinite."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import Final

from forwardtrader.core.settings import RiskSettings, StrategySettings
from forwardtrader.strategies.risk import RiskLimits

# The settings that hold in every run, and so decide its result.
EVERY_RUN: Final = (
    "max_drawdown", "on_drawdown", "drawdown_rearm", "max_daily_loss", "on_daily_loss", "max_losing_streak", "on_losing_streak",
    "losing_streak_rearm", "max_gross_exposure", "max_symbol_exposure", "max_orders_per_bar", "max_orders_per_hour", "max_model_age",
)  # fmt: skip
BY_HAND: Final = 1e15  # seconds: a breach that only a person ends; a plain number, so that it can be saved as JSON


class TradingState(IntEnum):
    """What an account may do: anything, only what lowers its exposure, or nothing but protect what it holds."""

    ACTIVE = 0
    REDUCING = 1
    HALTED = 2


class OnBreach(StrEnum):
    """What a limit that was reached does: reduce only, halt, or sell everything and halt."""

    REDUCE = "reduce"
    HALT = "halt"
    FLATTEN = "flatten"

    @property
    def state(self) -> TradingState:
        return TradingState.REDUCING if self is OnBreach.REDUCE else TradingState.HALTED


class Limit(StrEnum):
    """The limits that change the state, named as their settings."""

    DRAWDOWN = "risk.max_drawdown"
    DAILY_LOSS = "risk.max_daily_loss"
    LOSING_STREAK = "risk.max_losing_streak"
    MODEL_AGE = "risk.max_model_age"


@dataclass(frozen=True, slots=True)
class TradingLimits:
    """Every limit of an account. Exposures are shares of equity, times seconds.

    Attributes:
        losses: drawdown and daily loss.
        on_breach: what each limit does when it is reached.
    """

    losses: RiskLimits
    on_breach: dict[Limit, OnBreach]
    losing_streak: float = math.inf
    streak_seconds: float = BY_HAND
    gross_exposure: float = math.inf
    symbol_exposure: float = math.inf
    orders_per_bar: float = math.inf
    orders_per_hour: float = math.inf
    model_seconds: float = math.inf

    def within(self, settings: StrategySettings, symbols: int) -> StrategySettings:
        """The same settings with no larger exposure than the limits let through, so that entries are smaller and not refused.

        Args:
            symbols: among which `max_exposure` is divided.
        """
        most = min(settings.max_exposure, self.gross_exposure, self.symbol_exposure * symbols)
        return settings if most == settings.max_exposure else settings.model_copy(update={"max_exposure": most})

    @classmethod
    def of(cls, settings: RiskSettings) -> TradingLimits | None:
        """The limits that are set; None where there is none, or `gate` is off."""
        wanted = (
            settings.max_drawdown, settings.max_daily_loss, settings.max_losing_streak, settings.max_gross_exposure,
            settings.max_symbol_exposure, settings.max_orders_per_bar, settings.max_orders_per_hour, settings.max_model_age,
        )  # fmt: skip
        if not settings.gate or all(limit is None for limit in wanted):
            return None
        return cls(
            RiskLimits(_or_none(settings.max_drawdown), _or_none(settings.max_daily_loss), _seconds(settings.drawdown_rearm, BY_HAND)),
            {
                Limit.DRAWDOWN: OnBreach(settings.on_drawdown), Limit.DAILY_LOSS: OnBreach(settings.on_daily_loss),
                Limit.LOSING_STREAK: OnBreach(settings.on_losing_streak), Limit.MODEL_AGE: OnBreach.REDUCE,
            },
            losing_streak=_or_none(settings.max_losing_streak),
            streak_seconds=settings.losing_streak_rearm.total_seconds(),
            gross_exposure=_or_none(settings.max_gross_exposure),
            symbol_exposure=_or_none(settings.max_symbol_exposure),
            orders_per_bar=_or_none(settings.max_orders_per_bar),
            orders_per_hour=_or_none(settings.max_orders_per_hour),
            model_seconds=_seconds(settings.max_model_age, math.inf),
        )  # fmt: skip


def _or_none(limit: float | None) -> float:
    return math.inf if limit is None else float(limit)


def _seconds(span: timedelta | None, otherwise: float) -> float:
    return otherwise if span is None else span.total_seconds()
