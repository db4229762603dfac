"""Random-entries test: the same trades at random times, equal in number, length, size and cost.

A strategy's path of exposures is cut into spells (from entry to exit). Each simulation shuffles the spells, spreads the idle time between
them at random and turns the whole round by a random number of bars. So a strategy that is always in the market is compared with itself at
other times, and one that merely rode a rising market is compared with others that rode it as long.

A random path pays costs only: fees, and the slippage recorded with each fill. What the price did between a bar's open and a fill inside
the bar (a stop, a limit) is the strategy's own luck or skill, and is neither charged nor credited to the random paths. Funding is no such
cost: it depends on the time, so the strategy is credited with its own and a random path with that of the bars it was moved to.

All symbols of an account are moved together: what was held at the same time stays held at the same time, on the same side and in the same
size. A spell is over when nothing at all is held; an account that never is flat is one spell, which is turned round. Bars are moved only
to bars on which the same symbols were traded, or a symbol listed late would be held at random where it had no price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.round_trips import fees_in_base, fees_in_quote

# Below this share of the largest position, what is held is dust that lot sizes left behind.
DUST: Final = 5e-3
# Sharpe ratios nearer than this are equal, and a path that does as well is counted: order of addition moves the last digits.
_EQUAL: Final = 1e-9
# A fill whose price before slippage is this near to the bar's open happened at the open.
_AT_OPEN: Final = 1e-9
NO_CHARGES: Final[Mapping[str, pd.Series]] = {}
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class ExposurePath:
    """What was held, paid and earned during each bar, and what the market did.

    `weights` [T, S] is the largest share of equity held during the bar, `returns` [T, S] the simple return from the bar's open to the next
    open, `net` [T] the account's own net return over that time. `traded` [T] and `costs` [T] are the shares of equity that changed hands
    and that were paid in fees and slippage. `mean_move` is the mean absolute return of a bar, over all bars that the symbols have.
    """

    index: pd.DatetimeIndex
    weights: Floats
    returns: Floats
    net: Floats
    traded: Floats
    costs: Floats
    mean_move: float
    carried: Floats
    funding: Floats
    eras: tuple[int, ...] = (0,)

    @property
    def gross(self) -> Floats:
        """Share of equity in the market during each bar, both sides added up, float64 [T]."""
        return np.asarray(np.abs(self.weights).sum(axis=1))

    @property
    def held(self) -> NDArray[np.bool_]:
        """Whether more than dust was held during each bar [T]."""
        gross = self.gross
        return np.asarray(gross > DUST * gross.max(initial=0.0))

    @property
    def pays(self) -> NDArray[np.bool_]:
        """Whether something was held as the bar opened that pays funding at some time [T]."""
        return np.asarray((self.carried[:, self.funding.any(axis=0)] != 0.0).any(axis=1))

    @property
    def bets(self) -> float:
        """How often the usual position was turned over: the number of round trips, also for a position that only grows and shrinks."""
        held = self.gross[self.held]
        return float(self.traded.sum() / 2.0 / held.mean()) if len(held) else 0.0

    @property
    def round_trip_cost(self) -> float:
        """Fees and slippage of buying and selling again, as a share of the traded value; NaN without a trade."""
        return 2.0 * float(self.costs.sum() / self.traded.sum()) if self.traded.sum() > 0 else np.nan

    @property
    def bars_traded(self) -> float:
        """Share of bars on which something was bought or sold."""
        return float((self.traded > 0).mean())


@dataclass(frozen=True)
class RandomEntries:
    """`p` is the share of random paths with at least the strategy's Sharpe ratio; `net` [T] the net returns per bar of the median path."""

    p: float
    samples: int
    sharpes: Floats
    net: Floats


def exposure_path(
    equity: pd.DataFrame, fills: pd.DataFrame, candles: Mapping[str, pd.DataFrame], charges: Mapping[str, pd.Series] = NO_CHARGES
) -> ExposurePath:
    """Rebuild what was held from the fills.

    Args:
        equity: indexed by bar open (UTC), column `equity` at the bar's close; and `value` where deposits made the account another one.
        fills: timestamp (UTC), symbol, side, size, price, fee, fee_currency and, where known, slippage (quote units); a fill belongs to
            the bar it happened in. Without a slippage column fees are the only known cost, and each fill counts as one at the open.
        candles: per symbol, indexed by bar open, columns open and close.
        charges: per perpetual, what a long of one unit pays at each bar's open (quote units), by bar open.
    """
    index = pd.DatetimeIndex(equity.index)
    value = equity["value" if "value" in equity else "equity"]
    worth = value.shift(1).fillna(value.iloc[0]).to_numpy(dtype=np.float64)
    # An account that was lost holds nothing and pays nothing.
    worth = np.where(worth > 0, worth, np.inf)
    weights, returns, carried, funding = (np.zeros((len(index), len(candles))) for _ in range(4))
    net, traded, costs = np.zeros(len(index)), np.zeros(len(index)), np.zeros(len(index))
    moves: list[Floats] = []
    for column, (symbol, frame) in enumerate(candles.items()):
        aligned = frame.reindex(index)
        close = aligned["close"].ffill().to_numpy(dtype=np.float64)
        opened = aligned["open"].fillna(aligned["close"].ffill()).to_numpy(dtype=np.float64)
        following = np.append(opened[1:], close[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            returns[:, column] = np.nan_to_num(following / opened - 1.0)
        moves.append(np.abs(returns[aligned["close"].notna().to_numpy(), column]))
        book = _Book.of(fills.loc[fills["symbol"] == symbol], index, opened)
        weights[:, column] = np.nan_to_num(book.largest * opened / worth)
        carried[:, column] = np.nan_to_num(book.carried * opened / worth)
        funding[:, column] = _shares(charges.get(symbol), index, opened)
        net += np.nan_to_num(book.units * opened / worth) * returns[:, column] - book.shortfall / worth
        net -= carried[:, column] * funding[:, column]
        traded += book.traded / worth
        costs += book.costs / worth
    every = np.concatenate(moves) if moves else np.zeros(0)
    mean_move = float(every.mean()) if len(every) else 0.0
    return ExposurePath(index, weights, returns, net, traded, costs, mean_move, carried, funding, _eras(index, candles.values()))


def _shares(charges: pd.Series | None, index: pd.DatetimeIndex, opened: Floats) -> Floats:
    """Funding of each bar as a share of what is held [T]."""
    if charges is None:
        return np.zeros(len(index))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nan_to_num(charges.reindex(index, fill_value=0.0).to_numpy(dtype=np.float64) / opened))


def _eras(index: pd.DatetimeIndex, candles: Iterable[pd.DataFrame]) -> tuple[int, ...]:
    """Rows at which a symbol's bars begin or are over, the first row among them."""
    edges = {0}
    for frame in candles:
        first, last = index.searchsorted(frame.index[0]), index.searchsorted(frame.index[-1], side="right")
        edges |= {int(edge) for edge in (first, last) if edge < len(index)}
    return tuple(sorted(edges))


@dataclass(frozen=True)
class _Book:
    """One symbol's position per bar, float64 [T] each.

    `carried` is held as the bar opens, `units` at its end, and `largest` is the largest position held for some time during the bar.
    `shortfall` is what the fills of the bar lost against the same trades at its open without costs, of which `costs` is fees and slippage;
    both, and `traded`, in quote.
    """

    carried: Floats
    units: Floats
    largest: Floats
    shortfall: Floats
    costs: Floats
    traded: Floats

    @classmethod
    def of(cls, fills: pd.DataFrame, index: pd.DatetimeIndex, opened: Floats) -> _Book:
        n = len(index)
        if not len(fills):
            return cls(*(np.zeros(n) for _ in range(6)))
        moments = pd.DatetimeIndex(pd.to_datetime(fills["timestamp"], utc=True))
        bar = np.clip(index.searchsorted(moments, side="right") - 1, 0, n - 1)
        sign = np.where(fills["side"].astype(str) == "buy", 1.0, -1.0)
        size, price = (fills[name].to_numpy(dtype=np.float64) for name in ("size", "price"))
        fee, kept = (series.to_numpy(dtype=np.float64) for series in (fees_in_quote(fills), fees_in_base(fills)))
        slippage = np.nan_to_num(fills["slippage"].to_numpy(dtype=np.float64)) if "slippage" in fills else np.zeros(len(fills))
        change = sign * size - kept  # a fee taken in the coin makes the position smaller
        # Against the same trade at the open: the price, the fee in quote, and the coin that was kept, valued at the open.
        shortfall = np.nan_to_num(sign * size * (price - opened[bar]) + fee - kept * (price - opened[bar]))
        units = np.cumsum(_summed(bar, change, n))
        inside = np.zeros(len(fills), dtype=bool)
        if "slippage" in fills:
            due = price - sign * slippage / np.where(size > 0, size, 1.0)
            inside = np.abs(due - opened[bar]) > _AT_OPEN * np.abs(opened[bar])
        return cls(
            carried=np.append(0.0, units[:-1]), units=units, largest=_largest(units, change, bar, inside),
            shortfall=_summed(bar, shortfall, n), costs=_summed(bar, np.nan_to_num(fee + slippage), n),
            traded=_summed(bar, size * price, n),
        )  # fmt: skip


def _largest(units: Floats, change: Floats, bar: Integers, inside: NDArray[np.bool_]) -> Floats:
    """The largest position of each bar: what is held at its end, or before or after a fill inside it."""
    after = np.cumsum(change)
    longest, shortest = units.copy(), units.copy()
    for held in (after - change, after):
        np.maximum.at(longest, bar[inside], held[inside])
        np.minimum.at(shortest, bar[inside], held[inside])
    return np.where(longest >= -shortest, longest, shortest)


def compare(path: ExposurePath, *, samples: int = 1000, seed: int = 0) -> RandomEntries:
    """Simulate random entries; `p` is NaN where nothing was held.

    Returns are compared before costs, in units of their own variation (Sharpe ratios). All paths pay the same costs, but a stop that cuts a
    bar short makes the account vary less than a path that holds the whole bar, and the same cost would weigh differently on both.
    """
    n = len(path.index)
    rows = np.flatnonzero(path.held | (path.costs > 0) | path.pays)
    own = _sharpe(path.net[rows][None, :], n)[0]
    if not len(rows) or not np.isfinite(own):
        return RandomEntries(np.nan, 0, np.zeros(0), np.zeros(n))
    eras = _Era.all_of(rows, path.eras, n)
    gains, sharpes = np.empty(samples), np.empty(samples)
    for k in range(samples):
        gross = _gross(path, rows, _placed(eras, seed, k))
        gains[k], sharpes[k] = _sharpe(gross[None, :], n)[0], _sharpe((gross - path.costs[rows])[None, :], n)[0]
    timing = _sharpe((path.net + path.costs)[rows][None, :], n)[0]
    p = (1.0 + np.count_nonzero(gains >= timing - _EQUAL * abs(timing))) / (samples + 1.0)
    middle = _placed(eras, seed, int(np.argsort(sharpes, kind="stable")[samples // 2]))
    net = _summed(middle, _gross(path, rows, middle) - path.costs[rows], n)
    return RandomEntries(float(p), samples, sharpes, net)


def _placed(eras: Sequence[_Era], seed: int, path: int) -> Integers:
    """One generator per path, so that the median path can be laid out again instead of keeping all of them."""
    rng = np.random.default_rng([seed, path])
    return np.concatenate([era.first + era.spells.placed(era.bars, rng) for era in eras])


def _gross(path: ExposurePath, rows: Integers, places: Integers) -> Floats:
    """Returns before costs, after funding, of the held bars when they are moved to `places` [held]."""
    total = np.zeros(len(rows))
    for column in range(path.weights.shape[1]):
        total += path.weights[rows, column] * path.returns[:, column][places]
        total -= path.carried[rows, column] * path.funding[:, column][places]
    return total


def _summed(bar: Integers, values: Floats, n: int) -> Floats:
    """Values added up per bar, float64 [n]."""
    return np.asarray(np.bincount(bar, weights=values, minlength=n), dtype=np.float64)


def _sharpe(nets: Floats, n: int) -> Floats:
    """Sharpe ratio per bar of paths whose other `n` - held bars earn nothing."""
    mean = nets.sum(axis=1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mean / np.sqrt(np.maximum((nets**2).sum(axis=1) / n - mean**2, 0.0)))


@dataclass(frozen=True)
class _Era:
    """The held bars of a span of `bars` bars in which the same symbols were traded, counted from its `first` row."""

    first: int
    bars: int
    spells: _Spells

    @classmethod
    def all_of(cls, rows: Integers, firsts: Sequence[int], n: int) -> list[_Era]:
        """Those in which something was held, in order."""
        found = []
        for first, end in zip(firsts, (*firsts[1:], n), strict=True):
            own = rows[(rows >= first) & (rows < end)] - first
            found += [cls(first, end - first, _Spells.of(own))] if len(own) else []
        return found


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
        """New bar of each held bar: spells in random order, idle bars spread at random, the whole turned round.

        Turns by a few bars are among them: with all turns alike p is exact, also for an account that is never flat and changes slowly.
        """
        order = rng.permutation(len(self.lengths))
        idle = np.sort(rng.integers(0, n - int(self.lengths.sum()) + 1, size=len(self.lengths)))
        starts = np.empty(len(order), dtype=np.int64)
        starts[order] = np.cumsum(self.lengths[order]) - self.lengths[order] + idle
        moved: Any = (starts[self.spell] + self.within + int(rng.integers(0, n))) % n
        return np.asarray(moved, dtype=np.int64)
