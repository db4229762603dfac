"""A feature and forecasters of a user's own, for the tests of this folder."""

from __future__ import annotations

from typing import Self

import numpy as np

import forwardtrader as ft
from forwardtrader.models.features.rolling import Series
from forwardtrader.models.port.base_forecaster import Answer
from tests.models.own_forecasters import Ridge, Spread


@ft.feature(warm_up=1)
def last_digits(bars: ft.Bars) -> Series:
    """The last digits of a price, which say nothing."""
    return np.sin(bars.close * 1e4)


class Quick(Ridge):
    """Asked about many rows at a time."""

    rows_per_call = 256


class Single(Quick):
    """It reads one feature."""

    def fit(self, panel: ft.SamplePanel) -> Self:
        self.weight_ = float(panel.column("volume_now") @ panel.y) / len(panel)
        return self

    def update(self, panel: ft.SamplePanel) -> Self:
        return self.fit(panel)

    def predict(self, panel: ft.SamplePanel) -> Answer:
        return np.float32(self.weight_) * panel.column("volume_now")


class Blind(Spread):
    rows_per_call = 256
