"""Scores of forecasts with confidence intervals.

A forecast frame has one row per bar and the columns `location` and `scale` (plain log returns over the horizon), optionally the quantiles
`q05 q25 q50 q75 q95` and `p_up`, and `realised` (plain log return over the horizon, NaN while unknown). Over rows with both numbers known:

    ic              Pearson correlation of location and realised, both in units of the volatility known at the bar
    rank_ic         Spearman correlation of location and realised as they are
    accuracy        share of bars where location and realised have the same sign, among those where neither is zero
    accuracy_top10  the same over the tenth of those bars with the largest |location| / scale, where `scale` is one for all forecasters of
                    the same bars; bars as confident as the last one that belongs to the tenth share what is left of it
    loss_skill      1 - Huber loss / Huber loss of forecasting zero, on targets in units of volatility, clipped at 5 as in training
    coverage_90     share of realised returns within [q05, q95]

Intervals are stationary-bootstrap percentiles over blocks of bars, so neither clustered volatility nor overlapping labels makes them too
narrow; ranks are those of the whole sample. `accuracy_wilson` is the interval independent bars would give, for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.reports.statistics.bootstrap import Floats, interval, resampled_means
from forwardtrader.reports.statistics.significance import wilson

HUBER_DELTA: Final = 1.0
TARGET_CLIP: Final = 5.0
SCORES: Final = ("ic", "rank_ic", "accuracy", "accuracy_top10", "loss_skill", "coverage_90")
Scores = dict[str, Any]
# Where each score finds its sums among the 17 columns of `_columns`.
_IC, _RANK, _HIT, _TOP, _LOSS, _COVER = slice(0, 5), slice(5, 10), (10, 11), (12, 13), (14, 15), 16
_WIDTH: Final = 17
# Forecasts are kept in single precision, so confidences that differ by less than this are equal.
_TIE: Final = 1e-6
# Columns of the outcomes alone, equal for all forecasters of the same bars: they are resampled once.
_SHARED: Final = [1, 3, 6, 8, 15]
_OWN: Final = [place for place in range(_WIDTH) if place not in _SHARED]
# So many numbers are resampled at once: 160 MB in double precision.
_CELLS: Final = 20_000_000


@dataclass(frozen=True)
class Outcomes:
    """The known rows of a forecast frame as float64 [n].

    `volatility` is the unit of the targets, `confidence` is |location| / scale, NaN without a scale, `inside` NaN without quantiles.
    """

    location: Floats
    realised: Floats
    confidence: Floats
    volatility: Floats
    inside: Floats
    known: NDArray[np.bool_]

    @classmethod
    def of(cls, frame: pd.DataFrame, volatility: Floats | None = None, scale: Floats | None = None) -> Outcomes:
        """Take the rows of one symbol and one horizon whose forecast and outcome are known; `scale` of confidence as in `score_all`."""
        location, realised = _column(frame, "location"), _column(frame, "realised")
        unit = _column(frame, "scale") if volatility is None else np.asarray(volatility, dtype=np.float64)
        known = np.isfinite(location) & np.isfinite(realised) & np.isfinite(unit) & (unit > 0)
        if scale is None:
            scale = _column(frame, "scale") if "scale" in frame else unit
        inside = np.full(len(frame), np.nan)
        if {"q05", "q95"} <= set(frame.columns):
            low, high = _column(frame, "q05"), _column(frame, "q95")
            inside = np.where(np.isfinite(low) & np.isfinite(high), (low <= realised) & (realised <= high), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            confidence = np.abs(location) / np.where(scale > 0, scale, np.nan)
        return cls(location[known], realised[known], confidence[known], unit[known], inside[known], known)

    def __len__(self) -> int:
        return len(self.location)


def score(frame: pd.DataFrame, **options: Any) -> Scores:
    """Scores of one forecaster; options as in `score_all`."""
    return score_all({"one": frame}, **options)["one"]


def score_all(
    frames: Mapping[str, pd.DataFrame],
    *,
    horizon: int = 1,
    volatility: Floats | None = None,
    scale: Floats | None = None,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Scores]:
    """Scores of several forecasters of the same bars, resampled together.

    Args:
        frames: forecast frames of one symbol and one horizon, equally long.
        volatility: unit of the targets [rows] in plain log return over the horizon; each frame's own `scale` if absent.
        scale: spread [rows] that every forecaster's confidence is measured in, so that the most confident tenths differ by their
            locations alone: a scale that moves with the market picks other bars than a constant one. Each frame's own if absent.

    Returns:
        per name: `n`, `block`, each of `SCORES` with `*_ci = (low, high)`, and `accuracy_wilson`. NaN where a score is undefined.
    """
    outcomes = {name: Outcomes.of(frame, volatility, scale) for name, frame in frames.items()}
    groups: dict[bytes, list[str]] = {}
    for name, outcome in outcomes.items():
        groups.setdefault(np.packbits(outcome.known).tobytes(), []).append(name)
    results: dict[str, Scores] = {}
    for names in groups.values():
        n = len(outcomes[names[0]])
        block = block_of(n, horizon)
        truth = _Truth.of(outcomes[names[0]])
        # All at once, or, where the bars are very many, some at a time; the resamples are the same.
        together = max(1, _CELLS // max(n * _WIDTH, 1))
        for some in (names[first : first + together] for first in range(0, len(names), together)):
            columns = [_columns(outcomes[name], truth) for name in some]
            draws = _draws(columns, block=block, samples=samples, seed=seed)
            for name, own, drawn in zip(some, columns, draws, strict=True):
                results[name] = _scores(own, drawn, n=n, block=block, confidence=confidence)
    return {name: results[name] for name in frames}


def point_scores(outcome: Outcomes) -> Scores:
    """The scores without intervals; `calls` is the number of bars with a direction on both sides."""
    if not len(outcome):
        return {"n": 0, "calls": 0, **dict.fromkeys(SCORES, math.nan)}
    own = _columns(outcome, _Truth.of(outcome))
    ratios = _ratios(own.mean(axis=0, keepdims=True))
    return {"n": len(outcome), "calls": int(own[:, _HIT[1]].sum()), **{name: float(ratios[name][0]) for name in SCORES}}


def block_of(n: int, horizon: int) -> float:
    """Mean block length in bars: the cube root of the sample, and at least twice the horizon."""
    return float(max(2 * horizon, math.ceil(max(n, 1) ** (1.0 / 3.0))))


def huber(error: Floats, delta: float = HUBER_DELTA) -> Floats:
    """`e^2 / 2` within `delta`, `delta (|e| - delta / 2)` beyond."""
    size = np.abs(error)
    return np.where(size <= delta, 0.5 * size * size, delta * (size - 0.5 * delta))


def scaled_losses(outcome: Outcomes) -> Floats:
    """Huber loss [n] of each forecast on the clipped target in units of volatility."""
    target = np.clip(outcome.realised / outcome.volatility, -TARGET_CLIP, TARGET_CLIP)
    return huber(target - outcome.location / outcome.volatility)


def correlation(x: Floats, y: Floats) -> float:
    """Pearson correlation; NaN where one side does not vary."""
    if len(x) < 2 or not (x.std() > 0 and y.std() > 0):
        return math.nan
    return float(((x - x.mean()) * (y - y.mean())).mean() / (x.std() * y.std()))


def ranks(x: Floats) -> Floats:
    """Average ranks, centred, with unit deviation where they vary."""
    return standardised(np.asarray(pd.Series(x).rank().to_numpy(dtype=np.float64)))


def standardised(x: Floats) -> Floats:
    """Mean zero, deviation one; zeros where nothing varies."""
    deviation = x.std() if len(x) else 0.0
    size = float(np.abs(x).max(initial=0.0))
    return (x - x.mean()) / deviation if deviation > 1e-12 * size else np.zeros_like(x)


def _column(frame: pd.DataFrame, name: str) -> Floats:
    return frame[name].to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class _Truth:
    """What all forecasters of the same bars are measured against: outcomes scaled, clipped as in training, ranked, and the loss of zero."""

    scaled: Floats
    target: Floats
    ranked: Floats
    unskilled: Floats

    @classmethod
    def of(cls, outcome: Outcomes) -> _Truth:
        scaled = outcome.realised / outcome.volatility
        target = np.clip(scaled, -TARGET_CLIP, TARGET_CLIP)
        return cls(standardised(scaled), target, ranks(outcome.realised), huber(target))


def _columns(outcome: Outcomes, truth: _Truth) -> Floats:
    """What every score is a ratio or a correlation of, one row per bar: float64 [n, 17]."""
    location = outcome.location / outcome.volatility
    call = (outcome.location != 0) & (outcome.realised != 0)
    hit = call & ((outcome.location > 0) == (outcome.realised > 0))
    top = most_confident(outcome.confidence, call)
    columns = np.empty((_WIDTH, len(outcome)))
    columns[_IC] = _moments(standardised(location), truth.scaled)
    columns[_RANK] = _moments(ranks(outcome.location), truth.ranked)
    columns[_HIT[0] :] = hit, call, hit * top, top, huber(truth.target - location), truth.unskilled, outcome.inside
    return columns.T


def most_confident(confidence: Floats, call: NDArray[np.bool_], share: float = 0.1) -> Floats:
    """How much of each call belongs to the most confident share of the calls, 0 to 1.

    Calls as confident as the last one that belongs are ties: they share what is left in equal parts, so that neither their order in time
    nor rounding decides. Calls of unknown confidence are not ranked.
    """
    weight = np.zeros(len(call))
    rows = np.flatnonzero(call & ~np.isnan(confidence))
    # Rounded before it is rounded up: 0.1 * 70 is a little more than 7 in floating point.
    wanted = math.ceil(round(share * len(rows), 9))
    if wanted:
        ranked = confidence[rows]
        last = np.partition(ranked, len(rows) - wanted)[len(rows) - wanted]
        above, tied = ranked > last * (1.0 + _TIE), ranked >= last * (1.0 - _TIE)
        weight[rows[tied]] = (wanted - above.sum()) / (tied.sum() - above.sum())
        weight[rows[above]] = 1.0
    return weight


def _moments(x: Floats, y: Floats) -> tuple[Floats, ...]:
    return x, y, x * x, y * y, x * y


def _draws(columns: list[Floats], *, block: float, samples: int, seed: int) -> list[Floats]:
    if len(columns[0]) < 2 * block:
        return [np.full((samples, _WIDTH), np.nan) for _ in columns]
    together = np.concatenate([columns[0].T[_SHARED], *(own.T[_OWN] for own in columns)]).T
    # A forecaster without quantiles has no coverage: its column of NaN is kept out of the product.
    covered = [bool(np.isfinite(own[:, _COVER]).all()) for own in columns]
    last = [len(_SHARED) + (k + 1) * len(_OWN) - 1 for k, known in enumerate(covered) if not known]
    together[:, last] = 0.0
    means = resampled_means(together, block=block, samples=samples, seed=seed)
    means[:, last] = np.nan
    return [_whole(means, k) for k in range(len(columns))]


def _whole(means: Floats, number: int) -> Floats:
    """The 17 columns of one forecaster from the shared ones and its own."""
    first = len(_SHARED) + number * len(_OWN)
    whole = np.empty((len(means), _WIDTH))
    whole[:, _SHARED], whole[:, _OWN] = means[:, : len(_SHARED)], means[:, first : first + len(_OWN)]
    return whole


def _scores(own: Floats, drawn: Floats, *, n: int, block: float, confidence: float) -> Scores:
    point = _ratios(own.mean(axis=0, keepdims=True)) if n else {name: np.full(1, np.nan) for name in SCORES}
    spread = _ratios(drawn)
    result: Scores = {"n": n, "block": block}
    for name in SCORES:
        result[name] = float(point[name][0])
        result[f"{name}_ci"] = interval(spread[name], confidence)
    result["accuracy_wilson"] = wilson(float(own[:, _HIT[0]].sum()), float(own[:, _HIT[1]].sum()), confidence)
    return result


def _ratios(means: Floats) -> dict[str, Floats]:
    """Every score from column means [k, 17]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "ic": _correlations(means[:, _IC]),
            "rank_ic": _correlations(means[:, _RANK]),
            "accuracy": means[:, _HIT[0]] / _positive(means[:, _HIT[1]]),
            "accuracy_top10": means[:, _TOP[0]] / _positive(means[:, _TOP[1]]),
            "loss_skill": 1.0 - means[:, _LOSS[0]] / _positive(means[:, _LOSS[1]]),
            "coverage_90": means[:, _COVER],
        }


def _correlations(means: Floats) -> Floats:
    x, y, xx, yy, xy = means.T
    return np.asarray((xy - x * y) / np.sqrt(_positive(xx - x * x) * _positive(yy - y * y)))


def _positive(x: Floats) -> Floats:
    return np.where(x > 1e-9, x, np.nan)
