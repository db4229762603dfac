"""A feature and forecasters of a user's own, for the tests of this folder."""

from __future__ import annotations

import threading
from typing import Self

import numpy as np

import forwardtrader as ft
from forwardtrader.models.features.rolling import Series
from forwardtrader.models.port.base_forecaster import Answer
from tests import PATIENCE_S
from tests.models.own_forecasters import Ridge, Spread


@ft.feature(warm_up=1)
def last_digits(bars: ft.Bars) -> Series:
    """The last digits of a price, which say nothing."""
    return np.sin(bars.close * 1e4)


class Quick(Ridge):
    """Asked about many rows at a time."""

    rows_per_call = 256


class Threaded(Quick):
    """Where a meeting is called, each of its threads waits at its first forecast until all are there."""

    runs_in_threads = True
    meeting: threading.Barrier | None = None
    came: set[int] = set()  # noqa: RUF012 - of the test's process

    def predict(self, panel: ft.SamplePanel) -> Answer:
        if self.meeting is not None and threading.get_ident() not in self.came:
            self.came.add(threading.get_ident())
            self.meeting.wait(timeout=PATIENCE_S)
        return super().predict(panel)


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
