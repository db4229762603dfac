"""The model supply of a session: the model in force at the start, and each later one retrained, compared, and promoted or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.errors import ForecasterFailed, InvalidSetting, ModelError
from forwardtrader.core.settings import LearningSettings, ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.retraining.record import ModelRecord
from forwardtrader.live.retraining.stock import ModelStock
from forwardtrader.live.retraining.worker import Training, Trainings
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import looks_at_others, warm_up
from forwardtrader.models.features.incremental_factors import Facts
from forwardtrader.models.forecasters.xla import prepare_jax
from forwardtrader.models.online.adaptation import OnlineCorrector, Past, Rates
from forwardtrader.models.online.lifecycle import Decision, LifecycleRules, ModelLifecycle, TrainingCall
from forwardtrader.models.online.model_losses import ModelLosses, panel_from, plain_past
from forwardtrader.models.online.serving import ServingModels, ServingTerm
from forwardtrader.models.port.prototype import context_of
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.registry.promotion_log import Author, PromotionAction, PromotionRecord, market_of

_LOG: Final = log.logger("live")


class ModelSupply:
    """The forecast sources of all symbols, kept up to date by scheduled and early retraining.

    Args:
        candles: returns all closed candles of each symbol with their factors, for a training.
        folder: of the session; training requests and the promotion record are written there.
        notify: sends an alert about a decision or a deviation from the schedule: kind and facts.
        facts: the columns of the factors, where there are any.
        learning: what may depart from the calendar.
        trainings: where models are trained; child processes by default.

    Raises:
        InvalidSetting: the models do not forecast `horizon` bars ahead.
    """

    def __init__(
        self, symbols: tuple[str, ...], settings: ModelSettings, horizon: int, timeframe: Timeframe, *, folder: Path,
        candles: Callable[[], Mapping[str, pd.DataFrame]], notify: Callable[..., None], facts: Facts | None = None,
        learning: LearningSettings | None = None, clock: Clock | None = None, trainings: Trainings | None = None,
    ) -> None:  # fmt: skip
        if horizon not in settings.horizons:
            known = ", ".join(str(n) for n in settings.horizons)
            raise InvalidSetting(
                f"strategies.horizon {horizon} is not among models.horizons ({known}); add it there, or trade one of these"
            )
        self.settings = settings
        self.timeframe = timeframe
        self.training: Training | None = None
        self.card: ModelCard | None = None
        self.card_since: datetime | None = None
        self.sources: dict[str, ServingModels] = {}
        self.rules = LifecycleRules(settings, learning or LearningSettings(), timeframe)
        self.stock = ModelStock(settings, timeframe, folder=folder, candles=candles, notify=notify, trainings=trainings)
        self.record = ModelRecord(folder, self.stock.registry.promotions, market_of(symbols, str(timeframe)), clock or SystemClock())
        self._symbols = symbols
        self._horizon = horizon
        self._candles = candles
        self._notify = notify
        self._facts = facts
        self._trained: dict[datetime, ModelCard] = {}

    def open(self, at: datetime) -> None:
        """Load the model in force at the bar that opens at `at`, or train it where the registry lacks it.

        Raises:
            ModelError: the training failed; the message is that of the child process.
        """
        prepare_jax()
        self._repair()
        if not self._go_on():
            self._begin(at)
            return
        self._called(at)
        while self.training is not None and self.rules.due(self.training.boundary) <= at:
            self.collect(at, wait=True)

    def bar_closed(self, at: datetime) -> None:
        """The bar that opened at `at` is closed: decide what is due, start trainings that are called, carry out orders of persons."""
        coming = at + self.timeframe.delta
        self.collect(coming)
        self._called(coming)
        self._guard(coming)
        self._hear(coming)

    def collect(self, coming: datetime, *, wait: bool = False) -> None:
        """Take a finished training, and decide on promotions that are ready.

        Args:
            coming: open time of the next bar.
            wait: whether to wait for a training that is due by then.
        """
        training = self.training
        if training is not None and (training.is_done or (wait and self.rules.due(training.boundary) <= coming)):
            self.training = None
            self._take_in(training, coming)
            self._train_next()
        for call in list(self.lifecycle.pending):
            if call.boundary in self._trained and self.lifecycle.is_ready(call, coming):
                self._apply(self.lifecycle.decide(call, self._trained.pop(call.boundary), coming, self._losses_of))

    def stop(self) -> None:
        """Stop a training that still runs."""
        if self.training is not None:
            self.training.stop()

    @property
    def next_boundary(self) -> datetime:
        """When the next scheduled training begins."""
        return self.lifecycle.next_boundary

    # The start

    def _begin(self, at: datetime) -> None:
        """A session's first start: the calendar's model, and what persons ordered since it came into force."""
        boundary = self.rules.scheduled(at - self._lag)
        card, since = self.stock.of_calendar(boundary), self._spoken_from(boundary)
        first = Decision(PromotionAction.PROMOTED, Author.CALENDAR, card, "", "scheduled: in force when the session began", at, boundary)
        self.lifecycle = ModelLifecycle(self.rules, card, at, boundary)
        self._open_sources([ServingTerm(since, card)])
        self.record.add(first)
        self._in_force(card, since)
        self._hear(at)

    @property
    def _lag(self) -> timedelta:
        return self.settings.deployment_lag * self.timeframe.delta

    def _spoken_from(self, boundary: datetime) -> datetime:
        """When the model that a session finds in force began to speak; it had no rival, so no trial either."""
        return self.rules.aligned(boundary) + self._lag

    def _repair(self) -> None:
        """Have whole what an earlier process put in force: the model that speaks, and where outcomes correct forecasts all before it."""
        for entry in self.record.entries:
            if entry.model_id == self.record.entries[-1].model_id or (self.rules.corrects and entry.action is not PromotionAction.KEPT):
                self.stock.repair(entry.model_id, entry.boundary, entry.changed)
            else:
                self.stock.check(entry.model_id, "it is past")

    def _go_on(self) -> bool:
        """Take up what an earlier process of this session decided; False where it decided nothing, or its model is gone."""
        terms = [ServingTerm(self._since(e), self.stock.card(e.model_id)) for e in self.record.entries if self._counts(e)]
        if not terms or self.record.scheduled is None or not self.stock.registry.holds(self.record.entries[-1].model_id):
            return False
        newest = self.record.entries[-1]
        card = self.stock.card(newest.model_id)
        watched = newest.since or self._since(newest)
        self.lifecycle = ModelLifecycle(
            self.rules, card, watched, self.record.scheduled, before=self._before(newest), changed=newest.changed
        )
        self._open_sources(terms)
        self._in_force(card, max(term.since for term in terms))
        return True

    def _before(self, entry: PromotionRecord) -> ModelCard | None:
        """The model that comes back if the one of this promotion fails its guard period; none for what a person ordered."""
        is_guarded = self.rules.learning.guard > 0 and entry.action is PromotionAction.PROMOTED and entry.by is not Author.PERSON
        return self.stock.card(entry.other) if is_guarded and entry.other and self.stock.registry.holds(entry.other) else None

    def _since(self, entry: PromotionRecord) -> datetime:
        """Since when a model speaks: the one a session begins with spoke before."""
        if entry is self.record.entries[0] and entry.boundary is not None:
            return self._spoken_from(entry.boundary)
        return entry.since or entry.at

    def _counts(self, entry: PromotionRecord) -> bool:
        return entry.action is not PromotionAction.KEPT and self.stock.registry.holds(entry.model_id)

    def _open_sources(self, terms: list[ServingTerm]) -> None:
        for symbol in self._symbols:
            models = ServingModels(
                symbol, self._horizon, self.timeframe, terms, self.stock.network, context=context_of(self.settings), facts=self._facts,
                peers=self._bars,
            )  # fmt: skip
            if self.rules.corrects:
                models.follow(OnlineCorrector(self._horizon, Rates.of(self.rules.learning, self.timeframe), self._past_of(models)))
            self.sources[symbol] = models

    # What is decided

    def _called(self, coming: datetime) -> None:
        for call in self.lifecycle.calls(coming, self._losses_of):
            if call.by is Author.DRIFT:
                self._notify("drift", boundary=call.boundary.isoformat(), reason=call.reason)
        self._train_next()

    def _guard(self, coming: datetime) -> None:
        if (rolled_back := self.lifecycle.guard(coming, self._losses_of)) is not None:
            self._apply(rolled_back)

    def _train_next(self) -> None:
        waiting = [call for call in self.lifecycle.pending if call.boundary not in self._trained]
        if self.training is None and waiting:
            self.training = self.stock.trainings.begin(waiting[0].boundary, waiting[0].changed)

    def _take_in(self, training: Training, coming: datetime) -> None:
        try:
            card = self.stock.card(training.finish())
            self.stock.network(card.model_id)  # from now on at hand, whatever becomes of its files
            self._trained[training.boundary] = card
        except (ModelError, ForecasterFailed) as failure:
            for call in self._calls_of(training.boundary):
                self.lifecycle.give_up(call, coming)
            self._notify("training_failed", boundary=training.boundary.isoformat(), reason=str(failure))

    def _calls_of(self, boundary: datetime) -> list[TrainingCall]:
        return [call for call in self.lifecycle.pending if call.boundary == boundary]

    def _apply(self, decision: Decision, order: PromotionRecord | None = None) -> None:
        """Write a decision down, tell of it, and let the model speak."""
        self.record.add(decision, order)
        if decision.action is PromotionAction.KEPT:
            self._notify("model_kept", "info", model_id=decision.card.model_id, refused=decision.other, reason=decision.reason)
            return
        late = decision.boundary is not None and decision.since > self.rules.due(decision.boundary)
        if decision.boundary is not None and late:
            due = self.rules.due(decision.boundary)
            self._notify("model_late", model_id=decision.card.model_id, due=due.isoformat(), in_force=decision.since.isoformat())
        for source in self.sources.values():
            source.add_term(ServingTerm(decision.since, decision.card))
        self._in_force(decision.card, decision.since)
        self._notify(
            "model_rolled_back" if decision.action is PromotionAction.ROLLED_BACK else "model_promoted", "info",
            model_id=decision.card.model_id,
            other=decision.other, by=str(decision.by), since=decision.since.isoformat(), reason=decision.reason,
        )  # fmt: skip

    def _in_force(self, card: ModelCard, since: datetime) -> None:
        self.card, self.card_since = card, since
        for source in self.sources.values():
            source.preload(card)
        log.event(_LOG, "model_in_force", model_id=card.model_id, since=since.isoformat())

    def _hear(self, coming: datetime) -> None:
        """What persons ordered through the registry holds from the next bar on."""
        for order in self.record.orders(self.rules.due(self.lifecycle.scheduled)):
            wanted = order.model_id
            if order.action is PromotionAction.ROLLED_BACK:
                if order.other != self.lifecycle.card.model_id:
                    continue  # it is not in force here
                wanted = order.model_id or self.record.in_force_before(order.other) or ""
            try:
                card = self._fit(wanted)
            except ModelError as trouble:
                self._notify("order_refused", model_id=wanted, reason=str(trouble))
                continue
            if card.model_id != self.lifecycle.card.model_id:
                self._apply(self.lifecycle.apply_command(order.action, card, order.reason, coming), order)

    def _fit(self, model_id: str) -> ModelCard:
        """The card of a model that can speak in this session.

        Raises:
            ModelError: it cannot; the message says why.
        """
        card = self.stock.card(model_id)
        reach = max(source.look_back for source in self.sources.values())
        lacks = [s for s in self._symbols if s not in card.calibrations]
        trouble = (
            f"it has not learned from {', '.join(lacks)}" if lacks
            else f"it does not forecast {self._horizon} bars ahead" if self._horizon not in card.horizons
            else "it was trained by another version of this software" if card.code_version != code_version()
            else "it looks back farther than this session's bars reach" if warm_up(card.features) > reach
            else ""
        )  # fmt: skip
        if trouble:
            raise ModelError(f"model {model_id} cannot be in force here: {trouble}")
        self.stock.registry.network(model_id)  # what cannot be read is refused here: its bars may be those of another session
        return card

    # Bars

    def _bars(self) -> dict[str, Bars]:
        """All closed bars of each symbol that are recorded."""
        return {symbol: Bars.of(frame, self.timeframe) for symbol, frame in self._candles().items()}

    def _losses_of(self, card: ModelCard, first: datetime) -> ModelLosses:
        return ModelLosses(panel_from(self._candles(), card, first, self.settings), self.rules.horizon, self.stock.network)

    def _past_of(self, models: ServingModels) -> Callable[[pd.Timestamp], Past]:
        """What the models in force said of a symbol at every bar before a moment, worked out anew."""

        def before(at: pd.Timestamp) -> Past:
            terms, whole = models.terms, self._candles()
            candles = whole if looks_at_others(terms[0].card.features) else {models.symbol: whole[models.symbol]}
            panel = panel_from(candles, terms[0].card, terms[0].since, self.settings)
            return plain_past(panel, models.symbol, self._horizon, [(t.since, t.card) for t in terms], at, self.stock.network)

        return before
