"""Candles are had back from the features that were made of them, with their times."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.models.features.catalogue import named
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.features.selection import chosen
from forwardtrader.models.forecasters.pretrained.candle_features import CHOSEN, NAMES, Candles, calendar
from forwardtrader.models.port.sample_panel import SamplePanel
from tests.models.bars import simulated_bars

HOUR = Timeframe.parse("1h")
FRAME = simulated_bars(24 * 20)


def panel() -> SamplePanel:
    made = Panel.of({"A/USD": FRAME}, (1, 4), chosen(CHOSEN, (), HOUR), HOUR)
    return SamplePanel(
        features=made.features, targets=made.targets, rows=np.array([300, 401]), symbol_of=np.zeros(len(FRAME), np.int64), look_back=50,
        names=NAMES, horizons=(1, 4), symbols=("A/USD",), timeframe_s=3600,
    )  # fmt: skip


def test_candles_come_back_in_units_of_the_last_close() -> None:
    found, columns = Candles(panel(), 50), ["open", "high", "low", "close"]
    for n, row in enumerate((300, 401)):
        window = FRAME.iloc[row - 49 : row + 1]
        prices = window[columns].to_numpy() / window["close"].iloc[-1]
        np.testing.assert_allclose(found.values[n, :, :4], prices, rtol=2e-6)
        np.testing.assert_allclose(found.values[n, :, 4], window["volume"], rtol=1e-6)
        np.testing.assert_allclose(found.values[n, :, 5], window["volume"] * prices.mean(axis=1), rtol=1e-5)
        assert list(pd.DatetimeIndex(found.minutes[n].astype("datetime64[m]"))) == list(window.index.tz_localize(None))
        returns = np.log(FRAME["close"]).diff().iloc[row - 167 : row + 1]
        np.testing.assert_allclose(found.unit[n], np.sqrt((returns**2).mean()), rtol=1e-4)


def test_the_calendar_is_that_of_pandas() -> None:
    index = pd.date_range("1999-12-30 22:45", periods=4000, freq="397min")
    minutes = index.to_numpy().astype("datetime64[m]").astype(np.int64)
    wanted = np.stack([index.minute, index.hour, index.day_of_week, index.day, index.month], axis=1)
    assert np.array_equal(calendar(minutes), wanted)


def test_they_are_features_as_any_others() -> None:
    assert [named(name).warm_up for name in chosen(CHOSEN, (), HOUR)] == [2, 2, 2, 2, 1, 169, 1, 1]
