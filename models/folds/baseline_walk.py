"""Walk-forward of the baselines: fitted to the same folds, features and targets as the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.threads import one_thread
from forwardtrader.models.features.sequences import realised, unit
from forwardtrader.models.folds.training import scaling
from forwardtrader.models.folds.walk import Progress, ServedFold, WalkForward
from forwardtrader.models.forecaster import NUMBERS
from forwardtrader.models.forecasters.baselines import BASELINES, Baseline, LightGbm, chosen
from forwardtrader.models.forecasters.lstm import FEATURE_CLIP
from forwardtrader.models.registry.store import ModelRegistry

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
    wanted = [name for name in chosen(names) if getattr(BASELINES[name], "source", "") in ("", *walk.panel.names)]
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
    panel, column = walk.panel, walk.settings.horizons.index(horizon)
    segments = [(panel.offset[s] + f.train_first, panel.offset[s] + f.train_last) for s, f in served.fold.items()]
    mean, std = scaling(panel.features, segments)
    train = np.concatenate([np.arange(first, last) for first, last in segments])
    train = train[np.isfinite(panel.targets[train, column])]
    features = _scaled(panel.features[train], mean, std)
    out: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name in names:
        baseline = BASELINES[name](panel.names)
        if isinstance(baseline, LightGbm) and served.card.trees and column == 0:
            # Those in the forecaster are the ones that this baseline would grow.
            baseline.trees_ = registry.trees(served.card.model_id, features.shape[1])
        fitted = baseline.fit(features, panel.targets[train, column], seed=walk.settings.seed)
        out[name] = {symbol: _forecasts(walk, served, symbol, fitted, mean, std) for symbol in served.fold}
    return out


def _forecasts(
    walk: WalkForward, served: ServedFold, symbol: str, fitted: Baseline, mean: NDArray[np.float32], std: NDArray[np.float32]
) -> NDArray[np.float32]:
    fold, at = served.fold[symbol], walk.panel.offset[symbol]
    seen = walk.panel.features[at + fold.effective_first : at + fold.effective_last]
    out = np.full((len(seen), _OUTPUTS), np.nan, dtype=np.float32)
    ready = np.isfinite(seen).all(axis=1)
    if ready.any():
        forecast = fitted.forecast(_scaled(seen[ready], mean, std))
        out[ready] = np.column_stack([forecast.location, forecast.quantiles, forecast.p_up])
    return out


def _scaled(features: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip((features - mean) / std, -FEATURE_CLIP, FEATURE_CLIP)


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
