"""The newest rows of a model's features, kept up bar by bar: a new bar costs one row, whatever the features look back over."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import OHLCV
from forwardtrader.models.features.catalogue import Bars, named
from forwardtrader.models.features.incremental_graph import Recipe
from forwardtrader.models.features.sequences import unit
from forwardtrader.models.forecaster import NewBar

_INPUTS: Final = ("times", *OHLCV)


class FeatureRows:
    """Bit for bit the last rows of `models.features.catalogue.matrix` and `models.features.sequences.unit` of all bars so far.

    Args:
        names: of the catalogue; those of factors are kept up by `models.features.incremental_factors`.
        rows: how many of the newest rows `window` holds.
        horizon: of `unit`, in bars.

    Attributes:
        at: open time of the newest bar; None before `fill`.
        window: float32 [rows, F], the newest row last.
        unit: of the newest bar.
        before: names the rows of `window` before the newest one: equal names, equal rows.
    """

    def __init__(self, names: tuple[str, ...], rows: int, horizon: int) -> None:
        self.names = names
        self.at: datetime | None = None
        self.window: NDArray[np.float32] = np.full((rows, len(names)), np.nan, np.float32)
        self.unit = float("nan")
        self.before: object = None
        self._recipe = Recipe()
        bars = Bars(**self._recipe.inputs(_INPUTS))  # type: ignore[arg-type]  # coming series stand in for those of numbers
        self._recipe.keep([*(named(name).compute(bars) for name in names), unit(bars, horizon)])  # type: ignore[list-item]

    @property
    def key(self) -> object:
        """Names all rows of `window`; it is `before` at the next bar."""
        return self.at

    @property
    def is_whole(self) -> bool:
        """Whether every number of the window is known."""
        return bool(np.isfinite(self.window).all())

    def fill(self, frame: pd.DataFrame) -> None:
        """Begin with a candle frame of as many bars as the features and the window look back over; its last row is the newest bar."""
        bars = Bars.of(frame)
        told = self._recipe.fill({name: getattr(bars, name) for name in _INPUTS})
        self.window[:] = told[-len(self.window) :, :-1]
        self.unit = float(told[-1, -1])
        self.at, self.before = frame.index[-1].to_pydatetime(), object()

    def prepare(self, coming: datetime) -> None:
        """Do ahead of time what the next bar does not decide; it is expected to open at `coming`."""
        self._recipe.prepare(nanoseconds(coming))

    def follow(self, bar: NewBar) -> None:
        """Take in the bar after the newest one."""
        told = self._recipe.row(
            {
                "times": nanoseconds(bar.at), "open": bar.open, "high": bar.high, "low": bar.low, "close": bar.close,
                "volume": bar.volume,
            }
        )  # fmt: skip
        self.window[:-1] = self.window[1:]
        self.window[-1] = told[:-1]
        self.unit = told[-1]
        self.at, self.before = bar.at, self.at


def nanoseconds(at: datetime) -> int:
    """UTC nanoseconds of a bar-open time, as `Bars.times` has them."""
    return round(at.timestamp() * 1000) * 1_000_000
