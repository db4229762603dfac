"""Permutation importance out of sample (Breiman 2001): what forecasts lose, bar by bar, where features are those of another time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.backtest.importance.scored_bars import Floats, ScoredBars, calibrated, mean_over_symbols, standardised_ranks
from forwardtrader.models.folds.permutation import Permutation, TrainingRows
from forwardtrader.models.folds.walk import ServedFold, WalkForward, side_by_side
from forwardtrader.models.parallel.scale_out import fold_workers
from forwardtrader.models.port.fitted import FittedModel
from forwardtrader.reports.statistics.significance import paired_differences

Progress: TypeAlias = Callable[[int, int], None]
Columns: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Gains:
    """What each of K sets of columns adds at each of T moments, the mean over the symbols that are scored at it.

    Attributes:
        loss: [T, K], the loss with the columns permuted less the intact one, in units of the usual move.
        rank_ic: [T, K], the product of the standardised ranks of forecast and outcome less the permuted one: its mean is by how much the
            rank correlation falls.
        intact: the mean intact loss.
    """

    loss: Floats
    rank_ic: Floats
    intact: float


@dataclass(frozen=True)
class _Part:
    """Scored bars with what permutation does to them: the loss that it adds [n, K], and the location [n, K, draws]."""

    bars: ScoredBars
    added: Floats
    location: NDArray[np.float32]


def permutation_gains(
    walk: WalkForward, first: pd.Timestamp, sets: Sequence[Columns], *, draws: int, seed: int, progress: Progress
) -> Gains:
    """Forecasts of the first horizon from `first` on, as their models gave them, and again with each set of columns permuted.

    Args:
        draws: permutations of each, over which the results are averaged.

    Raises:
        TradingError: a model cannot be read, or a forecaster failed.
    """
    work, folds = _Work(walk, first, sets, draws, seed), range(len(walk.served))
    parts: dict[int, dict[str, _Part]] = {}
    for number, found in fold_workers(side_by_side(walk.settings), "").run(_of_fold, work, folds):
        parts[number] = found
        progress(len(parts), len(folds))
    symbols = ([parts[n][symbol] for n in folds if symbol in parts[n]] for symbol in walk.panel.symbols)
    return _together([each for each in symbols if each], len(sets))


@dataclass(frozen=True)
class _Work:
    """What the folds share; models are read from the registry one at a time."""

    walk: WalkForward
    first: pd.Timestamp
    sets: Sequence[Columns]
    draws: int
    seed: int
    reading: threading.Lock = field(default_factory=threading.Lock)


def _of_fold(work: _Work, number: int) -> dict[str, _Part]:
    """The scored bars of each symbol that a fold has some of."""
    walk, served, found = work.walk, work.walk.served[number], {}
    with work.reading:
        model = walk.network(served.card.model_id)
    for symbol in served.fold:
        bars = ScoredBars.of(walk, served, symbol, work.first)
        if len(bars):
            seeds = [(work.seed % 2**32, draw, number, walk.panel.symbols.index(symbol)) for draw in range(work.draws)]
            found[symbol] = _part(walk, served, symbol, model, bars, work.sets, seeds)
    return found


def _part(
    walk: WalkForward, served: ServedFold, symbol: str, model: FittedModel, bars: ScoredBars, sets: Sequence[Columns],
    seeds: Sequence[tuple[int, ...]],
) -> _Part:  # fmt: skip
    before, training = bars.losses(bars.forecast), TrainingRows.of(walk.panel, symbol, served.fold[symbol])
    added, location = np.zeros((len(bars), len(sets))), np.empty((len(bars), len(sets), len(seeds)), np.float32)
    for draw, seed in enumerate(seeds):
        drawn = Permutation.drawn(walk.panel, symbol, served.fold[symbol], training, model.context, seed)
        for k, columns in enumerate(sets):
            permuted = calibrated(drawn.raw(model, walk.panel, symbol, columns, bars.is_scored), bars.calibration)
            added[:, k] += paired_differences(bars.losses(permuted), before) / len(seeds)
            location[:, k, draw] = permuted[:, 0] * bars.usual
    return _Part(bars, added, location)


def _together(symbols: Sequence[Sequence[_Part]], count: int) -> Gains:
    if not symbols:
        return Gains(np.zeros((0, count)), np.zeros((0, count)), 0.0)
    times = [pd.DatetimeIndex(np.concatenate([part.bars.times for part in parts])) for parts in symbols]
    added = [np.concatenate([part.added for part in parts]) for parts in symbols]
    ranked = [_rank_gains(parts) for parts in symbols]
    intact = [np.concatenate([part.bars.losses(part.bars.forecast) for part in parts])[:, None] for parts in symbols]
    loss, rank_ic, mean = (mean_over_symbols(list(zip(times, each, strict=True))) for each in (added, ranked, intact))
    return Gains(loss, rank_ic, float(mean.mean()))


def _rank_gains(parts: Sequence[_Part]) -> Floats:
    """Of one symbol over all folds: [n, K]."""
    outcome = standardised_ranks(np.concatenate([part.bars.outcome for part in parts]))
    # In single precision, as the permuted ones are kept: what is not changed has the same ranks.
    own = standardised_ranks(np.concatenate([(part.bars.forecast[:, 0] * part.bars.usual).astype(np.float32) for part in parts]))
    location = np.concatenate([part.location for part in parts])
    gains = np.empty(location.shape[:2])
    for k in range(location.shape[1]):
        permuted = np.mean([standardised_ranks(location[:, k, draw]) for draw in range(location.shape[2])], axis=0)
        gains[:, k] = outcome * (own - permuted)
    return gains
