"""An adjusted close is found under any of its names, and all prices follow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import read_file
from tests.feeds.files.shapes.shape import DAYS

NAMES = [
    "Adj Close", "adj_close", "adjClose", "adjusted_close", "Adj. Close", "5. adjusted close", "Adj Close**", "closeadj", "Close (adj)",
    "adjustedClose", "Close_Adjusted", "Adj Close Price", "split_adjusted_close", "PX_LAST_ADJ", "Bereinigter Schlusskurs", "adjusted",
    "adj_c",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_prices_are_scaled_and_volumes_inversely(name: str, tmp_path: Path) -> None:
    DAYS.assign(**{name: np.round(DAYS["close"] / 4, 6)}).to_csv(tmp_path / "x.csv")
    found = read_file(tmp_path / "x.csv", "IBM", Timeframe.parse("1d"), SystemClock())
    assert found.candles["close"].tolist() == np.round(DAYS["close"] / 4, 6).tolist()
    np.testing.assert_allclose(found.candles["high"], DAYS["high"] / 4, rtol=1e-6)
    np.testing.assert_allclose(found.candles["volume"], DAYS["volume"] * 4, rtol=1e-6)
    assert "prices are adjusted by the adjusted close in 60 of 60 bars, volumes inversely" in found.notes


@pytest.mark.parametrize("name", ["adj_factor", "adjusted_volume", "adjustment", "Dividends", "Stock Splits"])
def test_other_columns_are_no_adjusted_close(name: str, tmp_path: Path) -> None:
    DAYS.assign(**{name: 0.5}).to_csv(tmp_path / "x.csv")
    assert read_file(tmp_path / "x.csv", "IBM", Timeframe.parse("1d"), SystemClock()).candles["close"].tolist() == DAYS["close"].tolist()
