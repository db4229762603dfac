"""Forecasts corrected by their own outcomes: they come to cover what they say, know nothing of later bars, and can be stopped anywhere."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import Forecast
from forwardtrader.models.forecaster import NUMBERS, forecast_at, normal_frame
from forwardtrader.models.online.adaptation import (
    Adaptation,
    OnlineCorrector,
    Past,
    PlainForecast,
    Rates,
    adapt,
    corrected,
    learn,
    plain_forecast,
    step,
)
from tests.models.bars import simulated_bars

RATES = Rates(0.005, 0.5 ** (1 / 2000), 50.0)
HORIZON = 4
PLAIN = PlainForecast(0.001, 0.01, (-0.0154, -0.0057, 0.001, 0.0077, 0.0174), 0.54)


def past(
    n: int = 3000, *, spread: float = 1.0, slope: float = 1.0, seed: int = 0, holes: bool = False
) -> tuple[Past, pd.DataFrame, pd.DataFrame]:
    """Bars whose moves follow a known signal, and forecasts of them: `spread` times too wide, and `1 / slope` times too bold."""
    rng = np.random.default_rng(seed)
    signal = 0.003 * rng.standard_normal(n)
    moves = np.concatenate([[0.0], signal[:-1]]) + 0.01 * rng.standard_normal(n)
    close = 100 * np.exp(np.cumsum(moves))
    index = pd.date_range("2021-01-01", periods=n, freq="h", tz="UTC")
    candles = pd.DataFrame({"open": np.concatenate([[100.0], close[:-1]]), "close": close}, index=index)
    location = signal / slope
    scale = np.full(n, 0.01 * spread * math.sqrt(HORIZON))
    if holes:
        scale[:50] = np.nan
        scale[700:720] = np.nan
    frame = normal_frame(index, np.where(np.isnan(scale), np.nan, location), scale, "m")
    return Past(index, frame[list(NUMBERS)].to_numpy(), candles["open"].to_numpy(), close), frame, candles


def covered(told: Past, numbers: np.ndarray, first: int) -> float:
    log_close, log_open = np.log(told.close), np.log(told.opened)
    outcome = log_close[HORIZON:] - log_open[1 : len(log_close) - HORIZON + 1]
    inside = (numbers[:-HORIZON, 2] <= outcome) & (outcome <= numbers[:-HORIZON, 6])
    return float(inside[first:].mean())


@pytest.mark.parametrize("spread", [0.5, 0.8, 1.0, 1.5, 2.0])
def test_bands_come_to_cover_nine_in_ten_whatever_they_began_with(spread: float) -> None:
    told, _, _ = past(6000, spread=spread)
    numbers, _ = adapt(told, HORIZON, Rates(0.01, 0.999, 1e9))
    assert covered(told, numbers, 1000) == pytest.approx(0.9, abs=0.015)


@pytest.mark.parametrize("slope", [0.4, 1.0, 1.6])
def test_a_location_too_bold_or_too_timid_is_set_right(slope: float) -> None:
    told, _, _ = past(12000, slope=slope)
    _, state = adapt(told, HORIZON, Rates(0.0, 1.0, 20.0))
    assert state.slope(20.0) == pytest.approx(slope, abs=0.25)


def test_nothing_learned_changes_nothing_but_rounding() -> None:
    said = corrected(Adaptation(), PLAIN, RATES)
    assert said.location == PLAIN.location and said.p_up == pytest.approx(PLAIN.p_up, abs=1e-3)
    assert said.quantiles == pytest.approx(PLAIN.quantiles, rel=1e-12)


def test_rates_of_nothing_leave_forecasts_alone() -> None:
    told, _, _ = past(500)
    numbers, _ = adapt(told, HORIZON, Rates(0.0, 1.0, 1e18))
    np.testing.assert_allclose(numbers, told.numbers, rtol=1e-3, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(60, 999), st.booleans())
def test_later_bars_change_no_earlier_forecast(cut: int, holes: bool) -> None:
    told, _, _ = past(1000, spread=0.7, holes=holes)
    whole, _ = adapt(told, HORIZON, RATES)
    short, _ = adapt(Past(told.index[:cut], told.numbers[:cut], told.opened[:cut], told.close[:cut]), HORIZON, RATES)
    np.testing.assert_array_equal(short, whole[:cut])


def test_the_last_bar_is_learned_from_at_its_close_and_not_before() -> None:
    told, _, _ = past(400)
    bumped = told.close.copy()
    bumped[-1] *= 1.5
    before, after = adapt(told, HORIZON, RATES)[0], adapt(Past(told.index, told.numbers, told.opened, bumped), HORIZON, RATES)[0]
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert (before[-1] != after[-1]).any()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.booleans())
def test_stopped_anywhere_and_continued_it_is_the_same(cut: int, holes: bool) -> None:
    told, _, _ = past(1000, spread=0.7, holes=holes)
    whole, end = adapt(told, HORIZON, RATES)
    _, state = adapt(Past(told.index[:cut], told.numbers[:cut], told.opened[:cut], told.close[:cut]), HORIZON, RATES)
    for row in range(cut, 1000):
        state, said = step(
            state, plain_forecast(told.numbers[row].tolist()), float(told.opened[row]), float(told.close[row]), HORIZON, RATES
        )
        if said is not None:
            assert (said.location, said.scale, *said.quantiles, said.p_up) == tuple(whole[row])
    assert state.stretch == end.stretch and (state.xy, state.xx) == (end.xy, end.xx)


def test_bar_by_bar_gives_the_bits_of_all_at_once_even_after_bars_were_passed_over() -> None:
    told, frame, candles = past(600, spread=0.7, holes=True)
    whole, _ = adapt(told, HORIZON, RATES)
    asked = 0

    def before(at: pd.Timestamp) -> Past:
        nonlocal asked
        asked += 1
        row = int(told.index.searchsorted(at))
        return Past(told.index[:row], told.numbers[:row], told.opened[:row], told.close[:row])

    follower = OnlineCorrector(HORIZON, RATES, before)
    for row in [*range(100, 300), *range(310, 600)]:
        said = follower.correct(forecast_at(frame, row, HORIZON), candles.iloc[: row + 1])
        if said is not None:
            assert (said.location, said.scale, *said.quantiles, said.p_up) == tuple(whole[row])
            assert isinstance(said, Forecast) and said.model_id == "m"
    assert asked == 2


FLOATS = st.floats(-0.5, 0.5)


@given(st.lists(st.tuples(FLOATS, FLOATS), max_size=40))
def test_whatever_happens_quantiles_rise_and_numbers_are_finite(bars: list[tuple[float, float]]) -> None:
    state, price = Adaptation(), 100.0
    for gap, move in bars:
        opened = price * math.exp(gap)
        price = opened * math.exp(move)
        state, said = step(state, PLAIN, opened, price, HORIZON, Rates(0.3, 0.9, 0.0))
        assert said is not None
        assert list(said.quantiles) == sorted(said.quantiles)
        assert all(math.isfinite(x) for x in (said.location, said.scale, *said.quantiles, said.p_up))
        assert 0.0 <= said.p_up <= 1.0 and said.scale > 0.0
        assert len(state.waiting) <= HORIZON


@given(st.floats(-0.2, 0.2))
def test_an_outcome_beyond_a_band_widens_it_and_one_inside_narrows_it(outcome: float) -> None:
    after = learn(Adaptation(), PLAIN, outcome, RATES).stretch
    assert (after[0] > 0) == (outcome < PLAIN.quantiles[0])
    assert (after[4] > 0) == (outcome > PLAIN.quantiles[4])
    assert after[2] == 0.0


def test_coverage_holds_through_a_change_of_the_market() -> None:
    """Twice as wild from the middle on, and the model does not know: the plain band loses, the corrected one does not."""
    told, _, _ = past(8000)
    moves = np.diff(np.log(told.close), prepend=math.log(100)) * np.where(np.arange(8000) >= 4000, 2.0, 1.0)
    close = 100 * np.exp(np.cumsum(moves))
    wild = Past(told.index, told.numbers, np.concatenate([[100.0], close[:-1]]), close)
    numbers, _ = adapt(wild, HORIZON, Rates(0.01, 0.999, 1e9))
    assert covered(wild, wild.numbers, 4500) < 0.7
    assert covered(wild, numbers, 6000) == pytest.approx(0.9, abs=0.02)


def test_the_correction_of_simulated_bars_is_deterministic() -> None:
    bars = simulated_bars(400)
    frame = normal_frame(bars.index, np.zeros(400), np.full(400, 0.02), "m")
    one = Past(bars.index, frame[list(NUMBERS)].to_numpy(), bars["open"].to_numpy(), bars["close"].to_numpy())
    np.testing.assert_array_equal(adapt(one, HORIZON, RATES)[0], adapt(one, HORIZON, RATES)[0])
