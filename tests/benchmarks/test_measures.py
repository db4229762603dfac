"""What the benchmarks compute beside what they measure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.latency import measure_appends
from benchmarks.scale import ScaleCosts, paper
from benchmarks.scaling.growth import exponent
from benchmarks.scaling.million import MINUTE, drawn
from benchmarks.scaling.retrains import growth
from benchmarks.training.case import huber
from benchmarks.training.rivals import cut_windows
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Origin


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_an_exponent_is_found_beneath_a_fixed_cost(power: float) -> None:
    sizes = [1, 2, 4, 8, 16]
    assert exponent(sizes, [7 + 2 * n**power for n in sizes], constant=True) == pytest.approx(power, abs=0.02)
    assert exponent(sizes, [2 * n**power for n in sizes], constant=False) == pytest.approx(power)


def test_a_long_market_is_drawn_as_valid_candles_whose_blocks_join() -> None:
    close = 50_000 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.001, 5000)))
    opened = np.concatenate([[50_000.0], close[:-1]])
    columns = {"open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close, "volume": 1.0}
    minutes = pd.DataFrame(columns)
    long = drawn(minutes, 10_000, seed=0)
    assert len(candles.validate(long, MINUTE, origin=Origin("drawn"))) == 10_000
    moves = np.abs(np.diff(np.log(long["close"])))
    assert moves.max() <= np.abs(np.diff(np.log(minutes["close"]))).max() * 1.01


def test_every_append_to_the_journal_is_measured() -> None:
    taken = measure_appends(7)
    assert len(taken) == 7
    assert (taken > 0).all()


def test_a_window_ends_with_its_own_row() -> None:
    features = np.arange(20, dtype=np.float32).reshape(10, 2)
    windows = cut_windows(features, np.array([3, 9]), 4)
    np.testing.assert_array_equal(windows[0], features[0:4])
    np.testing.assert_array_equal(windows[1], features[6:10])


def test_the_loss_is_half_the_square_near_zero_and_straight_beyond() -> None:
    said, came = np.zeros(3, np.float32), np.array([0.5, 1.0, 3.0])
    np.testing.assert_allclose(huber(said, came, 1.0), [0.125, 0.5, 2.5])


def test_memory_that_climbs_is_seen() -> None:
    assert growth([500.0] * 100) == 0.0
    assert growth([500.0 + n for n in range(500)]) > 0.8


def test_on_paper_more_machines_compute_faster_and_send_more() -> None:
    rows = [line.split("|") for line in paper(ScaleCosts(1.0, 0.2, 0.001, 10_000_000, 300_000), 48).splitlines() if line.startswith("| ")][
        1:
    ]
    computing, sending = [float(row[3]) for row in rows], [float(row[4]) for row in rows]
    assert computing[0] == pytest.approx((100 * 48 * 1.0 + 100 * 1000 * 0.2) / 16 / 60, abs=0.1)
    assert computing == sorted(computing, reverse=True)
    assert sending == sorted(sending)
