"""A panel: candles of one or several symbols as one stacked matrix of features and targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import fingerprint
from forwardtrader.core.errors import FeatureFailed
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.asset_panel import beside
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import all_names, looks_at_others, matrix, named
from forwardtrader.models.features.factor_features import factor_names
from forwardtrader.models.features.own_features import short_name
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.features.sequences import targets
from forwardtrader.models.port.prototype import prototype


@dataclass(frozen=True)
class Panel:
    """Features and targets that folds are cut from. Row r of symbol s is at `offset[s] + r` in the stacked arrays.

    features: float32 [N, F]; targets: float32 [N, H]. Sequences never cross from one symbol into the next,
    since training segments are given per symbol.
    """

    index: Mapping[str, pd.DatetimeIndex]
    bars: Mapping[str, Bars]
    offset: Mapping[str, int]
    names: tuple[str, ...]
    features: NDArray[np.float32]
    targets: NDArray[np.float32]

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(self.bars)

    @classmethod
    def of(
        cls, candles: Mapping[str, pd.DataFrame], horizons: tuple[int, ...], names: tuple[str, ...] = (), timeframe: Timeframe | None = None
    ) -> Panel:
        """Compute features and targets of every candle frame.

        Args:
            names: all features of the catalogue, and those of the factors that all frames carry, where none are named.
            timeframe: of the candles, for features that join them to longer bars.
        """
        candles = in_order(candles)
        bars = {symbol: Bars.of(frame, timeframe) for symbol, frame in candles.items()}
        names = names or all_names(next(iter(bars.values())).factors)
        bars = beside_peers(bars, names)
        starts = np.cumsum([0, *(len(b) for b in bars.values())])
        return cls(
            index={symbol: pd.DatetimeIndex(frame.index) for symbol, frame in candles.items()},
            bars=bars,
            offset=dict(zip(bars, (int(s) for s in starts), strict=False)),
            names=names,
            features=np.concatenate([matrix(b, names) for b in bars.values()]),
            targets=np.concatenate([targets(b, horizons) for b in bars.values()]),
        )

    def with_features(self, names: tuple[str, ...]) -> Panel:
        """The same bars and targets with these features."""
        if names == self.names:
            return self
        bars = beside_peers(self.bars, names)
        return replace(self, bars=bars, names=names, features=np.concatenate([matrix(b, names) for b in bars.values()]))

    def require_numbers(self) -> None:
        """Raises FeatureFailed where a user's own feature is no number behind its warm-up: one such bar would spoil a whole model."""
        for column, name in enumerate(self.names):
            if not named(name).is_own:
                continue
            for symbol, at in self.offset.items():
                values = self.features[at : at + len(self.bars[symbol]), column]
                wrong = np.flatnonzero(~np.isfinite(values[named(name).warm_up - 1 :])) + named(name).warm_up - 1
                if len(wrong):
                    bar = f"{self.index[symbol][wrong[0]]:%Y-%m-%d %H:%M}"
                    raise FeatureFailed(
                        f"feature {short_name(name)} is {values[wrong[0]]} at {bar} of {symbol}, one of {len(wrong)} such bars behind its "
                        "warm_up; return 0.0 where there is nothing to measure, and guard divisions and logarithms"
                    )

    def fingerprint(self, symbol: str, first: int, last: int) -> str:
        """Hash of the candles, and of factors and peers beside them, in rows [first, last) of one symbol."""
        b = self.bars[symbol]
        rows = slice(max(first, 0), last)
        candles = (b.times, b.open, b.high, b.low, b.close, b.volume)
        own = b.window(rows.start, last)
        others = [column for peer in b.peers.values() for column in beside(own, peer)[0]]
        return fingerprint.of_arrays(*(column[rows] for column in (*candles, *b.factors.values())), *others)


def in_order(candles: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """By name: models are the same in whatever order symbols were named, or the order would be one more thing to try."""
    return dict(sorted(candles.items()))


def beside_peers(bars: Mapping[str, Bars], names: tuple[str, ...]) -> dict[str, Bars]:
    """The bars of each symbol, with those of all symbols beside them where one of the features looks at them."""
    return {symbol: replace(own, peers=bars) for symbol, own in bars.items()} if looks_at_others(names) else dict(bars)


def selected(candles: Mapping[str, pd.DataFrame], settings: ModelSettings, timeframe: Timeframe) -> tuple[str, ...]:
    """As `selected_beside`, for candles with their factors."""
    return selected_beside(factor_names(next(iter(candles.values())).columns), settings, timeframe)


def selected_beside(factors: Iterable[str], settings: ModelSettings, timeframe: Timeframe) -> tuple[str, ...]:
    """The features that the forecaster wants, or else those that the settings choose, with those of the factors. Raises as `chosen`."""
    return chosen(wanted(settings), tuple(factors), timeframe)


def wanted(settings: ModelSettings) -> tuple[str, ...]:
    """What the forecaster, or else the settings, name as features."""
    own = prototype(settings)
    return tuple(own.features if own is not None and own.features else settings.features)
