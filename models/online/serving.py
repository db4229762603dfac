"""Model serving: the forecast of one bar by the model in force at that bar, for live sessions and bar-by-bar backtests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.models.features.asset_panel import among
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import looks_at_others, matrix, warm_up
from forwardtrader.models.features.incremental_factors import FactorRows, Facts
from forwardtrader.models.features.incremental_rows import FeatureRows
from forwardtrader.models.features.sequences import unit
from forwardtrader.models.forecaster import NewBar
from forwardtrader.models.forecasters.calibration import distribution
from forwardtrader.models.forecasters.stepwise_inference import Stepper, stepper_of
from forwardtrader.models.online.adaptation import OnlineCorrector
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.registry.card import ModelCard

Floats = NDArray[np.float64]
_AT_HAND: Final = 3  # networks: kept in memory; a session may run for years


@dataclass(frozen=True)
class ServingTerm:
    """A period of service of one model for one symbol: from the bar that opens at `since` (UTC) until the next term."""

    since: datetime
    card: ModelCard


class ServingModels:
    """Forecasts of one symbol, one bar at a time, equal bit for bit to those of the whole history.

    Args:
        symbol: whose calibration is used.
        horizon: bars ahead.
        terms: in any order; `add_term` adds more later.
        network: loads a model's network by its id; each is loaded once.
        facts: the columns of the factors (`models.features.factor_features`) for bar-open times, as they were known at each close; needed
            where a model was trained with factors.
        peers: gives the bars of all symbols, for a model whose features look at others: at least those before the bar that is asked about.
    """

    def __init__(
        self, symbol: str, horizon: int, timeframe: Timeframe, terms: list[ServingTerm], network: Callable[[str], FittedModel], *,
        context: int, facts: Facts | None = None, peers: Callable[[], Mapping[str, Bars]] = dict,
    ) -> None:  # fmt: skip
        self.symbol = symbol
        self.horizon = horizon
        self.timeframe_s = timeframe.seconds
        self._terms = sorted(terms, key=lambda term: term.since)
        self._network = network
        self._facts = facts
        self._peers = peers
        self._follower: OnlineCorrector | None = None
        self._loaded: dict[str, FittedModel] = {}
        self._steps: dict[str, Stepper] = {}
        self._rows: FeatureRows | FactorRows | None = None
        self._timeframe, self._delta = timeframe, timeframe.delta
        card = self._terms[0].card if self._terms else None
        self.look_back = warm_up(card.features) if card else 1
        self.warm_up = self.look_back + context - 1

    @property
    def terms(self) -> list[ServingTerm]:
        """All terms, in order of time."""
        return list(self._terms)

    def add_term(self, term: ServingTerm) -> None:
        """Let another model take over from `term.since` on."""
        self._terms = sorted([*self._terms, term], key=lambda t: t.since)

    def follow(self, follower: OnlineCorrector) -> None:
        """Correct every forecast by the outcomes of those before it; bars are then to be asked about once and in order."""
        self._follower = follower

    def model_at(self, moment: datetime) -> ModelCard | None:
        """The card of the model in force at the bar that opens at `moment`."""
        card = None
        for term in self._terms:
            if term.since <= moment:
                card = term.card
        return card

    def trained_at(self, at: datetime) -> datetime | None:
        """The boundary at which the model in force at the bar that opens at `at` was trained; None where none is."""
        card = self.model_at(at)
        return None if card is None or not card.boundary else datetime.fromisoformat(card.boundary)

    def preload(self, card: ModelCard) -> None:
        """Load and compile a model ahead of its first bar, so that no bar waits for it."""
        self._step(card)

    def _load(self, card: ModelCard) -> FittedModel:
        if card.model_id not in self._loaded:
            model = self._network(card.model_id)
            model.raw(np.zeros((model.context, len(card.features)), np.float32), np.array([model.context - 1]), self.symbol)
            self._loaded = {**dict(list(self._loaded.items())[1 - _AT_HAND :]), card.model_id: model}
        return self._loaded[card.model_id]

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        """The forecast made at the close of the last bar of `bars`; None where no model is in force.

        Raises:
            TooLittleHistory: `bars` has fewer than `warm_up` rows.
        """
        self._require(bars)
        at = bars.index[-1].to_pydatetime()
        card = self.model_at(at)
        plain = None if card is None else self._forecast(card, bars.iloc[-self.warm_up :], at)
        return plain if self._follower is None else self._follower.correct(plain, bars)

    def on_bar(self, bar: NewBar) -> Forecast | None:
        """As `latest`, to the same bits, from the newest bar alone where the one before it was followed too. Raises as `latest`."""
        card = self.model_at(bar.at)
        plain = None if card is None else self._followed(card, bar)
        return plain if self._follower is None else self._follower.follow(plain, bar.at, bar.before, bar.open, bar.close)

    def prepare(self) -> None:
        """Do ahead of the next bar what does not depend on it."""
        rows = self._rows
        if rows is None or rows.at is None:
            return
        coming = rows.at + self._delta
        rows.prepare(coming)
        card = self.model_at(coming)
        if card is not None and card.features == rows.names:
            self._step(card).prepare(rows.window[1:], rows.key)

    def _followed(self, card: ModelCard, bar: NewBar) -> Forecast | None:
        rows = self._rows
        if rows is None or rows.names != card.features:
            rows = self._rows = self._rows_of(card)
        if rows.at is not None and rows.at == bar.before:
            rows.follow(bar)
        else:
            frame = bar.frame()
            self._require(frame)
            rows.fill(frame.iloc[-self.warm_up :], bar.peers())
        if not rows.is_whole:
            return None
        return self._calibrated(card, self._step(card).forecast(rows.window, rows.before)[None], np.array([rows.unit]), bar.at)

    def _rows_of(self, card: ModelCard) -> FeatureRows | FactorRows:
        context = self._load(card).context
        if self._facts is None:
            return FeatureRows(card.features, context, self.horizon, self._timeframe, symbol=self.symbol, peers=self._peers)
        return FactorRows(
            card.features, context, self.horizon, self._facts, self.warm_up, self._timeframe, symbol=self.symbol, peers=self._peers
        )

    def _calibrated(self, card: ModelCard, raw: NDArray[np.float32], usual: Floats, at: datetime) -> Forecast | None:
        """The forecast from raw outputs [1, members, H, 6] and the usual move over the horizon [1]; None where it is no number."""
        h = card.horizons.index(self.horizon)
        found = distribution(raw.mean(axis=1)[:, h], usual, card.calibrations[self.symbol][h])
        if not np.isfinite(found.location[0]):
            return None
        q05, q25, q50, q75, q95 = found.quantiles[0].tolist()
        return Forecast(
            at=at, horizon=self.horizon, location=float(found.location[0]), scale=float(found.scale[0]),
            quantiles=(q05, q25, q50, q75, q95), p_up=float(found.p_up[0]), model_id=card.model_id,
        )  # fmt: skip

    def _step(self, card: ModelCard) -> Stepper:
        model = self._load(card)
        if card.model_id not in self._steps:  # the one in force and the one that takes over are at hand
            self._steps = {**dict(list(self._steps.items())[-1:]), card.model_id: stepper_of(model, self.symbol)}
        return self._steps[card.model_id]

    def _require(self, bars: pd.DataFrame) -> None:
        if len(bars) < self.warm_up:
            raise TooLittleHistory(f"{self.symbol}: {len(bars)} bars are fewer than the {self.warm_up} that a forecast looks back over")

    def _forecast(self, card: ModelCard, bars: pd.DataFrame, at: datetime) -> Forecast | None:
        model = self._load(card)
        seen = Bars.of(bars if self._facts is None else bars.join(self._facts(pd.DatetimeIndex(bars.index))), self._timeframe)
        if looks_at_others(card.features):
            seen = among(self.symbol, seen, self._peers())
        features = matrix(seen, card.features)[-model.context :]
        if not np.isfinite(features).all():
            return None
        raw = model.raw(features, np.array([model.context - 1]), self.symbol)
        return self._calibrated(card, raw, unit(seen, self.horizon)[-1:], at)
