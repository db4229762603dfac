"""One bar in plain floats has the bits of the whole history in arrays."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.models.forecasters.calibration import Calibration
from forwardtrader.models.forecasters.one_forecast import one_forecast
from forwardtrader.models.forecasters.quantiles import told

AT = datetime(2024, 1, 1, tzinfo=UTC)
numbers = st.floats(-4, 4, width=32)
stretches = st.tuples(*[st.floats(0.5, 2.0)] * 5)
weights = st.floats(0, 1)


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    composed = draw(st.booleans())
    return Calibration(
        stretch=draw(stretches), odds=draw(st.floats(0, 10)), shrink=draw(weights),
        carry=draw(weights) if composed else 0.0, trend=draw(weights) if composed else 0.0,
    )  # fmt: skip


@given(
    st.lists(numbers, min_size=12, max_size=12), st.tuples(calibrations(), calibrations()), st.floats(1e-6, 0.2), st.floats(-3, 3),
    st.sampled_from([(1, 4), (1, 24)]), st.sampled_from([0, 1]),
)  # fmt: skip
def test_one_bar_in_floats_has_the_bits_of_arrays(
    raw: list[float], both: tuple[Calibration, Calibration], unit: float, trend: float, horizons: tuple[int, int], h: int
) -> None:
    said = np.array(raw, np.float32).reshape(2, 6)
    expected = told(said[None], h, horizons, np.array([unit]), np.array([trend]), both)
    found = one_forecast(said, horizons[h], horizons, unit, trend, both, at=AT, model_id="m")
    assert found is not None
    assert (found.location, found.scale, found.p_up) == (expected.location[0], expected.scale[0], expected.p_up[0])
    assert found.quantiles == tuple(expected.quantiles[0])
    assert (found.at, found.horizon, found.model_id) == (AT, horizons[h], "m")


def test_a_network_that_gives_no_number_gives_no_forecast() -> None:
    said = np.full((2, 6), np.nan, np.float32)
    assert one_forecast(said, 1, (1, 4), 0.01, 0.0, (Calibration(), Calibration()), at=AT, model_id="m") is None


def test_a_trend_that_is_not_known_is_missed_only_where_it_is_needed() -> None:
    said, both = np.arange(12, dtype=np.float32).reshape(2, 6), (Calibration(), Calibration(trend=0.1, shrink=0.0))
    assert one_forecast(said, 1, (1, 24), 0.01, float("nan"), both, at=AT, model_id="m") is not None
    assert one_forecast(said, 24, (1, 24), 0.01, float("nan"), both, at=AT, model_id="m") is None
