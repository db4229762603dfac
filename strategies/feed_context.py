"""The context of a Backtrader feed: venue rules, bar length and forecasts, for strategy and broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import MarketRules, Spans, Timeframe, is_within
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.strategies.detail.series import DetailSeries
from forwardtrader.strategies.margin.series import PerpetualFacts

Feed = TypeVar("Feed")


@dataclass(frozen=True, slots=True)
class FeedContext:
    """Context of a feed, attached to it as the attribute `context`.

    Attributes:
        last_bar: its last bar, as Backtrader counts time, where it ends before other feeds of the run do; 0 where it does not.
        facts: marks and funding of a perpetual; None where the last price stands for the mark, and no funding is settled.
        members: when it belongs to the universe of the run; None is always.
        paused: why no position may be entered at the bars that opened then (ms UTC), since venues disagree about the price.
        detail: the finer bars inside those of a past market, by which orders that rest are filled; None where each is met as a whole.
    """

    rules: MarketRules
    timeframe: Timeframe
    source: ForecastSource | None = None
    last_bar: float = 0.0
    facts: PerpetualFacts | None = None
    members: Spans | None = None
    detail: DetailSeries | None = None
    paused: Mapping[int, str] = field(default_factory=dict)

    def may_hold(self, opened: float) -> bool:
        """Whether the symbol belongs to the universe of the run at the close of the bar that opens then (UTC epoch seconds)."""
        return self.members is None or is_within(self.members, opened + self.timeframe.seconds)


def attach(data: object, context: FeedContext) -> None:
    """Put its facts on a feed. The feed's bars are stamped with their UTC open time."""
    data.context = context  # type: ignore[attr-defined]  # any feed takes it, ours and foreign ones


def traded(data: Feed) -> Feed:
    """The feed that orders given on `data` are for: itself, or the one that its longer bars are made of."""
    found: Feed = getattr(data, "traded", data)
    return found


def traded_feeds(datas: Iterable[Feed]) -> list[Feed]:
    """Those on which orders are filled and positions held; the others only show longer bars of them."""
    return [data for data in datas if traded(data) is data]


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
