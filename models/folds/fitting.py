"""One fold of a forecaster that came through the port: fitted, calibrated, and its forecasts checked."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FingerprintMismatch, ForecasterFailed, InvalidSetting, TooLittleHistory, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES, Timeframe
from forwardtrader.core.user_code.errors import owned_errors
from forwardtrader.core.user_code.process_state import process_state_kept
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds.divergence import mean_loss
from forwardtrader.models.folds.training import Base, FoldResult, calibrations_of, card_of, forecast_rows, seeds
from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.port.base_forecaster import BaseForecaster, WarmStarting
from forwardtrader.models.port.fitted import FittedForecaster, SampleForm, load_fitted
from forwardtrader.models.port.prototype import asked_from
from forwardtrader.models.port.prototype import identity as identity_of
from forwardtrader.models.port.sample_panel import SamplePanel, sample_rows
from forwardtrader.models.walk_forward import Fold

LEAST_SAMPLES: Final = 64
_RESIDUALS: Final = 4000
_SCORED: Final = 500
_LEAST_CALIBRATION: Final = 64
_RESTORED: Final = 64
_ALONE: Final = 5
_KEEP: Final = (
    "keep what predict uses in attributes that end with _, as numbers, texts, arrays, lists and mappings by text, change no parameter "
    "in fit, or define save(folder) and load(folder)"
)
_restored: Final[set[str]] = set()


def fit_fold(
    prototype: BaseForecaster, panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings, *, identity: str, timeframe: str,
    base: Base | None = None, is_to_be_read: bool = True,
) -> FoldResult:  # fmt: skip
    """Fit the members of a fold to its training window, and forecast the rows it is in force for.

    Args:
        base: the model to go on from instead of learning from nothing; its forecaster is a `WarmStarting`.
        is_to_be_read: whether what is read from its files has to forecast the same.

    Raises:
        ForecasterFailed: the forecaster raised an exception, or its forecasts are none; the message names it and the fold.
        TooLittleHistory: the window holds too few samples.
    """
    began = time.perf_counter()
    samples = training_panel(panel, fold, settings, timeframe, prototype.warm_up)
    boundary = next(iter(fold.values())).boundary
    try:
        members = _members(prototype, samples, settings, base)
        model = _fitted(members, samples, settings)
        if is_to_be_read:
            _require_restorable(model, prototype, samples)
        rows = spread_rows(samples, _SCORED)
        loss = mean_loss(model.raw_of(samples, rows).mean(axis=1), samples.targets[rows])
        raw = {s: forecast_rows(model, panel, s, np.arange(f.effective_first, f.effective_last)) for s, f in fold.items()}
        before = [Calibration(shrink=share) for share in prototype.believed(settings.horizons)]
        calibrations = {s: _calibrations(model, panel, s, f, before, asked_from(prototype)) for s, f in fold.items()}
    except (ForecasterFailed, TrainingDiverged, InvalidSetting) as failure:
        raise type(failure)(f"{type(prototype).__name__}, fold {boundary:%Y-%m-%d} of {', '.join(fold)}: {failure}") from failure
    card = card_of(panel, fold, settings, identity=identity, timeframe=timeframe, calibrations=calibrations, base=base)
    count = len(members)
    done = {"train_loss": loss, "train_bars": len(samples), "seconds": time.perf_counter() - began, "seeds": seeds(settings)[:count]}
    return FoldResult(card.model_copy(update=done), model, raw)


def _calibrations(
    model: FittedForecaster, panel: Panel, symbol: str, fold: Fold, before: Sequence[Calibration], moment: datetime | None
) -> tuple[Calibration, ...]:
    """On bars of the training window that what the forecaster was trained on before does not reach: it knows the others too well."""
    first = 0 if moment is None else int(panel.index[symbol].searchsorted(pd.Timestamp(moment)))
    if fold.train_last - first < _LEAST_CALIBRATION:
        return tuple(before)
    return calibrations_of(model, panel, symbol, replace(fold, train_first=max(fold.train_first, first)), before)


def training_panel(panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings, timeframe: str, look_back: int) -> SamplePanel:
    """The samples of a fold: copies of its training rows and of nothing else, so that there is nothing later to be seen.

    Raises:
        TooLittleHistory: there are too few.
    """
    features, targets, codes, segments, first = [], [], [], [], 0
    for symbol, cut in fold.items():
        rows = slice(panel.offset[symbol] + cut.train_first, panel.offset[symbol] + cut.train_last)
        features.append(panel.features[rows])
        targets.append(panel.targets[rows])
        codes.append(np.full(cut.train_bars, panel.symbols.index(symbol)))
        segments.append((first, first + cut.train_bars))
        first += cut.train_bars
    stacked, known = np.concatenate(features), np.concatenate(targets)
    stacked.flags.writeable = known.flags.writeable = False  # several members learn from them, each from the same
    rows_found = sample_rows(stacked, segments, look_back)
    rows_found = rows_found[np.isfinite(known[rows_found]).any(axis=1)]
    if len(rows_found) < LEAST_SAMPLES:
        raise TooLittleHistory(
            f"the window before {next(iter(fold.values())).boundary:%Y-%m-%d} has {len(rows_found)} samples to learn from, fewer than the "
            f"{LEAST_SAMPLES} needed; set a longer models.train_window, or take shorter bars"
        )
    form = SampleForm(tuple(map(short_name, panel.names)), settings.horizons, panel.symbols, Timeframe.parse(timeframe).seconds)
    return form.panel(stacked, known, rows_found, np.concatenate(codes), look_back)


def _members(
    prototype: BaseForecaster, samples: SamplePanel, settings: ModelSettings, base: Base | None
) -> tuple[tuple[BaseForecaster, ...], ...]:
    """For each seed, where it draws at all, one forecaster for all horizons or one for each."""
    drawn = seeds(settings) if prototype.is_seeded else (0,)
    asked = [samples] if prototype.all_horizons else [samples.at_horizon(h) for h in range(len(settings.horizons))]
    return tuple(tuple(_one(prototype, each, seed, _before(base, m, k)) for k, each in enumerate(asked)) for m, seed in enumerate(drawn))


def _before(base: Base | None, member: int, place: int) -> WarmStarting | None:
    if base is None or not isinstance(base.model, FittedForecaster):
        return None
    found = base.model.members[member][place]
    return found if isinstance(found, WarmStarting) else None


def _one(prototype: BaseForecaster, samples: SamplePanel, seed: int, before: WarmStarting | None) -> BaseForecaster:
    name = type(prototype).__name__
    with owned_errors(name, ForecasterFailed), one_thread(), process_state_kept():
        if before is not None:
            fitted: BaseForecaster | None = copy.deepcopy(before).update(samples)
        else:
            made = prototype.clone()
            fitted = (made.set_params(seed=seed) if made.is_seeded else made).fit(samples)
    if not isinstance(fitted, BaseForecaster):
        raise ForecasterFailed(f"{name}.fit answered {type(fitted).__name__}; end it with `return self`")
    return fitted


def _fitted(members: tuple[tuple[BaseForecaster, ...], ...], samples: SamplePanel, settings: ModelSettings) -> FittedForecaster:
    """With the spread of those that answer a location alone, and as many rows at a time as leave each row's forecast its own."""
    form = SampleForm(samples.names, samples.horizons, samples.symbols, samples.timeframe_s)
    rows = max(members[0][0].rows_per_call, 1)
    plain = FittedForecaster(members, form, np.zeros((len(members), len(settings.horizons), len(QUANTILES)), np.float32), rows)
    if not _rows_stand_alone(plain, samples):
        plain = replace(plain, rows_per_call=1)
    _require_repeatable(plain, samples)
    return _with_spread(plain, samples)


def _rows_stand_alone(model: FittedForecaster, samples: SamplePanel) -> bool:
    """Whether each row of a full call has the bits that it has as the only one asked about: a live session asks about one.

    Each row is asked about at its neighbour's place too, and at the place across from it, among the same others; a few are asked about
    alone. To ask about each of them alone would take longer than many a fit.
    """
    count, block = model.rows_per_call, samples.rows[-model.rows_per_call :]
    if count == 1 or len(block) < count:
        return count == 1
    whole, places = model.raw_of(samples, block), np.arange(count)
    moved = all(np.array_equal(model.raw_of(samples, block[order]), whole[order]) for order in (np.roll(places, 1), places[::-1]))
    some = np.unique(np.linspace(0, count - 1, _ALONE).astype(np.int64))
    return moved and all(np.array_equal(model.raw_of(samples, block[k : k + 1])[0], whole[k]) for k in some)


def _require_repeatable(model: FittedForecaster, samples: SamplePanel) -> None:
    once, again = (model.raw_of(samples, samples.rows[-1:]) for _ in range(2))
    if not np.array_equal(once, again):
        name = type(model.members[0][0]).__name__
        raise ForecasterFailed(f"{name}.predict gives other numbers for the same row the second time; draw in fit alone, from `seed`")


def _require_restorable(model: FittedForecaster, prototype: BaseForecaster, samples: SamplePanel) -> None:
    """See that what a session reads from files is what was fitted; once for each forecaster of a process, in its first fold."""
    kind, name = identity_of(prototype), type(prototype).__name__
    if kind in _restored:
        return
    rows = spread_rows(samples, _SCORED)[:_RESTORED]
    with TemporaryDirectory() as folder:
        model.save(Path(folder), Path(folder))
        try:
            again = load_fitted(Path(folder), prototype).raw_of(samples, rows)
        except (ForecasterFailed, FingerprintMismatch) as error:
            raise ForecasterFailed(f"after save and load it does not forecast: {error}; {_KEEP}") from error
    if not np.array_equal(again, model.raw_of(samples, rows)):
        raise ForecasterFailed(f"{name}: after save and load it forecasts other numbers; {_KEEP}")
    _restored.add(kind)


def _with_spread(model: FittedForecaster, samples: SamplePanel) -> FittedForecaster:
    """With quantiles of what the locations missed, on rows spread over the window, where locations are all that is answered."""
    newest = model.raw_of(samples, samples.rows[-1:])
    if (newest[..., 1:] != newest[..., :1]).any(axis=(0, 2, 3)).all():
        return model
    rows = spread_rows(samples)
    missed = samples.targets[rows][:, None, :] - model.raw_of(samples, rows)[..., 0]
    found = [[np.quantile(of[np.isfinite(of)], QUANTILES) for of in each.T] for each in missed.transpose(1, 0, 2)]
    return replace(model, spread=np.asarray(found, np.float32))


def spread_rows(samples: SamplePanel, about: int = _RESIDUALS) -> NDArray[np.int64]:
    """About so many samples, or twice as many, spread evenly over the window."""
    return samples.rows[:: max(1, len(samples.rows) // about)]
