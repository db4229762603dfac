"""The files of a session's folder: candles as one table and back, and a page that cannot be drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.feeds.candles import schema as candles
from forwardtrader.live.output.files import long_table, render_page, split_table


def test_candles_of_several_symbols_are_one_table_and_come_back_as_they_were() -> None:
    frames = {s: candles.from_arrays(np.arange(3) * 3_600_000, *(np.full(3, float(n)) for _ in range(5))) for n, s in enumerate("AB")}
    table = long_table(frames)
    assert list(table.columns) == ["timestamp", "open", "high", "low", "close", "volume", "symbol"]
    assert len(table) == 6
    back = split_table(table)
    assert list(back) == ["A", "B"]
    for symbol, frame in frames.items():
        pd.testing.assert_frame_equal(back[symbol], frame, check_names=False, check_freq=False)
    assert len(long_table({})) == 0


def test_a_page_that_cannot_be_drawn_ends_nothing_and_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    render_page(tmp_path)
    assert [record.message for record in caplog.records] == ["page not written"]
