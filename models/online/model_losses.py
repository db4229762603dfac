"""Losses of a model's forecasts on any bars, whether or not it served there: for challengers, the champion and its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.sequences import realised, unit
from forwardtrader.models.folds.training import forecast_rows
from forwardtrader.models.forecaster import NUMBERS
from forwardtrader.models.forecasters.calibration import Distribution, distribution
from forwardtrader.models.online.adaptation import Past
from forwardtrader.models.online.outcomes import pinball
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import context_of
from forwardtrader.models.registry.card import ModelCard

Floats = NDArray[np.float64]
SPARE_BARS = 8


def rows_before(card: ModelCard, settings: ModelSettings) -> int:
    """Bars that must lie before the first one a model is scored on."""
    return warm_up(card.features) + context_of(settings) + SPARE_BARS


def distribution_of(
    card: ModelCard, panel: Panel, symbol: str, horizon: int, rows: NDArray[np.int64], raw: NDArray[np.float32]
) -> Distribution:
    """The calibrated distribution of raw forecasts [n, members, H, 6] made at `rows` of one symbol."""
    usual = unit(panel.bars[symbol], horizon)[rows]
    place = card.horizons.index(horizon)
    return distribution(raw.mean(axis=1)[:, place], usual, card.calibrations[symbol][place])


@dataclass
class _Known:
    """Losses of one model on rows [first, first + len(losses)) of one symbol; NaN where nothing was forecast or known."""

    first: int
    losses: Floats


@dataclass
class ModelLosses:
    """Losses of models on the bars of a panel, in units of the usual move; each forecast is made once.

    Args:
        horizon: bars ahead of the forecasts that are scored.
        network: loads a model's network by its id.
        ahead: rows that are forecast in one go; a panel that grows has no use for more than 1.
    """

    panel: Panel
    horizon: int
    network: Callable[[str], FittedModel]
    ahead: int = 1
    _known: dict[tuple[str, str], _Known] = field(default_factory=dict)

    def losses(self, card: ModelCard, first: datetime, last: datetime, coming: datetime) -> pd.Series[float]:
        """Mean loss over symbols at each bar that opened in [first, last) and whose outcome was known when the bar of `coming` opened."""
        parts: dict[str, pd.Series[float]] = {}
        for symbol in self.panel.symbols:
            if symbol in card.calibrations:
                parts[symbol] = self._of_symbol(card, symbol, first, last, coming)
        if not parts:
            return pd.Series(dtype=np.float64)
        return pd.DataFrame(parts).mean(axis=1, skipna=True).dropna()

    def _of_symbol(self, card: ModelCard, symbol: str, first: datetime, last: datetime, coming: datetime) -> pd.Series[float]:
        index = self.panel.index[symbol]
        start, end = (int(index.searchsorted(pd.Timestamp(moment))) for moment in (first, last))
        closed = int(index.searchsorted(pd.Timestamp(coming)))  # bars that opened before `coming` have closed by then
        end = max(start, min(end, closed - self.horizon))
        known = self._up_to(card, symbol, start, end)
        return pd.Series(known.losses[start - known.first : end - known.first], index=index[start:end])

    def _up_to(self, card: ModelCard, symbol: str, start: int, end: int) -> _Known:
        key = (card.model_id, symbol)
        held = self._known.get(key)
        if held is not None and not held.first <= start <= held.first + len(held.losses):
            held = None  # far from what was asked before
        held = held or _Known(start, np.zeros(0))
        begin = held.first + len(held.losses)
        if end > begin:
            stop = min(max(end, begin + self.ahead), len(self.panel.index[symbol]))
            held = _Known(held.first, np.concatenate([held.losses, self._forecast(card, symbol, begin, stop)]))
        self._known[key] = held
        return held

    def _forecast(self, card: ModelCard, symbol: str, begin: int, stop: int) -> Floats:
        rows = np.arange(begin, stop)
        raw = forecast_rows(self.network(card.model_id), self.panel, symbol, rows)
        bars = self.panel.bars[symbol]
        found = distribution_of(card, self.panel, symbol, self.horizon, rows, raw)
        return pinball(found.quantiles, realised(bars, self.horizon)[rows]) / unit(bars, self.horizon)[rows]


def panel_from(candles: Mapping[str, pd.DataFrame], card: ModelCard, first: datetime, settings: ModelSettings) -> Panel:
    """A panel of just the candles needed to score a model from `first` on; it gives the bits of the whole history.

    All symbols begin at one time: a feature may look at another symbol's bar beside each of its own, however far back that one lies.
    """
    before = rows_before(card, settings)
    frames = dict(candles.items())  # each is read from disk
    begins = [
        frame.index[max(int(pd.DatetimeIndex(frame.index).searchsorted(pd.Timestamp(first))) - before, 0)]
        for frame in frames.values()
        if len(frame)
    ]
    cut = {symbol: frame.loc[min(begins) :] if len(frame) else frame for symbol, frame in frames.items()}
    return Panel.of(cut, card.horizons, card.features, Timeframe.parse(card.timeframe))


def plain_past(
    panel: Panel,
    symbol: str,
    horizon: int,
    terms: list[tuple[datetime, ModelCard]],
    until: pd.Timestamp,
    network: Callable[[str], FittedModel],
) -> Past:
    """Uncorrected forecasts of the models in force at the bars of `panel` before `until`.

    Args:
        terms: since when each model was in force, in order of time.
    """
    index, bars = panel.index[symbol], panel.bars[symbol]
    end = int(index.searchsorted(until))
    starts = [int(index.searchsorted(pd.Timestamp(since))) for since, _ in terms]
    numbers = np.full((end, len(NUMBERS)), np.nan)
    for (_, card), begin, stop in zip(terms, starts, [*starts[1:], end], strict=True):
        rows = np.arange(min(begin, end), min(stop, end))
        if len(rows):
            found = distribution_of(card, panel, symbol, horizon, rows, forecast_rows(network(card.model_id), panel, symbol, rows))
            numbers[rows] = np.column_stack([found.location, found.scale, found.quantiles, found.p_up])
    return Past(index[:end], numbers, bars.open[:end], bars.close[:end])
