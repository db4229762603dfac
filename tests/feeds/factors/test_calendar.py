"""A calendar says how far the next announced event is, and nothing of one that was not announced."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.feeds.factors.book import FactorBook, read_factor
from tests.feeds.made_candles import HOUR, made

HOURS = pd.DatetimeIndex(made(100).index)  # from 2024-01-01


def calendar(path: Path, *rows: str, **said: object) -> FactorSettings:
    path.write_text("\n".join(rows) + "\n")
    return FactorSettings.model_validate({"kind": "calendar", "file": str(path), **said})


def test_an_event_comes_nearer_hour_by_hour_from_its_announcement_on(tmp_path: Path) -> None:
    entry = calendar(
        tmp_path / "c.csv", "timestamp,known_at", "2024-01-02T00:00:00Z,2024-01-01T10:00:00Z", "2024-01-03,2024-01-01T12:00:00Z"
    )
    column = FactorBook([entry], HOUR).columns(HOURS)["factor_calendar"]
    assert column.iloc[:9].isna().all()  # not announced yet
    assert column.iloc[9:23].tolist() == list(range(14, 0, -1))
    assert column.iloc[23:47].tolist() == list(range(24, 0, -1))


def test_an_event_announced_later_was_not_known_before(tmp_path: Path) -> None:
    known = calendar(tmp_path / "a.csv", "timestamp,known_at", "2024-01-02,2023-12-01", "2024-01-01T20:00:00Z,2024-01-01T15:00:00Z")
    alone = calendar(tmp_path / "b.csv", "timestamp,known_at", "2024-01-02,2023-12-01")
    with_it, without = (FactorBook([entry], HOUR).columns(HOURS).iloc[:, 0] for entry in (known, alone))
    np.testing.assert_array_equal(with_it.iloc[:14], without.iloc[:14])
    assert with_it.iloc[14] == 5.0


def test_between_two_events_an_unannounced_one_does_not_show_by_a_value_that_says_none_is_near(tmp_path: Path) -> None:
    first = "2024-01-01T05:00:00Z,2023-12-01"
    known = calendar(tmp_path / "a.csv", "timestamp,known_at", first, "2024-01-03,2024-01-02")
    alone = calendar(tmp_path / "b.csv", "timestamp,known_at", first)
    with_it, without = (FactorBook([entry], HOUR).columns(HOURS).iloc[:, 0] for entry in (known, alone))
    np.testing.assert_array_equal(with_it.iloc[:23], without.iloc[:23])
    assert with_it.iloc[:4].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert with_it.iloc[4:23].isna().all()
    assert with_it.iloc[23] == 24.0
    assert without.iloc[4:].isna().all()


def test_a_calendar_that_was_known_long_before_needs_no_times(tmp_path: Path) -> None:
    entry = calendar(tmp_path / "c.csv", "date", "2024-01-03", known_before="30d", name="fomc")
    factor = read_factor(entry)
    assert factor.name == "fomc"
    assert FactorBook([entry], HOUR).columns(HOURS)["factor_fomc"].iloc[0] == 47.0
    assert (factor.max_age, factor.soonest) == (timedelta(days=3), timedelta(0))


def test_a_calendar_that_does_not_say_when_it_was_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="known_before"):
        read_factor(calendar(tmp_path / "c.csv", "date", "2024-01-03"))
