"""Factors beside the candles: known when they were, and not known once they are too old."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.book import FactorBook
from tests.feeds.made_candles import HOUR, made

BARS = made(100)
HOURS = pd.DatetimeIndex(BARS.index)


def written(path: Path, text: str) -> FactorSettings:
    path.write_text(text)
    return FactorSettings(file=str(path))


def funding(folder: Path, rows: int = 5) -> FactorSettings:
    times = pd.date_range("2024-01-01", periods=rows, freq="8h", tz=UTC)
    lines = [f"{at:%Y-%m-%dT%H:%M:%SZ},{k / 10000}" for k, at in enumerate(times)]
    return written(folder / "funding.csv", "\n".join(["timestamp,funding_rate", *lines]) + "\n")


def test_a_value_older_than_its_age_is_not_known(tmp_path: Path) -> None:
    joined = FactorBook([funding(tmp_path)], HOUR).columns(HOURS)["factor_funding_rate"]
    last = 4 * 8 - 1  # the bar that closes when the last rate is settled
    assert joined.iloc[last : last + 25].eq(0.0004).all()
    assert joined.iloc[last + 25 :].isna().all()


def test_the_maximum_age_can_be_set(tmp_path: Path) -> None:
    settings = funding(tmp_path).model_copy(update={"max_age": timedelta(hours=2)})
    joined = FactorBook([settings], HOUR).columns(HOURS)["factor_funding_rate"]
    assert joined.iloc[7:10].notna().all()
    assert joined.iloc[10:15].isna().all()


def test_another_markets_close_is_known_when_its_bar_has_closed(tmp_path: Path) -> None:
    BARS.rename_axis("timestamp").reset_index().to_csv(tmp_path / "eth.csv", index=False)
    book = FactorBook([FactorSettings(file=str(tmp_path / "eth.csv"))], HOUR)
    np.testing.assert_array_equal(book.columns(HOURS)["factor_eth"], BARS["close"])


def test_a_file_with_its_own_publication_times_needs_no_option(tmp_path: Path) -> None:
    settings = written(tmp_path / "cpi.csv", "timestamp,known_at,rate\n2023-12-01,2024-01-01T12:30:00Z,3.1\n")
    joined = FactorBook([settings], HOUR).columns(HOURS)["factor_cpi"]
    assert joined.isna().to_numpy().nonzero()[0].max() >= 84  # three days later it is old
    assert joined.notna().to_numpy().argmax() == 12


def test_two_factors_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="two factors are called funding_rate"):
        FactorBook([funding(tmp_path), funding(tmp_path)], HOUR)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CandleFileInvalid, match=r"none\.csv"):
        FactorBook([FactorSettings(file=str(tmp_path / "none.csv"))], HOUR)


def test_what_is_appended_to_a_file_is_seen(tmp_path: Path) -> None:
    settings = funding(tmp_path, rows=3)
    book = FactorBook([settings], HOUR)
    before = book.columns(HOURS)["factor_funding_rate"]
    funding(tmp_path, rows=6)
    os.utime(settings.file, ns=(1, 1))
    after = book.columns(HOURS)["factor_funding_rate"]
    pd.testing.assert_series_equal(before.iloc[:23], after.iloc[:23])
    assert after.iloc[39] == 0.0005


def test_the_book_of_a_moment_knows_nothing_later(tmp_path: Path) -> None:
    book = FactorBook([funding(tmp_path)], HOUR)
    then = book.as_of(datetime(2024, 1, 1, 9, tzinfo=UTC)).columns(HOURS)["factor_funding_rate"]
    assert then.iloc[20] == 0.0001
    assert book.columns(HOURS)["factor_funding_rate"].iloc[20] == 0.0002


def test_columns_are_the_same_for_one_bar_and_for_all(tmp_path: Path) -> None:
    book = FactorBook([funding(tmp_path)], HOUR)
    whole = book.columns(HOURS)
    for row in (0, 7, 8, 60):
        pd.testing.assert_frame_equal(book.columns(HOURS[row : row + 1]), whole.iloc[row : row + 1], check_freq=False)


def test_without_factors_the_candles_stay_the_very_same() -> None:
    assert FactorBook((), HOUR).beside(BARS) is BARS
