"""What the benchmarks compute beside what they measure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.ablation import Found, Kept
from benchmarks.latency import measure_appends
from benchmarks.latency_many import last_of_each
from benchmarks.regime_change import bars_until, changed_market, shuffled_market
from benchmarks.scale import ScaleCosts, paper
from benchmarks.scaling.growth import exponent
from benchmarks.scaling.million import MINUTE, drawn
from benchmarks.scaling.retrains import growth
from benchmarks.training.case import huber
from benchmarks.training.rivals import cut_windows
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.history.sample_market import sample_candles


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


def test_a_bar_of_many_symbols_is_over_with_the_last_of_its_orders() -> None:
    starts, ends = [1_000_000, 5_000_000, 9_000_000], [1_500_000, 2_000_000, 2_000_001, 9_100_000]
    taken, orders = last_of_each(starts, ends)
    np.testing.assert_allclose(taken, [1.000001, 0.1])
    assert orders.tolist() == [3, 1]


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


def test_what_a_market_came_to_is_read_as_it_was_kept(tmp_path: Path) -> None:
    days = pd.date_range("2020-01-01", periods=9, tz="UTC")
    found = {
        name: Found(pd.Series(np.arange(9.0) + n, days), 0.9, 0.88, pd.Series(np.arange(9.0) - n, days), 12.5)
        for n, name in enumerate("ab")
    }
    kept = Kept(tmp_path / "kept", "terms")
    assert kept.read("seed 0") == {}
    kept.write("seed 0", found)
    again = kept.read("seed 0")
    assert list(again) == ["a", "b"]
    for name, each in again.items():
        pd.testing.assert_series_equal(each.losses, found[name].losses, check_freq=False, check_index_type=False)
        pd.testing.assert_series_equal(each.returns, found[name].returns, check_freq=False, check_index_type=False)
        assert (each.coverage, each.worst, each.turnover) == (0.9, 0.88, 12.5)
    assert Kept(tmp_path / "kept", "other terms").read("seed 0") == {}
    assert Kept(None, "terms").read("seed 0") == {}


def test_the_returns_of_a_changed_market_turn_at_the_change() -> None:
    change = pd.Timestamp("2019-07-01", tz="UTC")
    bars = changed_market(3, change, datetime(2020, 1, 1, tzinfo=UTC))
    moves = np.log(bars["close"]).diff().rank()
    for part, sign in ((moves.loc[:change], -1), (moves.loc[change:], 1)):
        assert sign * part.corr(part.shift()) > 0.3
    assert (bars["high"] >= bars[["open", "close"]].max(axis=1)).all() and (bars["low"] <= bars[["open", "close"]].min(axis=1)).all()


def test_a_market_of_random_signs_moves_as_far_as_before_and_cannot_be_forecast() -> None:
    until = datetime(2020, 1, 1, tzinfo=UTC)
    bars, base = shuffled_market(3, until), sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=3, until=until)
    moves, before = (np.log(each["close"]).diff().dropna() for each in (bars, base))
    np.testing.assert_allclose(moves.abs(), before.abs(), atol=1e-9)
    assert abs(moves.rank().corr(moves.shift().rank())) < 0.03


def test_forecasts_are_as_good_again_in_the_first_week_that_loses_no_more_than_a_tenth_more() -> None:
    hours = pd.date_range("2020-01-01", periods=1000, freq="h", tz="UTC")
    best = pd.Series(0.2, hours)
    assert bars_until(best, best) == 0.0
    late = best.where(hours >= hours[400], 0.4)
    assert bars_until(late, best) == 400 - 16  # 16 bars of a week may lose twice as much
    assert bars_until(2.0 * best, best) == 1000.0
