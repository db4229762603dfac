"""Finer candles against the bars that they make up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.inside import InsideCandles, inside_candles, made_up
from tests.strategies.detail.market import fine_candles, hourly

HOUR, STEP = Timeframe.parse("1h"), Timeframe.parse("10m")
FINE = fine_candles(8, 6, 1)
FINE.loc[FINE.index[13], "volume"] = 0.0
BARS = hourly(FINE)


def held(finer: pd.DataFrame, bars: pd.DataFrame = BARS) -> InsideCandles:
    return inside_candles(bars, HOUR, finer, STEP)


def test_finer_candles_that_make_up_their_bars_are_all_kept() -> None:
    inside = held(FINE)
    pd.testing.assert_frame_equal(inside.candles, FINE, check_freq=False, check_names=False)
    assert inside.bar.tolist() == [hour for hour in range(8) for _ in range(6)]
    assert (inside.missing, inside.disagreeing, inside.fault) == (0, 0, "")


def test_a_bar_without_its_finer_candles_lacks_them_and_so_does_one_whose_volume_they_do_not_reach() -> None:
    lacking = FINE.drop(FINE.index[[*range(6, 12), 20]])
    inside = held(lacking)
    assert (inside.missing, inside.disagreeing) == (2, 0)
    assert sorted(set(inside.bar.tolist())) == [0, 2, 4, 5, 6, 7]


def test_a_finer_candle_may_be_missing_in_which_nothing_was_traded() -> None:
    inside = held(FINE.drop(FINE.index[13]))
    assert (inside.missing, len(inside.candles)) == (0, 47)
    unknown = held(FINE.drop(FINE.index[13]).assign(volume=0.0), BARS.assign(volume=0.0))
    assert (unknown.missing, len(unknown.candles)) == (1, 42)  # where volumes are not known, who knows


@pytest.mark.parametrize(("column", "row"), [("open", 0), ("high", 3), ("low", 2), ("close", 5), ("volume", 1)])
def test_a_bar_that_is_not_what_its_finer_candles_make_up_disagrees(column: str, row: int) -> None:
    other, hour = FINE.copy(), 4
    at = {"high": FINE["high"].iloc[24:30].idxmax(), "low": FINE["low"].iloc[24:30].idxmin()}.get(column, FINE.index[24 + row])
    other.loc[at, column] *= 0.5 if column == "low" else 1.5
    inside = held(other)
    assert (inside.missing, inside.disagreeing) == (0, 1)
    assert hour not in inside.bar
    assert inside.fault.startswith(f"that of {BARS.index[hour]:%Y-%m-%d %H:%M} has a ")


def test_prices_read_to_another_last_digit_are_the_same_and_kept_within_the_bar() -> None:
    inside = held(FINE.assign(**{name: FINE[name] * (1 + 2e-10) for name in ("open", "high", "low", "close")}))
    assert (inside.missing, inside.disagreeing) == (0, 0)
    joined = hourly(inside.candles)
    for name in ("open", "high", "low", "close"):
        assert joined[name].to_list() == BARS[name].to_list()


def test_volumes_that_one_side_does_not_know_are_not_compared() -> None:
    assert held(FINE.assign(volume=0.0)).disagreeing == held(FINE, BARS.assign(volume=np.nan)).disagreeing == 0


def test_finer_candles_outside_of_all_bars_are_left_out() -> None:
    inside = held(FINE, BARS.iloc[[2, 5]])
    assert inside.candles.index.floor("1h").unique().to_list() == [BARS.index[2], BARS.index[5]]
    assert inside.bar.tolist() == [0] * 6 + [1] * 6


def test_none_at_all_make_up_nothing() -> None:
    inside = held(FINE.iloc[:0])
    assert (len(inside.candles), inside.missing, inside.disagreeing) == (0, 8, 0)


def test_rows_are_made_up_by_their_own_finer_ones_only() -> None:
    bars = BARS.copy()
    bars.loc[bars.index[3], "high"] *= 2
    assert made_up(FINE, held(FINE).bar, bars).tolist() == [True, True, True, False, True, True, True, True]
