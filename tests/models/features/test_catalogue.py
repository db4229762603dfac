"""Every feature of the catalogue: causal to the bit, with the warm-up it declares, whatever the market does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.catalogue import FEATURES, matrix, warm_up
from forwardtrader.models.features.time_series.catalogue import TIME_SERIES
from tests.models.bars import simulated_bars
from tests.real_data import real_candles

BARS = simulated_bars(900)
ALL = FEATURES | TIME_SERIES
LONGEST = warm_up(tuple(ALL))


def values(name: str, frame: pd.DataFrame) -> np.ndarray:
    return ALL[name].compute(Bars.of(frame))


def test_there_are_between_25_and_40_features() -> None:
    assert 25 <= len(FEATURES) <= 40


@pytest.mark.parametrize("name", ALL)
def test_a_feature_warms_up_in_exactly_the_bars_it_declares(name: str) -> None:
    finite = np.isfinite(values(name, BARS))
    need = ALL[name].warm_up
    assert not finite[: need - 1].any()
    assert finite[need - 1 :].all()


@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
@pytest.mark.parametrize("name", ALL)
def test_a_feature_never_sees_the_future(name: str, field: str) -> None:
    later = BARS.copy()
    later.iloc[-1, later.columns.get_loc(field)] *= 1.5
    np.testing.assert_array_equal(values(name, BARS)[:-1], values(name, later)[:-1])


def test_the_bump_of_the_last_bar_is_seen_by_the_last_row() -> None:
    later = BARS.copy()
    later.iloc[-1, later.columns.get_loc("close")] *= 1.01
    names = tuple(FEATURES)
    assert (matrix(Bars.of(BARS), names)[-1] != matrix(Bars.of(later), names)[-1]).sum() > 20


@pytest.mark.parametrize("name", ALL)
def test_a_buffer_of_the_declared_length_gives_the_bits_of_the_whole_history(name: str) -> None:
    need = ALL[name].warm_up
    whole = values(name, BARS)
    for end in (need, need + 37, 777, len(BARS)):
        assert values(name, BARS.iloc[end - need : end])[-1] == whole[end - 1]


@pytest.mark.parametrize("name", ALL)
def test_a_market_that_stands_still_gives_finite_numbers(name: str) -> None:
    still = BARS.copy()
    still.iloc[300:, :4] = float(still["close"].iloc[299])
    still.iloc[300:, 4] = 0.0
    assert np.isfinite(values(name, still)[LONGEST:]).all()


def test_features_stay_of_order_one_on_real_candles() -> None:
    frame = pd.read_csv(real_candles("binance_spot_BTCUSDT_1h.csv.gz"), parse_dates=["timestamp"]).set_index("timestamp")
    x = matrix(Bars.of(frame), tuple(ALL))[LONGEST:]
    assert np.isfinite(x).all()
    assert (x.std(axis=0) < 3).all()
    assert np.abs(x.mean(axis=0)).max() < 2


def test_features_of_the_ta_package_agree_with_it() -> None:
    from ta.momentum import stoch

    expected = stoch(BARS["high"], BARS["low"], BARS["close"], window=14, smooth_window=1).to_numpy() / 50 - 1
    np.testing.assert_allclose(values("stochastic_14", BARS)[13:], expected[13:], atol=1e-9)
