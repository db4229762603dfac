"""What is tried on a user's own feature before it is used: does it keep to the rules of features?

A feature is computed on simulated bars with gaps, quiet stretches and jumps: whole, on the past alone, and on as many bars as it says it
looks back over. All must give the same bits, as a backtest, a truncated history and a live session will ask for exactly these. It takes
milliseconds; `--audit` tries the same on real candles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.models.features.asset_panel import AssetPanel
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.own_features import OwnFeature
from forwardtrader.models.features.rolling import Series

BUMP: Final = 1.5
# Differences below this share of the value are what an order of additions leaves behind.
ROUNDING: Final = 1e-7
# So many rows one after the other: longer bars begin and end at other places in each window.
_PHASES: Final = 96
_DRAWN: Final = 24
_checked: Final[set[tuple[OwnFeature, str]]] = set()


def checked(own: OwnFeature, timeframe: Timeframe) -> OwnFeature:
    """The feature itself, tried once in each process.

    Raises:
        FeatureFailed: it raises, looks ahead, depends on more bars than it says, or is not the same twice; and how to fix it.
    """
    if (own, str(timeframe)) not in _checked:
        frame = simulated_candles(own.warm_up, timeframe)
        bars = Bars.of(frame, timeframe)
        if own.cross_asset:
            bars = replace(bars, peers=SimulatedPeers(bars))
        check(own, bars, _moments(own.warm_up, len(frame)))
        _checked.add((own, str(timeframe)))
    return own


def check(own: OwnFeature, bars: Bars, rows: NDArray[np.int64]) -> None:
    """Try a feature on bars, at `rows` from `warm_up - 1` on. Raises FeatureFailed as `checked`."""
    whole = own.compute(bars)
    _same_twice(own, bars, whole)
    _keeps_its_input(own, bars)
    _never_ahead(own, bars, whole, rows)
    _warm_up_holds(own, bars, whole, rows)
    _finite(own, bars, whole)


def simulated_candles(warm_up: int, timeframe: Timeframe) -> pd.DataFrame:
    """Bars with gaps, then none for as long as all phases of longer bars take, then a market that stands still, then a lively one."""
    draw = np.random.default_rng(warm_up)
    gappy, still = warm_up + 60, warm_up + 20
    n = gappy + warm_up + _PHASES + still + 60
    moves = draw.standard_t(3, n) * 0.005
    moves[-still - 60 : -60] = 0.0
    close = 100.0 * np.exp(np.cumsum(moves))
    opened = np.append(100.0, close[:-1])
    wick = np.abs(draw.normal(0.0, 0.003, (2, n))) * (moves != 0.0)
    high, low = np.maximum(opened, close) * (1 + wick[0]), np.minimum(opened, close) * (1 - wick[1])
    volume = draw.lognormal(3.0, 0.7, n) * (moves != 0.0)
    start = pd.Timestamp("2024-01-03 05:00", tz="UTC").floor(timeframe.delta)
    index = pd.date_range(start, periods=n, freq=timeframe.delta, name="timestamp")
    frame = pd.DataFrame({"open": opened, "high": high, "low": low, "close": close, "volume": volume}, index=index)
    kept = draw.random(n) > 0.05
    kept[gappy:] = True
    kept[gappy // 2 : gappy // 2 + 5] = False
    return frame[kept]


def _moments(warm_up: int, rows: int) -> NDArray[np.int64]:
    """Rows to look at: one after the other where there are no gaps, and some anywhere."""
    draw = np.random.default_rng(rows)
    behind = warm_up + 80 + _PHASES  # the still stretch and the lively one
    phases = np.arange(max(rows - behind - _PHASES, warm_up - 1), rows - behind)
    return np.unique(np.concatenate([phases, draw.integers(warm_up - 1, rows, _DRAWN), [rows - 1]]))


class SimulatedPeers(Mapping[str, Bars]):
    """Bars of whatever symbol is asked for, some of them missing; those that open after `bumped_after` changed."""

    def __init__(self, bars: Bars, bumped_after: int | None = None) -> None:
        self._bars = bars
        self._after = bumped_after

    def __getitem__(self, symbol: str) -> Bars:
        draw = np.random.default_rng(list(symbol.encode()))
        factor = np.exp(np.cumsum(draw.normal(0.0, 0.004, len(self._bars))))
        whole = self._bars if self._after is None else _bumped(self._bars, self._after)
        kept = draw.random(len(whole)) > 0.02
        opened, high, low, close = (column[kept] * factor[kept] for column in (whole.open, whole.high, whole.low, whole.close))
        return Bars(whole.times[kept], opened, high, low, close, whole.volume[kept], step=whole.step)

    def __contains__(self, symbol: object) -> bool:
        return isinstance(symbol, str)

    def __iter__(self) -> Iterator[str]:
        return iter(("BTC/USDT", "ETH/USDT", "SOL/USDT"))

    def __len__(self) -> int:
        return 3


def _same_twice(own: OwnFeature, bars: Bars, whole: Series) -> None:
    if not same(own.compute(bars), whole).all():
        raise FeatureFailed(f"{own.label} is not the same twice on the same bars; take randomness, clocks and what it remembers out of it")


def _keeps_its_input(own: OwnFeature, bars: Bars) -> None:
    given = bars.copied()
    own.called(given, AssetPanel(bars))
    for name in ("times", *OHLCV):
        if not np.array_equal(getattr(given, name), getattr(bars, name)):
            raise FeatureFailed(f"{own.label} changes the bars it is given; work on a copy: bars.{name}.copy()")


def _never_ahead(own: OwnFeature, bars: Bars, whole: Series, rows: NDArray[np.int64]) -> None:
    for row in rows[:: max(1, len(rows) // _DRAWN)]:
        later = replace(_bumped(bars, int(bars.times[row])), peers=_bumped_peers(bars, int(bars.times[row])))
        for seen in (own.compute(later), own.compute(bars.window(0, row + 1))):
            if not same(seen[: row + 1], whole[: row + 1]).all():
                raise FeatureFailed(
                    f"{own.label} looks ahead: what it says at a bar changes with the bars after it; use only bars up to each one "
                    "(no negative shift, no centred window, no mean, extreme or rank of the whole series)"
                )


def _bumped(bars: Bars, after: int) -> Bars:
    """The bars with those that open after a time changed."""
    later = bars.copied()
    for name in OHLCV:
        getattr(later, name)[bars.times > after] *= BUMP
    return later


def _bumped_peers(bars: Bars, after: int) -> Mapping[str, Bars]:
    if isinstance(bars.peers, SimulatedPeers):
        return SimulatedPeers(bars, after)
    return {symbol: _bumped(peer, after) for symbol, peer in bars.peers.items()}


def _warm_up_holds(own: OwnFeature, bars: Bars, whole: Series, rows: NDArray[np.int64]) -> None:
    short = {int(row): own.compute(bars.window(row + 1 - own.warm_up, row + 1))[-1] for row in rows}
    wrong = [row for row, value in short.items() if not same(np.array([value]), whole[row : row + 1]).all()]
    if not wrong:
        return
    found, true = np.array([short[row] for row in wrong]), whole[wrong]
    if (np.abs(found - true) <= ROUNDING * np.maximum(np.abs(true), 1e-3)).all():
        raise FeatureFailed(
            f"{own.label} carries rounding from bar to bar, as running sums do: its last bits depend on where the bars begin, and a live "
            "session would not give a backtest's; use forwardtrader.window_mean, window_sum or window_rms in place of rolling or "
            "cumulative sums"
        )
    needed = _least_warm_up(own, bars, whole, wrong)
    how = (
        f"write warm_up={needed}, or look back over fewer bars" if needed
        else "it looks back over all bars there are, as exponential averages and cumulative sums do: look back over a fixed number of bars"
    )  # fmt: skip
    raise FeatureFailed(f"{own.label} depends on more than the {own.warm_up} bars of its warm_up; {how}")


def _least_warm_up(own: OwnFeature, bars: Bars, whole: Series, rows: list[int]) -> int:
    """The smallest warm-up that gives the right bits at all rows; 0 where none does."""

    def holds(n: int) -> bool:
        longer = replace(own, warm_up=n)
        seen = (row for row in rows if row + 1 >= n)
        return all(same(longer.compute(bars.window(row + 1 - n, row + 1))[-1:], whole[row : row + 1]).all() for row in seen)

    most, low, high = sorted(rows)[len(rows) // 2], own.warm_up, own.warm_up  # half of the rows have so many bars behind them
    while high < most and not holds(high):
        low, high = high, min(2 * high, most)
    if high >= most:
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _finite(own: OwnFeature, bars: Bars, whole: Series) -> None:
    with np.errstate(over="ignore"):
        wrong = np.flatnonzero(~np.isfinite(whole[own.warm_up - 1 :].astype(np.float32))) + own.warm_up - 1
    is_leading = len(wrong) and np.isnan(whole[wrong[0]]) and wrong[0] == own.warm_up - 1 and wrong[-1] - wrong[0] + 1 == len(wrong)
    if is_leading:
        raise FeatureFailed(
            f"{own.label} has no value at the first {len(wrong)} of {len(whole)} bars behind its warm_up of {own.warm_up}: it looks back "
            "farther; set a larger warm_up (n longer bars of k bars each take n * k + k - 1)"
        )
    if len(wrong):
        where = "where the market stands still" if bars.high[wrong[0]] == bars.low[wrong[0]] else "on a usual bar"
        raise FeatureFailed(
            f"{own.label} is {whole[wrong[0]]} {where}, at {len(wrong)} of {len(whole)} bars behind its warm_up; "
            "return 0.0 where there is nothing to measure, and guard divisions and logarithms"
        )


def same(first: Series, second: Series) -> NDArray[np.bool_]:
    """Where two series are equal to the last bit, or both unknown."""
    return np.asarray((first == second) | (np.isnan(first) & np.isnan(second)))
