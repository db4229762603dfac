"""What the same trades would have earned at random moments: equal in number, length, size and cost, and nothing else.

A strategy's path of exposures is cut into spells (from entry to exit). Each simulation shuffles the spells, spreads the idle time between
them at random and turns the whole round by a random number of bars. So a strategy that is always in the market is compared with itself at
other times, and one that merely rode a rising market is compared with others that rode it as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reports.bootstrap import Floats
from reports.round_trips import fees_in_quote

# Below this share of equity a position is dust that lot sizes left behind.
DUST: Final = 5e-3
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ExposurePath:
    """What was held and paid during each bar, and what the market did.

    `weights` [T, S] is the share of equity held from the bar's open to the next open, `returns` [T, S] the simple return over that time,
    `traded` [T] and `costs` [T] the shares of equity that changed hands and that were paid in fees and slippage at the bar's open.
    """

    index: pd.DatetimeIndex
    weights: Floats
    returns: Floats
    traded: Floats
    costs: Floats

    @property
    def bets(self) -> float:
        """How often the usual position was turned over: the number of round trips, also for a position that only grows and shrinks."""
        gross = np.abs(self.weights).sum(axis=1)
        held = gross[gross > DUST]
        return float(self.traded.sum() / 2.0 / held.mean()) if len(held) else 0.0

    @property
    def round_trip_cost(self) -> float:
        """Fees and slippage of buying and selling again, as a share of the traded value; NaN without a trade."""
        return 2.0 * float(self.costs.sum() / self.traded.sum()) if self.traded.sum() > 0 else np.nan

    @property
    def bars_traded(self) -> float:
        """Share of bars on which something was bought or sold."""
        return float((self.traded > 0).mean())

    @property
    def mean_move(self) -> float:
        """Mean absolute return of a bar, over all symbols."""
        return float(np.abs(self.returns).mean())

    @property
    def net(self) -> Floats:
        """Net return of each bar [T]."""
        return np.asarray((self.weights * self.returns).sum(axis=1) - self.costs)


@dataclass(frozen=True)
class RandomEntries:
    """`p` is the share of random paths with at least the strategy's Sharpe ratio; `net` [T] the net returns per bar of the median path."""

    p: float
    samples: int
    sharpes: Floats
    own_sharpe: float
    net: Floats


def exposure_path(equity: pd.DataFrame, fills: pd.DataFrame, candles: Mapping[str, pd.DataFrame]) -> ExposurePath:
    """Rebuild what was held from the fills.

    Args:
        equity: indexed by bar open (UTC), column `equity` at the bar's close.
        fills: timestamp (UTC), symbol, side, size, price, fee, fee_currency; a fill belongs to the bar it happened in.
        candles: per symbol, indexed by bar open, columns open and close.
    """
    index = pd.DatetimeIndex(equity.index)
    before = equity["equity"].shift(1)
    worth = before.fillna(equity["equity"].iloc[0]).to_numpy(dtype=np.float64)
    # An account that was lost holds nothing and pays nothing.
    worth = np.where(worth > 0, worth, np.inf)
    weights, returns = np.zeros((len(index), len(candles))), np.zeros((len(index), len(candles)))
    traded, costs = np.zeros(len(index)), np.zeros(len(index))
    for column, (symbol, frame) in enumerate(candles.items()):
        aligned = frame.reindex(index)
        close = aligned["close"].ffill().to_numpy(dtype=np.float64)
        opened = aligned["open"].fillna(aligned["close"].ffill()).to_numpy(dtype=np.float64)
        following = np.append(opened[1:], close[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            returns[:, column] = np.nan_to_num(following / opened - 1.0)
        units, turned, paid = _held_and_paid(fills.loc[fills["symbol"] == symbol], index, opened)
        weights[:, column] = np.nan_to_num(units * opened / worth)
        traded += turned / worth
        costs += paid / worth
    return ExposurePath(index, weights, returns, traded, costs)


def _held_and_paid(fills: pd.DataFrame, index: pd.DatetimeIndex, opened: Floats) -> tuple[Floats, Floats, Floats]:
    """Units held during each bar, and quote currency traded and lost to fees and to prices worse than the open."""
    if not len(fills):
        return np.zeros(len(index)), np.zeros(len(index)), np.zeros(len(index))
    moments = pd.DatetimeIndex(pd.to_datetime(fills["timestamp"], utc=True))
    bar = np.clip(index.searchsorted(moments, side="right") - 1, 0, len(index) - 1)
    size = fills["size"].to_numpy(dtype=np.float64) * np.where(fills["side"].astype(str) == "buy", 1.0, -1.0)
    price = fills["price"].to_numpy(dtype=np.float64)
    lost = np.nan_to_num(fees_in_quote(fills).to_numpy(dtype=np.float64) + size * (price - opened[bar]))
    n = len(index)
    return np.cumsum(_summed(bar, size, n)), _summed(bar, np.abs(size) * price, n), _summed(bar, lost, n)


def compare(path: ExposurePath, *, samples: int = 1000, seed: int = 0) -> RandomEntries:
    """Simulate random entries; `p` is NaN where nothing was held."""
    n = len(path.index)
    active = (np.abs(path.weights).sum(axis=1) > DUST) | (path.costs > 0)
    rows = np.flatnonzero(active)
    own = _sharpe(path.net[rows][None, :], n)[0]
    if not len(rows) or not np.isfinite(own):
        return RandomEntries(np.nan, 0, np.zeros(0), float(own), np.zeros(n))
    spells = _Spells.of(rows)
    # One generator per path, so that the median path can be laid out again instead of keeping all of them.
    paths = (spells.placed(n, np.random.default_rng([seed, k]))[None, :] for k in range(samples))
    sharpes = np.concatenate([_sharpe(_nets(path, rows, places), n) for places in paths])
    p = (1.0 + np.count_nonzero(sharpes >= own)) / (samples + 1.0)
    middle = spells.placed(n, np.random.default_rng([seed, int(np.argsort(sharpes, kind="stable")[samples // 2])]))
    net = _summed(middle, _nets(path, rows, middle[None, :])[0], n)
    return RandomEntries(float(p), samples, sharpes, float(own), net)


def _summed(bar: Integers, values: Floats, n: int) -> Floats:
    """Values added up per bar, float64 [n]."""
    return np.asarray(np.bincount(bar, weights=values, minlength=n), dtype=np.float64)


def _nets(path: ExposurePath, rows: Integers, places: Integers) -> Floats:
    """Net returns of the held bars when they are moved to `places` [k, held]."""
    total = np.broadcast_to(-path.costs[rows], places.shape).copy()
    for column in range(path.weights.shape[1]):
        total += path.weights[rows, column] * path.returns[:, column][places]
    return total


def _sharpe(nets: Floats, n: int) -> Floats:
    """Sharpe ratio per bar of paths whose other `n` - held bars earn nothing."""
    mean = nets.sum(axis=1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mean / np.sqrt(np.maximum((nets**2).sum(axis=1) / n - mean**2, 0.0)))


@dataclass(frozen=True)
class _Spells:
    """Runs of held bars: `lengths` [k], and for each held bar its spell and its place within it."""

    lengths: Integers
    spell: Integers
    within: Integers

    @classmethod
    def of(cls, rows: Integers) -> _Spells:
        first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) > 1)
        lengths = np.diff(np.append(first, len(rows)))
        spell = np.repeat(np.arange(len(lengths)), lengths)
        return cls(lengths, spell, np.arange(len(rows)) - first[spell])

    def placed(self, n: int, rng: np.random.Generator) -> Integers:
        """New bar of each held bar: spells in random order, idle bars spread at random, the whole turned round."""
        order = rng.permutation(len(self.lengths))
        idle = np.sort(rng.integers(0, n - int(self.lengths.sum()) + 1, size=len(self.lengths)))
        starts = np.empty(len(order), dtype=np.int64)
        starts[order] = np.cumsum(self.lengths[order]) - self.lengths[order] + idle
        moved: Any = (starts[self.spell] + self.within + int(rng.integers(0, n))) % n
        return np.asarray(moved, dtype=np.int64)
