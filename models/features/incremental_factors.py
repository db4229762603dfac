"""Incremental features of a model that was trained with factors, updated bar by bar.

What is known of a factor at a bar may change after the bar: a value reached its file late, or was revised. So the factors are asked about
at every bar, for all bars that their features look back over. Where the older ones stand as they stood, the new bar costs one row, as it
does for a model without factors; where one has changed, the features of factors are worked out anew, and the network walks its context
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import Timeframe
from forwardtrader.models.features import factor_features
from forwardtrader.models.features.asset_panel import Row
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import named
from forwardtrader.models.features.factor_features import factor_of
from forwardtrader.models.features.incremental_graph import IncrementalGraph
from forwardtrader.models.features.incremental_rows import FeatureRows, nanoseconds
from forwardtrader.models.forecaster import NewBar

Facts = Callable[[pd.DatetimeIndex], pd.DataFrame]
_NOTHING: Final = np.zeros(0)
_NO_BARS: Final = Bars(np.zeros(0, np.int64), _NOTHING, _NOTHING, _NOTHING, _NOTHING, _NOTHING)


class FactorRows:
    """As `FeatureRows`, with factors: bit for bit the rows of the whole frame with the factor columns as they are known now.

    Args:
        names: of the catalogue and of factors, in the order of the model's columns.
        rows: how many of the newest rows `window` holds.
        horizon: of `unit`, in bars.
        facts: the columns of the factors for bar-open times, as they were known at each close.
        look_back: bars that are asked about.
        timeframe, symbol, peers: as of `FeatureRows`.

    Attributes:
        before: names the rows of `window` before the newest one: equal names, equal rows.
    """

    def __init__(
        self, names: tuple[str, ...], rows: int, horizon: int, facts: Facts, look_back: int, timeframe: Timeframe | None = None, *,
        symbol: str = "", peers: Callable[[], Mapping[str, Bars]] = dict,
    ) -> None:  # fmt: skip
        self.names = names
        self.window: NDArray[np.float32] = np.full((rows, len(names)), np.nan, np.float32)
        self.before: object = None
        plain = tuple(name for name in names if not factor_of(name))
        self._plain = FeatureRows(plain, rows, horizon, timeframe, symbol=symbol, peers=peers)
        self._made = tuple(name for name in names if factor_of(name))
        self._columns = tuple(dict.fromkeys(map(factor_of, self._made)))
        self._places = tuple(np.flatnonzero([bool(factor_of(name)) == is_made for name in names]) for is_made in (False, True))
        self._facts = facts
        self._times = np.zeros(look_back, np.int64)
        self._known = np.zeros((look_back, len(self._columns)))
        self._changes = 0
        self._graph = IncrementalGraph()
        series: dict[str, Any] = dict(self._graph.inputs(self._columns))
        self._graph.keep([factor_features.compute(name, series[factor_of(name)]) for name in self._made])  # type: ignore[misc]

    @property
    def at(self) -> datetime | None:
        """Open time of the newest bar; None before `fill`."""
        return self._plain.at

    @property
    def unit(self) -> float:
        return self._plain.unit

    @property
    def key(self) -> object:
        """Names all rows of `window`; it is `before` at the next bar, unless a factor's past has changed."""
        return self.at, self._changes

    @property
    def is_whole(self) -> bool:
        """Whether every number of the window is known."""
        return bool(np.isfinite(self.window).all())

    def fill(self, frame: pd.DataFrame, beside: Mapping[str, Row] | None = None) -> None:
        """Begin with a candle frame of `look_back` bars; its last row is the newest bar, `beside` what `NewBar.peers` gives for it.

        Raises:
            FingerprintMismatch: a factor of the model is not at hand.
        """
        times = pd.DatetimeIndex(frame.index).as_unit("ns").asi8
        known = self._asked(times)
        self._plain.fill(frame, beside)
        self._times, self._known = times, known
        self._changes += 1
        self._show(self._anew())
        self.before = object()

    def prepare(self, coming: datetime) -> None:
        """As `FeatureRows.prepare`."""
        self._plain.prepare(coming)
        self._graph.prepare()

    def follow(self, bar: NewBar) -> None:
        """Take in the bar after the newest one. Raises as `fill`; then nothing was taken in."""
        times = np.append(self._times[1:], nanoseconds(bar.at))
        known, older = self._asked(times), self._known[1:]
        self._times, self._known = times, known
        seen = self.window[1:, self._places[1]]
        if known[:-1].tobytes() == older.tobytes():
            newest = self._graph.row(dict(zip(self._columns, known[-1].tolist(), strict=True)))
            made = np.concatenate([seen, np.array([newest], np.float32)])
        else:
            made = self._anew()
            self._changes += made[:-1].tobytes() != seen.tobytes()
        self.before = self.key
        self._plain.follow(bar)
        self._show(made)

    def _show(self, made: NDArray[np.float32]) -> None:
        plain, own = self._places
        self.window[:, plain] = self._plain.window
        self.window[:, own] = made

    def _anew(self) -> NDArray[np.float32]:
        """The features of factors in the rows of `window`, from all that is known of them."""
        rows = self._graph.fill({name: self._known[:, n] for n, name in enumerate(self._columns)}) if self._columns else self._known
        return rows[-len(self.window) :].astype(np.float32)

    def _asked(self, times: NDArray[np.int64]) -> NDArray[np.float64]:
        """What is known of the factors at the close of these bars: float64 [look_back, columns]."""
        found = self._facts(pd.DatetimeIndex(times, tz="UTC"))
        for name in self._made:
            if factor_of(name) not in found.columns:
                named(name).compute(_NO_BARS)  # raises the error that names the missing factor and how to fix it
        return found[list(self._columns)].to_numpy(dtype=np.float64)
