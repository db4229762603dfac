"""The context of a Backtrader feed: venue rules, bar length and forecasts, for strategy and broker."""

from __future__ import annotations

from dataclasses import dataclass

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.models.forecaster import ForecastSource


@dataclass(frozen=True, slots=True)
class FeedContext:
    """Context of a feed, attached to it as the attribute `context`.

    Attributes:
        last_bar: its last bar, as Backtrader counts time, where it ends before other feeds of the run do; 0 where it does not.
    """

    rules: MarketRules
    timeframe: Timeframe
    source: ForecastSource | None = None
    last_bar: float = 0.0


def attach(data: object, context: FeedContext) -> None:
    """Put the facts on a feed. The feed's bars are stamped with their UTC open time."""
    data.context = context  # type: ignore[attr-defined]  # any feed takes it, ours and foreign ones


def context_of(data: object) -> FeedContext:
    """The facts of a feed.

    Raises:
        InvalidSetting: the feed carries none, as a resampled or foreign feed does.
    """
    context = getattr(data, "context", None)
    if not isinstance(context, FeedContext):
        name = getattr(data, "_name", "") or "a feed"
        raise InvalidSetting(f"{name} carries no market rules and forecasts; build it with forwardtrader.build_cerebro or attach() them")
    return context
