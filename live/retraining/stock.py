"""The models of a session: loaded from the registry, and retrained where their files are damaged or gone; or none at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core.errors import ModelError, NotTrained
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.live.retraining.worker import ChildTrainings, Trainings
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import selected
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.folds.retrain import identity
from forwardtrader.models.folds.training import lstm_spec
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import prototype
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import ModelRegistry

WARM_UP: Final = 1000  # recorded sessions are replayed with it
_NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_NETWORKS: Final = 3  # a champion, its challenger, and one in training


class ModelStock:
    """The registry as one session uses it: a model whose files are damaged is retrained, and the same bars give the same model to the bit.

    Args:
        folder: the session's; training requests are put there.
        candles: returns all closed candles of each symbol with their factors, for a training.
        notify: sends an alert about a model that had to be retrained: kind and facts.
        trainings: where models are trained; child processes by default.
    """

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, *, folder: Path, candles: Callable[[], Mapping[str, pd.DataFrame]],
        notify: Callable[..., None], trainings: Trainings | None = None,
    ) -> None:  # fmt: skip
        self.registry = ModelRegistry.of(settings, self._damaged)
        self.trainings = trainings or ChildTrainings(settings, timeframe, folder, candles, self._damaged)
        chosen(settings.features, (), timeframe)  # has a user's own features at hand before any model asks for one
        self._settings = settings
        self._timeframe = timeframe
        self._candles = candles
        self._notify = notify
        self._networks: dict[str, FittedModel] = {}
        self._trainings_of: dict[str, tuple[datetime, datetime | None]] = {}

    def of_calendar(self, boundary: datetime) -> ModelCard:
        """The scheduled model of a boundary, trained if the registry lacks it.

        Raises:
            ModelError: the training failed; the message is that of the child process.
        """
        wanted = identity(self._candles(), boundary, self._settings, self._timeframe)
        if self.registry.sound_network(wanted) is None:
            training = self.trainings.begin(boundary, awaited=True)
            self._warm_up()
            wanted = training.finish()
        return self.card(wanted)

    def card(self, model_id: str) -> ModelCard:
        """The card of a model. Raises ModelError where there is none that can be read, or its features are not at hand."""
        card = self.registry.card(model_id)
        warm_up(card.features)
        self._trainings_of[model_id] = (
            datetime.fromisoformat(card.boundary),
            card.market_changed,
        )
        return card

    def network(self, model_id: str) -> FittedModel:
        """The network of a model, cached; one whose files are damaged is retrained first.

        Raises:
            ModelError: its files are damaged, and the training failed or gave another model.
        """
        if model_id not in self._networks:
            network = self._sound(model_id)
            if network is None and model_id in self._trainings_of:
                self.trainings.begin(*self._trainings_of[model_id], awaited=True).finish()
            kept = dict(list(self._networks.items())[1 - _NETWORKS :])
            self._networks = {**kept, model_id: network or self.registry.network(model_id)}
        return self._networks[model_id]

    def repair(self, model_id: str, boundary: datetime | None, changed: datetime | None = None) -> None:
        """Retrain a model of an earlier process where its files are damaged; a failure is an alert and ends nothing."""
        if boundary is None and self.check(model_id, "the calendar's takes its place"):
            boundary = datetime.fromisoformat(self.registry.card(model_id).boundary)
        if boundary is not None:
            self._trainings_of[model_id] = (boundary, changed)
            try:
                self.network(model_id)
            except ModelError as failure:
                self._notify("training_failed", boundary=boundary.isoformat(), reason=str(failure))

    def check(self, model_id: str, otherwise: str) -> bool:
        """Whether the model has a card that can be read; one that cannot is set aside, with an alert that says `otherwise`."""
        return ModelRegistry(self.registry.root, partial(self._damaged, mended=otherwise)).sound_card(model_id) is not None

    def _sound(self, model_id: str) -> FittedModel | None:
        """The network where its files can be read; else None, with an alert."""
        if not self.registry.holds(model_id):
            self._damaged(model_id, "its files are gone")
            return None
        return self.registry.sound_network(model_id)

    def _warm_up(self) -> None:
        """Compile the inference code while the child trains: the first model is needed as soon as it is there."""
        if prototype(self._settings) is not None:
            return
        from forwardtrader.models.forecasters.lstm import block_forecast

        features = len(selected(self._candles(), self._settings, self._timeframe))
        block_forecast(lstm_spec(self._settings, features), self._settings.seeds)

    def _damaged(self, model_id: str, reason: str, mended: str = "it is trained again") -> None:
        self._notify("model_damaged", model_id=model_id, reason=reason, mended=mended)


class NoForecasts:
    """Stands for the forecasts of a symbol in a session whose strategy reads none: nobody asks.

    Attributes:
        warm_up: bars of history, where there are so many, that the strategy's own indicators begin with.
    """

    warm_up = WARM_UP

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        raise NotTrained("there is no model: the session began with a strategy that reads no forecasts")

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        raise NotTrained("there is no model: the session began with a strategy that reads no forecasts")


class FixedSupply:
    """Forecast sources that need no training; takes the place of `ModelSupply`."""

    card: ModelCard | None = None
    card_since: datetime | None = None
    training: None = None
    next_boundary = _NEVER

    def __init__(self, sources: Mapping[str, ForecastSource]) -> None:
        self.sources = dict(sources)

    def open(self, at: datetime) -> None:
        """Nothing is loaded."""

    def bar_closed(self, at: datetime) -> None:
        """Nothing is learned."""

    def collect(self, coming: datetime, *, wait: bool = False) -> None:
        """Nothing is due."""

    def stop(self) -> None:
        """Nothing runs."""
