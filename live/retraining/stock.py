"""The models of a session: loaded from the registry, and trained again where their files are damaged or gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core.errors import ModelError
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.live.retraining.worker import ChildTrainings, Trainings
from forwardtrader.models.features.catalogue import FEATURES
from forwardtrader.models.folds.retrain import identity
from forwardtrader.models.folds.training import lstm_spec
from forwardtrader.models.forecasters.lstm import Ensemble
from forwardtrader.models.registry.card import ModelCard
from forwardtrader.models.registry.store import ModelRegistry

_NETWORKS: Final = 3  # a champion, its challenger, and one in training


class ModelStock:
    """What the registry holds for a session, whatever became of its files: the same bars give the same model again, to the bit.

    Args:
        folder: the session's; training requests are put there.
        candles: gives all closed candles of each symbol, factors beside them, when a training begins.
        notify: called for models that had to be trained again: kind and facts.
        trainings: where models are trained; in child processes where it is left out.
    """

    def __init__(
        self, settings: ModelSettings, timeframe: Timeframe, *, folder: Path, candles: Callable[[], Mapping[str, pd.DataFrame]],
        notify: Callable[..., None], trainings: Trainings | None = None,
    ) -> None:  # fmt: skip
        self.registry = ModelRegistry(Path(settings.save_path), self._damaged)
        self.trainings = trainings or ChildTrainings(settings, timeframe, folder, candles, self._damaged)
        self._settings = settings
        self._timeframe = timeframe
        self._candles = candles
        self._notify = notify
        self._networks: dict[str, Ensemble] = {}
        self._boundaries: dict[str, datetime] = {}

    def of_calendar(self, boundary: datetime) -> ModelCard:
        """The model of a boundary, trained if the registry lacks it.

        Raises:
            ModelError: it could not be trained; the message is the child's own.
        """
        wanted = identity(self._candles(), boundary, self._settings, self._timeframe)
        if self.registry.sound_network(wanted) is None:
            training = self.trainings.begin(boundary, awaited=True)
            self._warm_up()
            wanted = training.finish()
        return self.card(wanted)

    def card(self, model_id: str) -> ModelCard:
        """A card as the registry has it. Raises ModelError where there is none, or none that can be read."""
        card = self.registry.card(model_id)
        self._boundaries[model_id] = datetime.fromisoformat(card.boundary)
        return card

    def network(self, model_id: str) -> Ensemble:
        """A network, kept in memory while it is among the newest asked for; one that was lost since is trained again first.

        Raises:
            ModelError: it is lost, and its training failed or gave another model.
        """
        if model_id not in self._networks:
            network = self._sound(model_id)
            if network is None and model_id in self._boundaries:
                self.trainings.begin(self._boundaries[model_id], awaited=True).finish()
            kept = dict(list(self._networks.items())[1 - _NETWORKS :])
            self._networks = {**kept, model_id: network or self.registry.network(model_id)}
        return self._networks[model_id]

    def mend(self, model_id: str, boundary: datetime | None) -> None:
        """Have a model that an earlier process put in force, trained again if need be; that this fails is said and ends nothing."""
        if boundary is None and self.check(model_id, "the calendar's takes its place"):
            boundary = datetime.fromisoformat(self.registry.card(model_id).boundary)
        if boundary is not None:
            self._boundaries[model_id] = boundary
            try:
                self.network(model_id)
            except ModelError as failure:
                self._notify("training_failed", boundary=boundary.isoformat(), reason=str(failure))

    def check(self, model_id: str, otherwise: str) -> bool:
        """Whether there is a model whose card can be read; one that cannot is set aside, and `otherwise` is said of it."""
        return ModelRegistry(self.registry.root, partial(self._damaged, mended=otherwise)).sound_card(model_id) is not None

    def _sound(self, model_id: str) -> Ensemble | None:
        """A network that can be read; that there is none is said."""
        if not self.registry.holds(model_id):
            self._damaged(model_id, "its files are gone")
            return None
        network: Ensemble | None = self.registry.sound_network(model_id)
        return network

    def _warm_up(self) -> None:
        """Load what forecasts are made with while the child trains: the first model is needed the moment it is there."""
        from forwardtrader.models.forecasters.lstm import block_forecast

        block_forecast(lstm_spec(self._settings, len(FEATURES)), self._settings.seeds)

    def _damaged(self, model_id: str, reason: str, mended: str = "it is trained again") -> None:
        self._notify("model_damaged", model_id=model_id, reason=reason, mended=mended)
