"""Past its reach a network lends its last word and the spread; the trend does the rest."""

from __future__ import annotations

import numpy as np
import pytest

from forwardtrader.core.settings import ModelSettings
from forwardtrader.models.features.catalogue import Bars
from forwardtrader.models.forecasters.quantiles import beyond, centre, look_back, told, trend, untrained
from tests.models.bars import simulated_bars

SETTINGS = ModelSettings(horizons=(1, 4, 24), shrink=0.5, trees=0.0, carry=2.0, trend=0.05)
RAW = np.random.default_rng(1).normal(size=(50, 3, 6)).astype(np.float32)
TRENDS = np.linspace(-3.0, 3.0, 50)


def test_only_what_lies_past_the_reach_of_a_network_with_a_nearer_word_is_composed() -> None:
    assert beyond((1, 4, 24, 168)) == [24, 168]
    assert beyond((24,)) == []


def test_within_reach_the_centre_is_the_network_s_own_shrunk() -> None:
    known = untrained(SETTINGS)
    np.testing.assert_allclose(centre(RAW[:, :, 0], 0, SETTINGS.horizons, TRENDS, known), 0.5 * RAW[:, 0, 0])


def test_of_the_trees_share_all_is_believed_and_only_at_the_first_horizon() -> None:
    first, second, _ = untrained(SETTINGS.model_copy(update={"trees": 0.4}))
    assert first.shrink == pytest.approx(0.6 * 0.5 + 0.4)
    assert second.shrink == untrained(SETTINGS)[1].shrink


def test_past_it_the_last_word_is_carried_in_plain_returns_and_the_trend_added() -> None:
    known = untrained(SETTINGS)
    four, day = (told(RAW, h, SETTINGS.horizons, np.full(50, 0.01 * n**0.5), TRENDS, known) for h, n in ((1, 4), (2, 24)))
    np.testing.assert_allclose(day.location, 2.0 * four.location + 0.05 * TRENDS * 0.01 * 24**0.5, rtol=1e-6)
    np.testing.assert_allclose(day.quantiles[:, 2], day.location, rtol=1e-6)
    assert ((day.p_up > 0.5) == (day.location > 0)).all()


def test_the_trend_points_where_prices_went_and_warms_up_in_what_is_declared() -> None:
    frame = simulated_bars(700)
    rising = frame.copy()
    rising[["open", "high", "low", "close"]] *= np.exp(0.0005 * np.arange(700))[:, None]
    assert trend(Bars.of(rising))[-1] > trend(Bars.of(frame))[-1]
    need = look_back(("return_1_ago",), (1, 24))
    known = np.isfinite(trend(Bars.of(frame)))
    assert not known[: need - 1].any()
    assert known[need - 1 :].all()


@pytest.mark.parametrize("end", [505, 600, 700])
def test_a_buffer_gives_the_bits_of_the_whole_history(end: int) -> None:
    frame = simulated_bars(700)
    assert trend(Bars.of(frame.iloc[end - 505 : end]))[-1] == trend(Bars.of(frame))[end - 1]
