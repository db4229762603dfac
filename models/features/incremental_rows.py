"""Incremental features: the newest rows of a model's input, updated bar by bar.

What a feature does is recorded once in a graph (`models.features.incremental_graph`), which then costs one row a bar however far the
feature looks back. A feature that does something the graph cannot record, or that is a user's own, is computed over the bars it looks
back over instead: the same bits, more time. A feature needs to do nothing for either.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core import log
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.models.features.asset_panel import PeerRows, Row
from forwardtrader.models.features.bars import SECOND, Bars
from forwardtrader.models.features.catalogue import named
from forwardtrader.models.features.feature import Feature
from forwardtrader.models.features.incremental_graph import GraphSeries, IncrementalGraph
from forwardtrader.models.features.sequences import unit
from forwardtrader.models.forecaster import NewBar

_INPUTS: Final = ("times", *OHLCV)
_LOG: Final = log.logger("models")
_reported: set[str] = set()  # features whose fallback is in the log already


class FeatureRows:
    """Bit for bit the last rows of `models.features.catalogue.matrix` and `models.features.sequences.unit` of all bars so far.

    Args:
        names: of the catalogue; those of factors are updated by `models.features.incremental_factors`.
        rows: how many of the newest rows `window` holds.
        horizon: of `unit`, in bars.
        timeframe: of the bars, for features that join them to longer ones.
        symbol: whose bars they are.
        peers: gives the bars of all symbols before the newest one, for features that look at others.

    Attributes:
        at: open time of the newest bar; None before `fill`.
        window: float32 [rows, F], the newest row last.
        unit: of the newest bar.
        before: identifies the rows of `window` before the newest one: equal values, equal rows.
        windowed: column and feature of each one that is computed over its window.
    """

    def __init__(
        self, names: tuple[str, ...], rows: int, horizon: int, timeframe: Timeframe | None = None, *, symbol: str = "",
        peers: Callable[[], Mapping[str, Bars]] = dict,
    ) -> None:  # fmt: skip
        self.names = names
        self._timeframe = timeframe
        self.at: datetime | None = None
        self.window: NDArray[np.float32] = np.full((rows, len(names)), np.nan, np.float32)
        self.unit = float("nan")
        self.before: object = None
        self._graph = IncrementalGraph()
        bars = Bars(**self._graph.inputs(_INPUTS))  # type: ignore[arg-type]  # coming series stand in for those of numbers
        made = [_recorded(named(name), bars) for name in names]
        self.windowed = tuple((n, named(name)) for n, name in enumerate(names) if made[n] is None)
        self._places = [n for n, series in enumerate(made) if series is not None]
        self._graph.keep([*(series for series in made if series is not None), unit(bars, horizon)])  # type: ignore[list-item]
        self._recent: deque[tuple[float, ...]] = deque(maxlen=max((feature.warm_up for _, feature in self.windowed), default=1))
        self._peers = peers
        looks_at_others = any(feature.cross_asset for _, feature in self.windowed)
        self._beside = PeerRows(symbol, self._recent.maxlen or 1) if looks_at_others else None

    @property
    def key(self) -> object:
        """Identifies all rows of `window`; it is `before` at the next bar."""
        return self.at

    @property
    def is_whole(self) -> bool:
        """Whether every number of the window is known."""
        return bool(np.isfinite(self.window).all())

    def fill(self, frame: pd.DataFrame, beside: Mapping[str, Row] | None = None) -> None:
        """Start from a candle frame of as many bars as the features and the window look back over; its last row is the newest bar.

        Args:
            beside: as `NewBar.peers` gives.
        """
        bars = Bars.of(frame, self._timeframe)
        columns = {name: getattr(bars, name) for name in _INPUTS}
        recorded = self._graph.fill(columns)
        self.window[:, self._places] = recorded[-len(self.window) :, :-1]
        seen = bars if self._beside is None else self._beside.fill(bars, self._peers(), beside or {})
        for n, feature in self.windowed:
            self.window[:, n] = feature.compute(seen)[-len(self.window) :]
        self._recent.extend(zip(*(columns[name][-(self._recent.maxlen or 1) :].tolist() for name in _INPUTS), strict=True))
        self.unit = float(recorded[-1, -1])
        self.at, self.before = frame.index[-1].to_pydatetime(), object()

    def prepare(self, coming: datetime) -> None:
        """Do ahead of time what the next bar does not decide; it is expected to open at `coming`."""
        self._graph.prepare(nanoseconds(coming))

    def follow(self, bar: NewBar) -> None:
        """Take in the bar after the newest one."""
        newest = (nanoseconds(bar.at), bar.open, bar.high, bar.low, bar.close, bar.volume)
        recorded = self._graph.row(dict(zip(_INPUTS, newest, strict=True)))
        self.window[:-1] = self.window[1:]
        self.window[-1, self._places] = recorded[:-1]
        self.unit = recorded[-1]
        self._recent.append(newest)
        if self._beside is not None:
            self._beside.follow(bar.peers())
        seen = {bars: self._last(bars) for bars in {feature.warm_up for _, feature in self.windowed}}
        for n, feature in self.windowed:
            self.window[-1, n] = feature.compute(seen[feature.warm_up])[-1]
        self.at, self.before = bar.at, self.at

    def _last(self, bars: int) -> Bars:
        recent = list(self._recent)[-bars:]
        opened, high, low, close, volume = np.ascontiguousarray(np.array([each[1:] for each in recent], np.float64).T)
        step = self._timeframe.seconds * SECOND if self._timeframe else 0
        own = Bars(np.array([each[0] for each in recent], np.int64), opened, high, low, close, volume, step=step)
        return own if self._beside is None else self._beside.around(own)


def _recorded(feature: Feature, bars: Bars) -> GraphSeries | None:
    """The feature's steps in the graph; None where it does what the graph cannot record, looks at other symbols or is a user's."""
    if feature.is_own or feature.cross_asset:
        return None
    try:
        made: object = feature.compute(bars)
        if isinstance(made, GraphSeries):
            return made
        reason = f"it returns {type(made).__name__}"
    except Exception as error:  # noqa: BLE001 - a feature is anybody's function, and it was written for whole series
        reason = f"{type(error).__name__}: {error}"
    if feature.name not in _reported:
        _reported.add(feature.name)
        log.event(_LOG, "feature_not_recorded", feature=feature.name, bars=feature.warm_up, reason=reason)
    return None


def nanoseconds(at: datetime) -> int:
    """UTC nanoseconds of a bar-open time, as `Bars.times` has them."""
    return round(at.timestamp() * 1000) * 1_000_000
