"""What is not known of a perpetual has a stated stand-in, and is counted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.perpetuals.facts import completed, require_marks_of
from forwardtrader.feeds.perpetuals.funding import rates
from tests.feeds.made_candles import HOUR, made

CANDLES = made(100)


def test_unknown_funding_is_the_prior_and_unknown_marks_are_the_last_price() -> None:
    found = completed(CANDLES, HOUR, None, None, hours=8, prior=1e-4)
    assert found.unknown_marks == 100
    pd.testing.assert_frame_equal(found.marks, CANDLES[["open", "high", "low", "close"]])
    assert found.prior_settlements == len(found.funding) == 13
    assert set(found.funding) == {1e-4}
    assert "funding is unknown at 13 of 13 settlements; a prior of 1 bp each" in found.notes[0]
    assert "the mark price is unknown at 100 of 100 bars" in found.notes[1]


def test_a_settlement_that_is_missing_among_others_is_filled_and_counted() -> None:
    times = pd.date_range(CANDLES.index[0], periods=12, freq="8h")
    found = completed(CANDLES, HOUR, CANDLES, rates(times.delete(5), [2e-4] * 11), hours=8, prior=1e-4)
    assert (found.prior_settlements, found.unknown_marks) == (2, 0)  # the sixth, and the last day's
    assert found.funding[times[5]] == 1e-4


@pytest.mark.parametrize(("hours", "every"), [(1, 1), (4, 4), (8, 4), (8, 1), (1, 8)])
def test_settlements_at_other_intervals_are_taken_as_they_are(hours: int, every: int) -> None:
    times = pd.date_range(CANDLES.index[0], CANDLES.index[-1], freq=f"{every}h")
    found = completed(CANDLES, HOUR, CANDLES, rates(times, np.full(len(times), 3e-5)), hours=hours, prior=1e-4)
    assert found.prior_settlements == 0
    assert len(found.funding) == len(times)


@pytest.mark.parametrize("every", [1, 4, 8])
def test_a_hole_is_seen_at_any_interval_and_each_settlement_in_it_has_its_share(every: int) -> None:
    times = pd.date_range(CANDLES.index[0], CANDLES.index[-1], freq=f"{every}h")
    hole = slice(len(times) // 2, len(times) // 2 + 3)
    found = completed(CANDLES, HOUR, CANDLES, rates(times.delete(hole), np.full(len(times) - 3, 3e-5)), hours=8, prior=8e-4)
    assert found.prior_settlements == 3
    assert found.funding.index.equals(times)
    assert set(found.funding[times[hole]]) == {every * 1e-4}


@given(st.lists(st.sampled_from([1, 2, 4, 8]), min_size=1, max_size=4), st.sampled_from([1, 4, 8]))
def test_a_venue_that_changes_its_interval_lacks_nothing(intervals: list[int], hours: int) -> None:
    steps = [every for every in intervals for _ in range(6)]
    times = CANDLES.index[0] + pd.to_timedelta(np.cumsum([0, *steps]), unit="h")
    bars = made(sum(steps) + 1)
    found = completed(bars, HOUR, bars, rates(times, np.full(len(times), 3e-5)), hours=hours, prior=1e-4)
    assert found.prior_settlements == 0
    assert len(found.funding) == len(times)


def test_the_prior_of_a_shorter_interval_is_a_smaller_share() -> None:
    assert set(completed(CANDLES, HOUR, None, None, hours=1, prior=8e-4).funding) == {1e-4}


@pytest.mark.parametrize("factor", [0.001, 0.5, 2.0, 1000.0])
def test_marks_of_another_contract_or_unit_are_refused(factor: float) -> None:
    with pytest.raises(CandleFileInvalid, match=f"of A/USDT:USDT from file m.csv is {factor:.4g} times its last price"):
        require_marks_of(CANDLES, CANDLES * factor, "A/USDT:USDT", "file m.csv")


def test_marks_that_are_far_off_for_a_while_or_of_other_days_are_taken() -> None:
    crash = CANDLES * np.where(np.arange(100) % 3, 1.001, 1.4)[:, None]
    require_marks_of(CANDLES, crash, "A/USDT:USDT", "")
    require_marks_of(CANDLES, (CANDLES * 9.0).shift(freq="900D"), "A/USDT:USDT", "")
    require_marks_of(CANDLES, None, "A/USDT:USDT", "")


def test_a_mark_bar_that_lacks_a_price_has_the_last_one() -> None:
    marks = CANDLES * 1.001
    marks.iloc[7, 1] = np.nan
    found = completed(CANDLES, HOUR, marks.drop(marks.index[9]), None, hours=8, prior=0.0)
    assert found.unknown_marks == 2
    assert found.marks["close"].iloc[7] == CANDLES["close"].iloc[7]
    assert (found.marks["low"] <= found.marks["high"]).all()
