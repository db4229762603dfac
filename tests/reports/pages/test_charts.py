from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forwardtrader.reports.pages import charts
from tests.reports import simulated


@given(arrays(np.float64, st.integers(1, 3000), elements=st.floats(-1e6, 1e6)), st.integers(10, 500))
def test_thinning_keeps_the_ends_the_highest_and_the_lowest(values: np.ndarray, limit: int) -> None:
    kept = charts.keep_extremes([values], limit)
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert values[kept].max() == values.max()
    assert values[kept].min() == values.min()
    assert len(kept) <= max(limit, 2) + 2
    assert (np.diff(kept) > 0).all()


def test_thinning_passes_over_gaps_and_leaves_short_lines_alone() -> None:
    gappy = np.where(np.arange(1000) % 3 == 0, np.nan, np.arange(1000.0))
    kept = charts.keep_extremes([gappy, np.full(1000, np.nan)], 100)
    assert np.nanmax(gappy[kept]) == 998
    assert charts.keep_extremes([gappy], 1000).tolist() == list(range(1000))
    assert charts.keep_extremes([], 10).tolist() == []


def test_numbers_and_times_survive_the_journey() -> None:
    index = pd.date_range("2022-01-01", periods=3, freq="h", tz="UTC")
    times = np.frombuffer(base64.b64decode(charts.packed_times(index)), dtype="<f8")
    assert times.tolist() == [1640995200000.0, 1640998800000.0, 1641002400000.0]
    assert np.frombuffer(base64.b64decode(charts.packed(np.array([1.5, np.nan]))), dtype="<f4")[0] == 1.5


def test_the_band_stands_at_the_bar_it_speaks_of() -> None:
    market = simulated.candles(50)
    rows = simulated.forecasts(market, "BTC/USDT", horizon=3)
    band = charts.forecast_band(rows, market["close"], 3)
    assert band["low"].iloc[:3].isna().all()
    expected = market["close"].iloc[10] * np.exp(rows["q05"].iloc[10])
    assert band["low"].iloc[13] == expected
    assert (band["low"] <= band["high"]).iloc[3:].all()


def test_marks_tell_side_price_and_reason() -> None:
    run = simulated.run(800)
    marks = charts.fill_marks(run.fills, "BTC/USDT")
    assert len(marks["time"]) == len(run.fills)
    assert marks["side"][0] == "buy"
    assert "edge" in marks["text"][0]
    assert charts.fill_marks(run.fills, "ETH/USDT")["time"] == []


def test_data_inside_a_script_cannot_end_it() -> None:
    text = charts.as_script({"a": "</script><!--\u2028"})
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == {"a": "</script><!--\u2028"}


def test_a_script_cut_short_is_replaced_and_runs_share_one_copy(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = charts.place_plotly(tmp_path / "a").stat().st_size
    (tmp_path / "b" / charts.PLOTLY).write_text("cut sho")
    assert charts.place_plotly(tmp_path / "b").stat().st_size == whole
    assert (tmp_path / "a" / charts.PLOTLY).samefile(tmp_path / "b" / charts.PLOTLY)


def test_pages_carry_a_script_that_draws_what_they_have_and_little_else() -> None:
    text = charts.bundle().read_text(encoding="utf-8")
    assert text.startswith("/**") and "MIT license" in text[:200]
    assert all(f'"{kind}"' in text for kind in ("scatter", "bar", "candlestick"))
    assert len(text) < 1_500_000  # the whole library is 4.8 MB, most of the time until the first chart
    assert charts.bundle().with_name("plotly-LICENSE").is_file()


def test_a_disk_without_links_gets_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "a").mkdir()
    assert charts.place_plotly(tmp_path / "a").stat().st_nlink == 1
