"""Training of one fold: scale, train every member, calibrate, forecast the bars it is in force for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.errors import TooLittleHistory, TrainingDiverged
from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.sequences import draw_starts, updates_per_fold
from forwardtrader.models.folds.divergence import require_learned
from forwardtrader.models.forecasters.calibration import Calibration, calibrate, untrained
from forwardtrader.models.forecasters.linear_start import linear_start
from forwardtrader.models.forecasters.lstm import FEATURE_CLIP, Ensemble, LstmSpec, Weights
from forwardtrader.models.forecasters.trainer import USUAL, Fit, Trainer, TrainingPace, TrainingSpec
from forwardtrader.models.forecasters.trees import Trees, grow
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.models.port.prototype import identity as forecaster_identity
from forwardtrader.models.port.prototype import named_forecaster, prototype
from forwardtrader.models.port.sample_panel import scaling as scaling_of
from forwardtrader.models.registry.card import ModelCard, code_version
from forwardtrader.models.walk_forward import Fold

CALIBRATION_ROWS: Final = 512
CALIBRATION_SHARE: Final = 0.5
# The settings that decide what a fold of given candles comes out as.
DECIDES: Final = (
    *("horizons", "units", "dropout", "burn_in", "supervised", "context", "epochs", "batch", "learning_rate"),
    *("weight_decay", "huber_delta", "horizon_weights", "seeds", "seed", "embargo", "expanding"),
    *("trees", "averaged", "linear_ridge", "skip_rate", "shrink", "refresh"),
)
# Those that do where another forecaster is fitted.
DECIDES_ANY: Final = ("horizons", "seeds", "seed", "embargo", "expanding")
# A warm-started model moves by half the step, and all its weights count (`docs/research.md`).
GOES_ON: Final = TrainingPace(rate=0.5, averaged=1.0)
# It sees other sequences first, and other units left out, than its base did.
OTHER_DRAWS: Final = 500


@dataclass(frozen=True)
class FoldResult:
    """A trained fold: its card, its network, and its raw forecasts per symbol, float32 [rows in force, members, H, 6]."""

    card: ModelCard
    model: FittedModel
    raw: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Base:
    """The base of a warm start."""

    identity: str
    model: FittedModel


def lstm_spec(settings: ModelSettings, features: int) -> LstmSpec:
    return LstmSpec(features=features, units=settings.units, horizons=len(settings.horizons), context=settings.context)


def training_spec(settings: ModelSettings) -> TrainingSpec:
    weights = settings.horizon_weights or (1.0,) * len(settings.horizons)
    return TrainingSpec(
        burn_in=settings.burn_in,
        supervised=settings.supervised,
        batch=settings.batch,
        dropout=settings.dropout,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        huber_delta=settings.huber_delta,
        horizon_weights=weights,
        averaged=settings.averaged,
        skip_rate=settings.skip_rate,
    )


def seeds(settings: ModelSettings) -> tuple[int, ...]:
    return tuple(settings.seed * 1000 + s for s in range(settings.seeds))


def updates(settings: ModelSettings, fold: Mapping[str, Fold], bars_in_window: int) -> int:
    """Updates of one fold: the same for every fold of a rolling window, so that all share one compilation."""
    longest = max(f.train_bars for f in fold.values()) if settings.expanding else bars_in_window
    rows = longest * len(fold)
    spec = training_spec(settings)
    return updates_per_fold(rows, stride=spec.supervised, batch=spec.batch, epochs=settings.epochs)


def model_id(panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings, look_back: int, base: str = "") -> str:
    """The fingerprint of everything that decides the weights: candles, settings, features, code, and the `base` of a warm start."""
    data = [panel.fingerprint(symbol, f.train_first - look_back, f.train_last + max(settings.horizons)) for symbol, f in fold.items()]
    return fingerprint.of_value([data, list(fold), _decided_by(settings), panel.names, code_version(), base])[:16]


def _decided_by(settings: ModelSettings) -> dict[str, object]:
    own = prototype(settings)
    chosen = {key: getattr(settings, key) for key in (DECIDES if own is None else DECIDES_ANY)}
    return chosen if own is None else chosen | {"forecaster": forecaster_identity(own)}


def train_fold(
    trainer: Trainer,
    panel: Panel,
    fold: Mapping[str, Fold],
    settings: ModelSettings,
    *,
    number_of_updates: int,
    identity: str,
    timeframe: str,
    base: Base | None = None,
) -> FoldResult:
    """Train, calibrate and forecast one fold.

    Args:
        number_of_updates: of a model trained from scratch.
        base: the model to warm-start from instead.
    """
    began = time.perf_counter()
    segments = training_segments(panel, fold, trainer.training)
    mean, std = scaling(panel.features, segments)
    rows = np.concatenate([np.arange(first, last) for first, last in segments])
    fits = _fits(trainer, panel, segments, rows, mean, std, settings, number_of_updates, base)
    grown = _trees(panel, rows, mean, std, settings)
    model = Ensemble(trainer.spec, mean, std, tuple(f.weights for f in fits), grown, settings.trees)
    try:
        calibrations = {s: calibrations_of(model, panel, s, f, untrained(settings)) for s, f in fold.items()}
    except TrainingDiverged as failure:
        boundary = next(iter(fold.values())).boundary
        raise TrainingDiverged(f"{settings.forecaster}, fold {boundary:%Y-%m-%d} of {', '.join(fold)}: {failure}") from failure
    raw = {s: forecast_rows(model, panel, s, np.arange(f.effective_first, f.effective_last)) for s, f in fold.items()}
    card = card_of(panel, fold, settings, identity=identity, timeframe=timeframe, calibrations=calibrations, base=base)
    done = {
        "train_bars": sum(last - first for first, last in segments), "seeds": seeds(settings), "trees": settings.trees,
        "train_loss": float(np.mean([f.loss for f in fits])), "seconds": time.perf_counter() - began,
    }  # fmt: skip
    return FoldResult(card.model_copy(update=done), model, raw)


def card_of(
    panel: Panel, fold: Mapping[str, Fold], settings: ModelSettings, *, identity: str, timeframe: str,
    calibrations: Mapping[str, tuple[Calibration, ...]], base: Base | None,
) -> ModelCard:  # fmt: skip
    """The card of a fold's model, before what its training came to."""
    first = min(fold.values(), key=lambda f: f.train_first)
    symbol = next(iter(fold))
    index, own = panel.index[symbol], prototype(settings)
    return ModelCard(
        model_id=identity,
        symbols=tuple(fold),
        timeframe=timeframe,
        horizons=settings.horizons,
        features=panel.names,
        boundary=first.boundary.isoformat(),
        train_from=index[fold[symbol].train_first].isoformat(),
        train_to=index[fold[symbol].train_last - 1].isoformat(),
        train_bars=0,
        seeds=(),
        train_loss=0.0,
        seconds=0.0,
        reason="scheduled",
        calibrations=dict(calibrations),
        code_version=code_version(),
        goes_on_from=base.identity if base else "",
        forecaster=named_forecaster(settings),
        forecaster_id="" if own is None else forecaster_identity(own),
    )


def training_segments(panel: Panel, fold: Mapping[str, Fold], training: TrainingSpec) -> list[tuple[int, int]]:
    """Stacked rows [first, last) of each symbol that training sequences may lie in.

    Raises:
        TooLittleHistory: none is as long as one sequence.
    """
    spans = [(panel.offset[s] + f.train_first, panel.offset[s] + f.train_last) for s, f in fold.items()]
    segments = [(first, last) for first, last in spans if last - first >= training.length]
    if not segments:
        raise TooLittleHistory(
            f"no symbol has the {training.length} bars before {next(iter(fold.values())).boundary} that one sequence needs"
        )
    return segments


def _fits(
    trainer: Trainer, panel: Panel, segments: list[tuple[int, int]], rows: NDArray[np.int64], mean: NDArray[np.float32],
    std: NDArray[np.float32], settings: ModelSettings, usual: int, base: Base | None,
) -> list[Fit]:  # fmt: skip
    """Every member, warm-started from the same member of the base, or from the best linear rule."""
    spec = trainer.training
    if base is None:
        rule = linear_start(panel.features[rows], panel.targets[rows], mean, std, ridge=settings.linear_ridge, delta=settings.huber_delta)
        firsts, count, pace, other = (rule,) * settings.seeds, usual, USUAL, 0
    else:
        firsts, count, pace, other = _weights_of(base), max(round(settings.refresh * usual), 1), GOES_ON, OTHER_DRAWS
    fits = []
    for seed, first in zip(seeds(settings), firsts, strict=True):
        drawn = seed + other
        starts = draw_starts(segments, length=spec.length, stride=spec.supervised, batch=spec.batch, updates=count, seed=drawn)
        fits.append(trainer.fit(starts, mean, std, seed=drawn, first=first, pace=pace, room=usual))
    return fits


def _weights_of(base: Base) -> tuple[Weights, ...]:
    assert isinstance(base.model, Ensemble)
    return base.model.members


def scaling(features: NDArray[np.float32], segments: list[tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each feature over the training rows only."""
    return scaling_of(np.concatenate([features[first:last] for first, last in segments]))


def _trees(
    panel: Panel, rows: NDArray[np.int64], mean: NDArray[np.float32], std: NDArray[np.float32], settings: ModelSettings
) -> Trees | None:
    """Grown on the first horizon, the one the recurrent part is shaped by."""
    if not settings.trees:
        return None
    known = rows[np.isfinite(panel.targets[rows, 0])]
    scaled = np.clip((panel.features[known] - mean) / std, -FEATURE_CLIP, FEATURE_CLIP)
    return grow(scaled, panel.targets[known, 0], seed=settings.seed)


def forecast_rows(model: FittedModel, panel: Panel, symbol: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Raw forecasts at the close of `rows` of one symbol; NaN where its history does not fill the model's context."""
    out = np.full((len(rows), len(model.members), model.horizons, 6), np.nan, dtype=np.float32)
    ready = _are_filled(panel, symbol, rows, model.context)
    if ready.any():
        out[ready] = model.raw(panel.features, rows[ready] + panel.offset[symbol], symbol)
    return out


def _are_filled(panel: Panel, symbol: str, rows: NDArray[np.int64], context: int) -> NDArray[np.bool_]:
    """Whether each of `rows` of a symbol has `context` rows without NaN behind it, itself included."""
    own = panel.features[panel.offset[symbol] : panel.offset[symbol] + len(panel.bars[symbol])]
    complete: NDArray[np.bool_] = np.asarray(np.isfinite(own).all(axis=1))
    run = np.convolve(complete, np.ones(context), mode="full")[: len(complete)]
    return np.asarray(np.greater(run, context - 0.5)[rows])


def calibrations_of(model: FittedModel, panel: Panel, symbol: str, fold: Fold, before: Sequence[Calibration]) -> tuple[Calibration, ...]:
    """Fitted to rows spread evenly over the newer half of the training window.

    Args:
        before: for each horizon what holds where there are too few rows, and the shrinkage.

    Raises:
        TrainingDiverged: the forecasts of those rows are far from any that a training should end at.
    """
    first = fold.train_last - int(fold.train_bars * CALIBRATION_SHARE)
    rows = np.unique(np.linspace(max(first, fold.train_first + model.context), fold.train_last - 1, CALIBRATION_ROWS).astype(np.int64))
    raw = forecast_rows(model, panel, symbol, rows).mean(axis=1)
    truth = panel.targets[panel.offset[symbol] + rows]
    filled = _are_filled(panel, symbol, rows, model.context)
    require_learned(raw[filled], truth[filled])
    if fold.train_last - first < CALIBRATION_ROWS // 2:
        return tuple(before)
    return tuple(calibrate(raw[:, h], truth[:, h], known) for h, known in enumerate(before))


def trimmed(settings: ModelSettings) -> int:
    """Bars of a nominal training window that purge and embargo take away."""
    return max(settings.horizons) + settings.embargo
