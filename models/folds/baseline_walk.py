"""Walk-forward of the baselines: forecasters that come with the project, fitted to the same folds, features and targets as the network.

Of a baseline's answers only the location counts, and its distribution is that of what it missed in training: none is calibrated.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.models.features.sequences import realised, unit
from forwardtrader.models.folds.fitting import spread_rows, training_panel
from forwardtrader.models.folds.walk import Progress, ServedFold, WalkForward
from forwardtrader.models.forecaster import NUMBERS
from forwardtrader.models.forecasters.shipped.lightgbm_forecaster import LightGBMForecaster
from forwardtrader.models.port.base_forecaster import BaseForecaster
from forwardtrader.models.port.names import chosen_baselines, shipped
from forwardtrader.models.port.sample_panel import SamplePanel
from forwardtrader.models.registry.store import ModelRegistry

# The empirical distribution of residuals is kept on this grid; it is enough for the five quantiles and the probability of a rise.
_GRID: Final = np.linspace(0.005, 0.995, 199)
# Location, five quantiles and the probability of a rise, in units of the usual move.
_OUTPUTS: Final = 7


def baseline_frames(
    walk: WalkForward, names: Sequence[str], horizon: int, registry: ModelRegistry, *, progress: Progress | None = None
) -> dict[str, dict[str, pd.DataFrame]]:
    """Forecast frames per baseline and symbol, with the numbers of `models.forecaster` and `realised`.

    Each fold's results are kept beside its model. Folds run in threads; every baseline itself uses one.

    Args:
        names: as in the settings: baselines, or `all`, or `none`. One made of a feature that was not chosen is left out.

    Raises:
        UnknownSetting: no baseline has that name; the message gives the nearest.
    """
    wanted = [name for name in chosen_baselines(names) if getattr(shipped(name), "source", "") in ("", *walk.panel.names)]
    if not wanted:
        return {}
    done = 0
    forecasts: list[dict[str, dict[str, NDArray[np.float32]]]] = []
    # Held around all threads: each baseline's own hold would otherwise let go while another one is still at work.
    with one_thread(), ThreadPoolExecutor(max_workers=walk.settings.jobs or os.cpu_count() or 1, thread_name_prefix="baseline") as pool:
        for fold in pool.map(lambda served: _fold(walk, served, wanted, horizon, registry), walk.served):
            forecasts.append(fold)
            done += 1
            if progress:
                progress(done, len(walk.served))
    return {name: {symbol: _frame(walk, symbol, horizon, [t[name] for t in forecasts]) for symbol in walk.panel.symbols} for name in wanted}


def _fold(
    walk: WalkForward, served: ServedFold, names: Sequence[str], horizon: int, registry: ModelRegistry
) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Per baseline and symbol: float32 [rows in force, 7]."""
    rows = {symbol: len(raw) for symbol, raw in served.raw.items()}
    out, missing = {}, []
    for name in names:
        kept = registry.forecasts(served.card.model_id, _key(name, served, horizon)) if walk.settings.cache else None
        if kept is None or {s: len(v) for s, v in kept.items()} != rows:
            missing.append(name)
        else:
            out[name] = kept
    if missing:
        for name, forecasts in _fitted(walk, served, missing, horizon, registry).items():
            registry.save_forecasts(served.card.model_id, _key(name, served, horizon), forecasts)
            out[name] = forecasts
    return out


def _key(name: str, served: ServedFold, horizon: int) -> str:
    return f"{name}-{horizon}-{served.key}"


def _fitted(
    walk: WalkForward, served: ServedFold, names: Sequence[str], horizon: int, registry: ModelRegistry
) -> dict[str, dict[str, NDArray[np.float32]]]:
    column = walk.settings.horizons.index(horizon)
    samples = training_panel(walk.panel, served.fold, walk.settings, served.card.timeframe, look_back=1).at_horizon(column)
    asked = {symbol: _serving_panel(walk, served, symbol, samples) for symbol in served.fold}
    out: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name in names:
        baseline = shipped(name)
        if isinstance(baseline, LightGBMForecaster) and served.card.trees and column == 0:
            # Those in the forecaster are the ones that this baseline would grow.
            baseline.take(samples, registry.trees(served.card.model_id, len(samples.names)))
        else:
            (baseline.set_params(seed=walk.settings.seed) if baseline.is_seeded else baseline).fit(samples)
        residuals = _residuals(baseline, samples)
        out[name] = {symbol: _forecasts(baseline, panel, residuals) for symbol, panel in asked.items()}
    return out


def _serving_panel(walk: WalkForward, served: ServedFold, symbol: str, samples: SamplePanel) -> SamplePanel:
    """The rows of a symbol that a fold is in force for."""
    fold, at = served.fold[symbol], walk.panel.offset[symbol]
    seen = walk.panel.features[at + fold.effective_first : at + fold.effective_last]
    ready = np.flatnonzero(np.isfinite(seen).all(axis=1))
    codes = np.full(len(seen), walk.panel.symbols.index(symbol))
    return replace(samples, features=seen, targets=np.full((len(seen), 1), np.nan, np.float32), rows=ready, symbol_of=codes)


def _residuals(baseline: BaseForecaster, samples: SamplePanel) -> NDArray[np.float64]:
    """Quantiles of what it missed in training, on the grid."""
    asked = replace(samples, rows=spread_rows(samples))
    return np.quantile(asked.y - _location(baseline, asked), _GRID)


def _location(baseline: BaseForecaster, panel: SamplePanel) -> NDArray[np.float32]:
    found = baseline.predict(panel)
    assert isinstance(found, np.ndarray)
    return found


def _forecasts(baseline: BaseForecaster, panel: SamplePanel, residuals: NDArray[np.float64]) -> NDArray[np.float32]:
    """Location, quantiles and the probability of a rise by the empirical distribution of the residuals, NaN where features are unknown."""
    out = np.full((len(panel.features), _OUTPUTS), np.nan, dtype=np.float32)
    if len(panel):
        location = _location(baseline, panel)
        spread, below_zero = np.interp(QUANTILES, _GRID, residuals), np.interp(-location, residuals, _GRID)
        quantiles = (location[:, None] + spread).astype(np.float32)
        out[panel.rows] = np.column_stack([location, quantiles, (1.0 - below_zero).astype(np.float32)])
    return out


def _frame(walk: WalkForward, symbol: str, horizon: int, forecasts: list[dict[str, NDArray[np.float32]]]) -> pd.DataFrame:
    bars = walk.panel.bars[symbol]
    values = np.full((len(bars), _OUTPUTS), np.nan)
    for served, fold in zip(walk.served, forecasts, strict=True):
        if symbol in served.fold:
            cut = served.fold[symbol]
            values[cut.effective_first : cut.effective_last] = fold[symbol]
    usual = unit(bars, horizon)
    location, quantiles = values[:, 0] * usual, values[:, 1:6] * usual[:, None]
    scale = (quantiles[:, 4] - quantiles[:, 0]) / 3.2897
    columns = np.column_stack([location, scale, quantiles, values[:, 6]])
    frame = pd.DataFrame(columns, index=walk.panel.index[symbol], columns=list(NUMBERS))
    frame["realised"] = realised(bars, horizon)
    return frame
