"""Cross-sectional features: what all symbols of a run did together, and where one stands among them.

They come on request (`market_*` in `models.features`, or a forecaster that asks for them). As all features they depend on the last
`warm_up` rows of the symbol they are for and on nothing else: of the other symbols the bars that opened at these very times are seen. A
symbol that has no bar of a time, has hardly had any before it or stands still is no part of the market then. One that is alone is its own
market: above nothing, below nothing, led by itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forwardtrader.core.errors import FeatureFailed
from forwardtrader.models.features.asset_panel import beside
from forwardtrader.models.features.bars import VOLATILITY_BARS, Bars
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.own_features import OwnFeature
from forwardtrader.models.features.rolling import Series, lag, window_sum

Table: TypeAlias = NDArray[np.float64]  # [T, S], a column for each symbol
RETURNS: Final = 3
MOVES: Final = (6, 24, 72, 168)
RANKED: Final = (6, 24)
LED: Final = (6, 24)
LEADERS: Final = 2
# Rows that each of them looks back over: the longest move, whose first return is measured by the volatility before it.
LOOK_BACK: Final = VOLATILITY_BARS + 1 + max(MOVES)
_TURNOVER_BARS: Final = 336
_LEAST_SHARE: Final = 0.5  # of the rows of a window that a symbol must have had
_STILL: Final = 1e-6
_CLIP: Final = 8.0


class CrossSection:
    """All features of one symbol's bars, which have nearly all of their work in common.

    Symbols stand in the order of their names and sums go from the first to the last, so that the order in which a run names its symbols
    decides no bit.

    Raises:
        FeatureFailed: the bars have no peers beside them, not even themselves.

    Attributes:
        features: by name, float64 [T], NaN while they warm up.
    """

    def __init__(self, bars: Bars) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            self.features = {name: _warmed(values) for name, values in self._all(bars)}

    @staticmethod
    def _all(bars: Bars) -> Iterator[tuple[str, Series]]:
        if not bars.peers:
            raise FeatureFailed("features market_* look at all symbols of a run, whose bars are not at hand here")
        peers = [beside(bars, bars.peers[symbol])[0] for symbol in sorted(bars.peers)]
        close = np.column_stack([*(columns[3] for columns in peers), bars.close])  # one's own once more, as the last one
        returned = scaled_returns(close)
        turnover = close[:, :-1] * np.column_stack([columns[4] for columns in peers])
        leaders = _leaders(turnover, np.isfinite(returned[:, :-1]))
        for ago in range(RETURNS):
            table = lag(returned, ago)
            yield f"return_{ago + 1}_ago", _mean(table)
            yield from ((f"leader_{k + 1}_return_{ago + 1}_ago", _of(leader, table)) for k, leader in enumerate(leaders))
        for name, table in (("return_1_ago", returned), *((f"move_{n}", moved(returned, n)) for n in MOVES)):
            if name.startswith("move"):
                yield name, _mean(table)
            yield f"relative_{name}", table[:, -1] - _mean(table)
            if name in ("return_1_ago", *(f"move_{n}" for n in RANKED)):
                yield f"rank_{name}", _rank(table)
            if name in (f"move_{n}" for n in LED):
                yield from ((f"leader_{k + 1}_{name}", _of(leader, table)) for k, leader in enumerate(leaders))


def scaled_returns(close: Table) -> Table:
    """Each return in units of the symbol's volatility known one bar before it; NaN where either is not known."""
    returned = np.log(close) - lag(np.log(close), 1)
    known = np.isfinite(returned)
    count = window_sum(known.astype(np.float64), VOLATILITY_BARS)
    volatility = np.sqrt(window_sum(np.where(known, returned * returned, 0.0), VOLATILITY_BARS) / count)
    measured = (count >= _LEAST_SHARE * VOLATILITY_BARS) & (volatility > _STILL)
    return np.clip(returned / lag(np.where(measured, volatility, np.nan), 1), -_CLIP, _CLIP)


def moved(returned: Table, n: int) -> Table:
    """The move over n bars as `move_n` has it; NaN where the last return is not known, or half of them are not."""
    known = np.isfinite(returned)
    enough = known & (window_sum(known.astype(np.float64), n) >= _LEAST_SHARE * n)
    return np.where(enough, window_sum(np.where(known, returned, 0.0), n) / np.sqrt(n), np.nan)


def _mean(table: Table) -> Series:
    """Over the symbols of the market, NaN where there is none."""
    total, count = _sum(np.where(np.isfinite(table), table, 0.0)), _sum(np.isfinite(table).astype(np.float64))
    return total / np.where(count > 0, count, np.nan)


def _rank(table: Table) -> Series:
    """One's own place, from -1 below all others to 1 above them."""
    sign = np.sign(table[:, -1:] - table)
    others = _sum(np.isfinite(table).astype(np.float64)) - 1.0
    return _sum(np.where(np.isfinite(sign), sign, 0.0)) / np.maximum(others, 1.0)


def _sum(table: Table) -> Series:
    """Over the columns but the last, from the first on: numpy's own order depends on the number of rows."""
    total = table[:, 0].copy()
    for column in range(1, table.shape[1] - 1):
        total += table[:, column]
    return total


def _leaders(turnover: Table, present: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The columns of the symbols of the greatest turnover among those present: [T] each; with fewer symbols the last of them again."""
    traded = window_sum(np.where(np.isfinite(turnover), turnover, 0.0), _TURNOVER_BARS)
    order = np.argsort(-np.where(present, traded, -1.0), axis=1, kind="stable")
    return [order[:, min(place, order.shape[1] - 1)] for place in range(LEADERS)]


def _of(columns: NDArray[np.intp], table: Table) -> Series:
    return np.take_along_axis(table, columns[:, None], axis=1)[:, 0]


def _warmed(values: Series) -> Series:
    """Neutral where there is nothing to measure."""
    out = np.where(np.isfinite(values), values, 0.0)
    out[: LOOK_BACK - 1] = np.nan
    return out


# The newest one: features are asked for one after the other, and all of a symbol before the next.
_newest: tuple[weakref.ref[Bars], CrossSection] | None = None


def cross_section(bars: Bars) -> CrossSection:
    """The features of these bars, computed once for all that are asked for one after the other."""
    global _newest
    kept = _newest
    if kept is not None and kept[0]() is bars:
        return kept[1]
    made = CrossSection(bars)
    _newest = weakref.ref(bars), made
    return made


def _named(name: str, bars: Bars) -> Series:
    return cross_section(bars).features[name].copy()


def _entries() -> dict[str, Feature]:
    nothing = Bars(np.zeros(0, np.int64), *(np.zeros(0),) * 5)
    names = CrossSection(replace(nothing, peers={"": nothing})).features
    made = (Feature(f"market_{name}", LOOK_BACK, partial(_named, name), cross_asset=True) for name in names)
    return {feature.name: feature for feature in made}


def _sum_of_all(bars: Bars, panel: Mapping[str, Bars]) -> Series:
    """A number that differs where any of them does."""
    features = CrossSection(replace(bars, peers=dict(panel.items()))).features
    return np.add.reduce([(k + 1.0) * values for k, values in enumerate(features.values())])


MARKET: Final[dict[str, Feature]] = _entries()
# All of them as one, for the checks of features.
TOGETHER: Final = OwnFeature("market_*", LOOK_BACK, _sum_of_all, cross_asset=True)
