"""Model lifecycle, bar by bar: scheduled and early retraining, trials, promotion and rollback; the same rules for backtest and live.

A boundary is called by the calendar, or early by drift. Its model is due `deployment_lag` bars later, or after its trial, and then takes
over or is refused. Everything is decided from bars that have closed, so a backtest and a live session over the same bars
come to the same decisions; and everything but the decisions already made is worked out anew from those bars, so a restart changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.folds.champion import EARLIER, Contest, Promotion, contest
from forwardtrader.models.online.drift import DriftRule, Reference, block_means, change_point, first_drift, reference
from forwardtrader.models.online.model_losses import ModelLosses
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.promotion_log import Author, PromotionAction
from forwardtrader.models.walk_forward import ANCHOR, aligned

# Gives the losses of a model from a moment on.
LossesOf = Callable[[ModelCard, datetime], ModelLosses]


@dataclass(frozen=True)
class TrainingCall:
    """A boundary whose model is to be trained; `changed` is when the market seems to have changed, if it did lately."""

    boundary: datetime
    by: Author
    reason: str
    changed: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """A promotion decision. `card` is in force from the bar that opens at `since`; `other` was replaced, or refused.

    `changed` is when the market seems to have changed, as known from then on.
    """

    action: PromotionAction
    by: Author
    card: ModelCard
    other: str
    reason: str
    since: datetime
    boundary: datetime | None = None
    changed: datetime | None = None


@dataclass(frozen=True)
class LifecycleRules:
    """The retraining calendar, and the rules of early retraining and trials."""

    models: ModelSettings
    learning: LearningSettings
    timeframe: Timeframe

    @property
    def horizon(self) -> int:
        """Bars ahead of the forecasts that models are compared by: the first of the settings, the one that reports score."""
        return self.models.horizons[0]

    @property
    def corrects(self) -> bool:
        """Whether forecasts are corrected at every bar."""
        return self.learning.corrects(self.models.forecaster)

    def due(self, boundary: datetime) -> datetime:
        """Open time of the first bar that a new model of `boundary` may forecast at."""
        bars = self.models.deployment_lag + self.learning.trial
        return self.aligned(boundary) + bars * self.timeframe.delta

    def aligned(self, boundary: datetime) -> datetime:
        """The first bar-open time not before `boundary`."""
        return aligned(boundary, self.timeframe)

    def scheduled(self, moment: datetime) -> datetime:
        """The newest scheduled boundary not after `moment`."""
        return ANCHOR + (moment - ANCHOR) // self.models.retrain_every * self.models.retrain_every

    @property
    def block(self) -> timedelta:
        """Time that one observation of the drift test spans."""
        return self.learning.block * self.timeframe.delta

    @property
    def drift(self) -> DriftRule:
        blocks = self.learning.false_alarms_every / self.block
        return DriftRule.of(max(blocks, 2.0), self.learning.slack)


@dataclass
class ModelLifecycle:
    """State of the lifecycle: the model in force, and the boundaries that are pending.

    Attributes:
        card: in force, or about to be.
        watched: from the bar that opens then, outcomes count against it.
        scheduled: the newest boundary of the calendar that was called.
        pending: called and not yet decided, oldest first.
        changed: when the market seems to have changed lately; the next models are trained with regard to it.
        before: gave way to the one in force, and comes back if that fails its guard period; None where nothing is guarded.
    """

    rules: LifecycleRules
    card: ModelCard
    watched: datetime
    scheduled: datetime
    pending: list[TrainingCall] = field(default_factory=list)
    before: ModelCard | None = None
    changed: datetime | None = None
    _references: dict[str, Reference | None] = field(default_factory=dict)
    _scanned: bool = False

    @property
    def next_boundary(self) -> datetime:
        """The next one of the calendar."""
        return self.scheduled + self.rules.models.retrain_every

    def calls(self, coming: datetime, losses_of: LossesOf) -> list[TrainingCall]:
        """Boundaries that are called now that all bars before the one opening at `coming` have closed; they become pending."""
        called = []
        if self.rules.learning.early and not self.pending:
            early = self._follow_up(coming) or (self._drift(coming, losses_of) if self._is_time(coming) else None)
            if early is not None and early.boundary < self.next_boundary:
                called.append(early)
        if self.next_boundary <= coming:
            self.scheduled = self.rules.scheduled(coming)
            called.append(TrainingCall(self.scheduled, Author.CALENDAR, "scheduled", self._changed(self.scheduled)))
        self.pending += called
        return called

    def is_ready(self, call: TrainingCall, coming: datetime) -> bool:
        """Whether a trained model can be decided upon: at once where it has no trial to pass, else when that is over."""
        return self.rules.learning.trial == 0 or self.rules.due(call.boundary) <= coming

    def decide(self, call: TrainingCall, card: ModelCard, coming: datetime, losses_of: LossesOf) -> Decision:
        """Let the new model take over, or refuse it; the call is pending no more."""
        self.pending = [p for p in self.pending if p is not call]
        due = self.rules.due(call.boundary)
        since = max(due, coming)
        promoted, reason = self._contest(call, card, due, losses_of) if self.rules.learning.trial else (True, call.reason)
        if card.model_id == self.card.model_id:
            promoted, reason = False, f"{call.reason}: the same model"
        before, self.watched, self.before = self.card, since, None
        if promoted:
            self.card, self.before, self.changed = card, before, call.changed
            return Decision(PromotionAction.PROMOTED, call.by, card, before.model_id, reason, since, call.boundary, call.changed)
        return Decision(PromotionAction.KEPT, call.by, before, card.model_id, reason, since, call.boundary, self.changed)

    def guard(self, coming: datetime, losses_of: LossesOf) -> Decision | None:
        """Roll back the model in force where it is broken, or by the end of its guard period significantly worse than the one before it."""
        learning, timeframe = self.rules.learning, self.rules.timeframe
        if learning.guard == 0 or self.before is None or self.pending:  # a session decides on a pending model one bar after it is trained
            return None
        bars = min((coming - self.watched) // timeframe.delta - self.rules.horizon, learning.guard)
        if bars < 1 or (bars < learning.guard and bars % learning.block):
            return None
        result = self._compared(
            self.before, self.card, self.watched, self.watched + bars * timeframe.delta, coming, losses_of, "unless worse"
        )
        is_broken, is_over = not result.promoted and result.p is None, bars == learning.guard
        if not is_broken and not is_over:
            return None
        failed, back = self.card, self.before
        self.before = None
        if result.promoted:
            return None
        self.card, self.watched, self.changed = back, coming, None
        return Decision(PromotionAction.ROLLED_BACK, Author.GUARD, back, failed.model_id, f"guard period: {result.reason}", coming)

    def give_up(self, call: TrainingCall, coming: datetime) -> None:
        """Drop a call whose model could not be trained; the model in force stays."""
        self.pending = [p for p in self.pending if p is not call]
        self.watched = max(self.watched, coming)

    def apply_command(self, action: PromotionAction, card: ModelCard, reason: str, coming: datetime) -> Decision:
        """An operator's promotion or rollback: `card` is in force from the next bar."""
        before, self.card, self.watched, self.before, self.changed = self.card, card, coming, None, None
        return Decision(action, Author.PERSON, card, before.model_id, reason, coming)

    def _is_time(self, coming: datetime) -> bool:
        """Drift is looked for when a block of outcomes is complete, and once after every start."""
        first, self._scanned = not self._scanned, True
        bars = (coming - self.watched) // self.rules.timeframe.delta - self.rules.horizon
        return bars >= self.rules.learning.block and (first or bars % self.rules.learning.block == 0)

    def _changed(self, boundary: datetime) -> datetime | None:
        """When the market seems to have changed, as far as a window of this boundary reaches farther back."""
        changed = self.changed if self.rules.learning.early else None
        return changed if changed is not None and changed > boundary - self.rules.models.train_window else None

    def _follow_up(self, coming: datetime) -> TrainingCall | None:
        """A model is replaced each time there is twice as much to learn from of a market that seems to have changed."""
        boundary = datetime.fromisoformat(self.card.boundary)
        changed = self._changed(boundary)
        if changed is None:
            return None
        again = self.rules.aligned(boundary + (boundary - changed))
        if again > coming or again <= self.watched:
            return None
        return TrainingCall(again, Author.DRIFT, f"drift: twice the time since the change of {changed:%Y-%m-%d %H:%M}", changed)

    def _drift(self, coming: datetime, losses_of: LossesOf) -> TrainingCall | None:
        usual = self._reference(losses_of)
        if usual is None:
            return None
        losses = losses_of(self.card, self.watched).losses(self.card, self.watched, coming, coming)
        block, over = self.rules.block, self.rules.horizon * self.rules.timeframe.delta
        means = _blocks(losses, self.watched, block, (coming - self.watched - over) // block)
        found = first_drift([loss for _, loss in means], usual, self.rules.drift)
        if found is None:
            return None
        worse = means[change_point([loss for _, loss in means[: found + 1]], usual) : found + 1]
        boundary, changed = self.watched + (worse[-1][0] + 1) * block + over, self.watched + worse[0][0] * block
        recent = float(np.mean([loss for _, loss in worse]))
        reason = f"drift: loss {recent:.4f} over {len(worse)} blocks of {self.rules.learning.block} bars, usually {np.exp(usual.mean):.4f}"
        return TrainingCall(boundary, Author.DRIFT, reason, changed)

    def _reference(self, losses_of: LossesOf) -> Reference | None:
        if self.card.model_id not in self._references:
            end = datetime.fromisoformat(self.card.boundary)
            first = max(end - self.rules.learning.reference, self.card.market_changed or ANCHOR)
            losses = losses_of(self.card, first).losses(self.card, first, end, end)
            means = _blocks(losses, first, self.rules.block, (end - first) // self.rules.block)
            self._references[self.card.model_id] = reference(np.asarray([loss for _, loss in means], dtype=np.float64))
        return self._references[self.card.model_id]

    def _contest(self, call: TrainingCall, card: ModelCard, due: datetime, losses_of: LossesOf) -> tuple[bool, str]:
        first = self.rules.aligned(call.boundary)
        result = self._compared(self.card, card, first, due, due, losses_of, self.rules.learning.promotion)
        return result.promoted, f"{call.reason}; {result.reason}"

    def _compared(
        self, old: ModelCard, new: ModelCard, first: datetime, last: datetime, coming: datetime, losses_of: LossesOf, promotion: Promotion
    ) -> Contest:
        """The contest of two models on the bars of [first, last) whose outcomes are known when the bar of `coming` opens."""
        begin = first - EARLIER * (last - first)
        before, after = (losses_of(each, begin).losses(each, begin, last, coming) for each in (old, new))
        losses = (np.asarray(each.reindex(before.index), dtype=np.float64) for each in (before, after))
        earlier, rules = int(before.index.searchsorted(pd.Timestamp(first))), self.rules
        return contest(*losses, horizon=rules.horizon, promotion=promotion, level=rules.learning.level, earlier=earlier)


def _blocks(losses: pd.Series[float], start: datetime, block: timedelta, complete: int) -> list[tuple[int, float]]:
    if losses.empty:
        return []
    at = np.asarray((pd.DatetimeIndex(losses.index) - pd.Timestamp(start)).total_seconds(), dtype=np.float64)
    return block_means(at, np.asarray(losses, dtype=np.float64), block.total_seconds(), complete)
