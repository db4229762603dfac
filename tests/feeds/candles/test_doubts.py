"""What looks wrong in possible candles is told in one line; sound candles raise no doubt."""

from __future__ import annotations

import pandas as pd

from forwardtrader.feeds.candles.doubts import doubts
from tests.feeds.files.shapes.shape import DAYS, HOURS
from tests.feeds.made_candles import DAY, HOUR

PRICES = ["open", "high", "low", "close"]


def changed(rows: slice, factor: float, columns: list[str] | None = None) -> pd.DataFrame:
    frame = HOURS.copy()
    frame.loc[frame.index[rows], columns or PRICES] *= factor
    return frame


def test_sound_candles_raise_no_doubt() -> None:
    assert doubts(HOURS, HOUR) == doubts(DAYS, DAY) == ()


def test_a_bar_far_off_its_neighbours_is_told() -> None:
    for factor in (100.0, 0.01, 1000.0):
        told = doubts(changed(slice(40, 41), factor), HOUR)
        assert len(told) == 1
        assert told[0].startswith("1 bar far off both neighbours, first 2024-03-02 16:00")
    assert "far off" in doubts(changed(slice(40, 41), 10.0, ["high"]), HOUR)[0]


def test_a_leap_that_lasts_is_told_as_a_split() -> None:
    assert doubts(changed(slice(0, 100), 4.0), HOUR) == (
        "prices are 4 times lower from 2024-03-05 04:00 on (1 such leap): a split that is not adjusted for?",
    )
    assert "times higher" in doubts(changed(slice(0, 100), 0.5), HOUR)[0]


def test_a_stretch_that_stands_still_is_told() -> None:
    frame = HOURS.copy()
    frame.loc[frame.index[50:80], PRICES] = 151.0
    assert doubts(frame, HOUR) == ("30 bars from 2024-03-03 02:00 stand still at 151 (1 such stretch); kept as they are",)
    assert doubts(frame.iloc[45:58], HOUR) == ()
