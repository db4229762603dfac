"""Online walk-forward: early retraining, trials and promotions decided bar by bar, as a live session would have decided them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.settings import LearningSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.folds.retrain import Assignment, assignment_in, train
from forwardtrader.models.folds.training import forecast_rows
from forwardtrader.models.folds.walk import ServedFold, WalkForward
from forwardtrader.models.forecaster import NUMBERS
from forwardtrader.models.online.adaptation import OnlineCorrector, Past, Rates, adapt
from forwardtrader.models.online.lifecycle import Decision, LifecycleRules, ModelLifecycle, TrainingCall
from forwardtrader.models.online.model_losses import ModelLosses
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import context_of
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.promotion_log import Author, PromotionAction
from forwardtrader.models.registry.store import Damage, ModelRegistry, log_damage
from forwardtrader.models.walk_forward import Fold, fold_at

_AHEAD = 700  # rows that a model is scored on in one go: about a month of hours


@dataclass(frozen=True)
class PromotionCommand:
    """An operator's promotion or rollback, for the replay of a session: `model_id` was in force from the bar that opened at `since`."""

    since: datetime
    model_id: str
    action: PromotionAction = PromotionAction.PROMOTED
    reason: str = ""


@dataclass(frozen=True)
class OnlineWalkForward(WalkForward):
    """The folds that served, every promotion decision, and forecasts corrected by their outcomes where `learning` has it so."""

    learning: LearningSettings
    timeframe: Timeframe
    decisions: tuple[Decision, ...] = ()
    # Corrected once: tables and indicator ask for the same numbers.
    _corrected: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict, repr=False, compare=False)

    def frame(self, symbol: str, horizon: int) -> pd.DataFrame:
        frame = super().frame(symbol, horizon)
        if not self._corrects:
            return frame
        if (symbol, horizon) not in self._corrected:
            rates = Rates.of(self.learning, self.timeframe)
            self._corrected[symbol, horizon], _ = adapt(self._past(frame, symbol), horizon, rates)
        numbers = self._corrected[symbol, horizon]
        return frame.assign(**{name: numbers[:, k] for k, name in enumerate(NUMBERS)})

    def follower(self, symbol: str, horizon: int) -> OnlineCorrector | None:
        """What corrects forecasts one bar at a time; None where none are to be corrected."""
        if not self._corrects:
            return None
        whole = self._past(super().frame(symbol, horizon), symbol)

        def before(at: pd.Timestamp) -> Past:
            row = int(whole.index.searchsorted(at))
            return Past(whole.index[:row], whole.numbers[:row], whole.opened[:row], whole.close[:row])

        return OnlineCorrector(horizon, Rates.of(self.learning, self.timeframe), before)

    @property
    def _corrects(self) -> bool:
        return self.learning.corrects(self.settings.forecaster)

    def _past(self, frame: pd.DataFrame, symbol: str) -> Past:
        bars = self.panel.bars[symbol]
        return Past(self.panel.index[symbol], frame[list(NUMBERS)].to_numpy(dtype=np.float64), bars.open, bars.close)


def online_walk_forward(
    walk: WalkForward, first: datetime, last: datetime, *, learning: LearningSettings, timeframe: Timeframe,
    commands: tuple[PromotionCommand, ...] = (), damaged: Damage = log_damage,
) -> WalkForward:  # fmt: skip
    """Decide bar by bar which of the scheduled models, and of those called early, is in force.

    `walk` itself comes back where nothing is to be decided or corrected. Models are compared by their forecasts over the first horizon, the
    one that reports score.

    Args:
        walk: the scheduled folds, trained.
        first: the first bar whose outcomes count; the model in force then is the calendar's.
        orders: operator commands of the session that is replayed.
        damaged: called with each model that cannot be read; it is trained again.
    """
    if learning.decides_models or commands:
        rules = LifecycleRules(walk.settings, learning, timeframe)
        return _OnlineRun(walk, rules, damaged).through(first, last, {o.since: o for o in commands})
    corrects = learning.corrects(walk.settings.forecaster)
    return OnlineWalkForward(walk.panel, walk.settings, walk.served, learning, timeframe) if corrects else walk


class _OnlineRun:
    """Runs the model lifecycle over bars that are all known already."""

    def __init__(self, walk: WalkForward, rules: LifecycleRules, damaged: Damage) -> None:
        self.walk = walk
        self.rules = rules
        self.damaged = damaged
        self.registry = ModelRegistry.of(walk.settings, damaged)
        self.networks: dict[str, FittedModel] = {}
        self.model_losses = ModelLosses(walk.panel, rules.horizon, self.network, _AHEAD)
        self.cards: dict[tuple[datetime, datetime | None], ModelCard] = {
            (served.fold[next(iter(served.fold))].boundary, None): served.card for served in walk.served
        }
        self.decisions: list[Decision] = []

    def through(self, first: datetime, last: datetime, commands: Mapping[datetime, PromotionCommand]) -> OnlineWalkForward:
        lifecycle = self._begin(first)
        ready: list[tuple[TrainingCall, ModelCard]] = []
        self._apply_command(lifecycle, commands, first)
        for coming in self._bars(first, last):
            called = lifecycle.calls(coming, self._losses_of)
            ready += [(call, self._card(call)) for call in called if self.rules.due(call.boundary) < last]
            for call, card in [pair for pair in ready if lifecycle.is_ready(pair[0], coming)]:
                self._decided(lifecycle.decide(call, card, coming, self._losses_of))
            ready = [pair for pair in ready if pair[0] in lifecycle.pending]
            if (rolled_back := lifecycle.guard(coming, self._losses_of)) is not None:
                self._decided(rolled_back)
            self._apply_command(lifecycle, commands, coming)
        served = tuple(self._served(d, until) for d, until in self._terms(last))
        in_service = tuple(s for s in served if s is not None)
        return OnlineWalkForward(
            self.walk.panel, self.walk.settings, in_service, self.rules.learning, self.rules.timeframe, tuple(self.decisions)
        )

    def _apply_command(self, lifecycle: ModelLifecycle, commands: Mapping[datetime, PromotionCommand], coming: datetime) -> None:
        if coming in commands:
            order = commands[coming]
            self._decided(lifecycle.apply_command(order.action, self.registry.card(order.model_id), order.reason, coming))

    def _begin(self, first: datetime) -> ModelLifecycle:
        """The calendar's model that is in force when the run begins."""
        boundaries = sorted(boundary for boundary, _ in self.cards)
        started = [b for b in boundaries if self._in_force_from(b) <= first] or boundaries[:1]
        start = started[-1]
        card, since = self.cards[start, None], self._in_force_from(start)
        self._decided(Decision(PromotionAction.PROMOTED, Author.CALENDAR, card, "", "scheduled", since, start))
        return ModelLifecycle(self.rules, card, max(since, first), start)

    def _in_force_from(self, boundary: datetime) -> datetime:
        """The first model has no rival: it needs no trial."""
        return self.rules.aligned(boundary) + self.walk.settings.deployment_lag * self.rules.timeframe.delta

    def _bars(self, first: datetime, last: datetime) -> list[datetime]:
        """When the bar after each bar of the run opens."""
        begin, end = pd.Timestamp(first), pd.Timestamp(last)
        moments = sorted({at for index in self.walk.panel.index.values() for at in index[(index >= begin) & (index < end)]})
        return [at.to_pydatetime() + self.rules.timeframe.delta for at in moments]

    def _losses_of(self, card: ModelCard, first: datetime) -> ModelLosses:
        return self.model_losses

    def network(self, model_id: str) -> FittedModel:
        if model_id not in self.networks:
            kept = dict(list(self.networks.items())[-2:])  # a champion and its challengers
            self.networks = {**kept, model_id: self.registry.sound_network(model_id) or self._again(model_id)}
        return self.networks[model_id]

    def _again(self, model_id: str) -> FittedModel:
        """A network of the calendar that is gone, or that cannot be read: forecasts kept beside it have served so far."""
        for (boundary, changed), card in self.cards.items():
            if card.model_id == model_id:
                train(self._assignment(boundary, changed), self.damaged)
        return self.registry.network(model_id)

    def _assignment(self, boundary: datetime, changed: datetime | None) -> Assignment:
        return assignment_in(self.walk.panel, boundary, self.walk.settings, self.rules.timeframe, changed)

    def _card(self, call: TrainingCall) -> ModelCard:
        """The model of a boundary; an early one is trained now, unless the registry has it."""
        wanted = (call.boundary, call.changed)
        if wanted not in self.cards:
            self.cards[wanted] = train(self._assignment(*wanted), self.damaged)
        return self.cards[wanted]

    def _decided(self, decision: Decision) -> None:
        self.decisions.append(decision)

    def _terms(self, last: datetime) -> list[tuple[Decision, datetime]]:
        """Each change of model with the moment of the next one."""
        changes = sorted((d for d in self.decisions if d.action is not PromotionAction.KEPT and d.since < last), key=lambda d: d.since)
        ends = [d.since for d in changes[1:]]
        # Bars after the last one that was asked for belong to the model in force at it, as in every walk-forward.
        beyond = max(index[-1].to_pydatetime() for index in self.walk.panel.index.values()) + self.rules.timeframe.delta
        lag = self.walk.settings.deployment_lag * self.rules.timeframe.delta
        return list(zip(changes, [*ends, min(last + lag, beyond)], strict=True))

    def _served(self, decision: Decision, until: datetime) -> ServedFold | None:
        panel, card = self.walk.panel, decision.card
        fold: dict[str, Fold] = {}
        for symbol in panel.symbols:
            begin, end = (int(panel.index[symbol].searchsorted(pd.Timestamp(moment))) for moment in (decision.since, until))
            if symbol in card.calibrations and end > begin:
                fold[symbol] = replace(self._cut(card, symbol), effective_first=begin, effective_last=end)
        if not fold:
            return None
        raw = {symbol: self._raw(card, symbol, cut) for symbol, cut in fold.items()}
        return ServedFold(fold, card.model_copy(update={"reason": decision.reason}), raw, self._key(fold, card), cached=True)

    def _cut(self, card: ModelCard, symbol: str) -> Fold:
        boundary, panel = datetime.fromisoformat(card.boundary), self.walk.panel
        return fold_at(
            panel.index[symbol], boundary, boundary, self.walk.settings, self.rules.timeframe, warm_up(panel.names), card.market_changed
        )  # fmt: skip

    def _raw(self, card: ModelCard, symbol: str, cut: Fold) -> NDArray[np.float32]:
        """What the scheduled fold has of these rows is taken from there."""
        held = next((s for s in self.walk.served if s.card.model_id == card.model_id and symbol in s.fold), None)
        first, last = cut.effective_first, cut.effective_last
        if held is not None:
            own = held.fold[symbol]
            if own.effective_first <= first and last <= own.effective_last:
                return held.raw[symbol][first - own.effective_first : last - own.effective_first]
        return forecast_rows(self.network(card.model_id), self.walk.panel, symbol, np.arange(first, last))

    def _key(self, fold: Mapping[str, Fold], card: ModelCard) -> str:
        panel = self.walk.panel
        reach = warm_up(panel.names) + context_of(self.walk.settings)
        parts = [
            (s, f.effective_first, f.effective_last, panel.fingerprint(s, f.effective_first - reach, f.effective_last))
            for s, f in fold.items()
        ]
        return fingerprint.of_value([card.model_id, parts])[:16]
