"""A finished point is read back as it was put, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest.sweep.point import PointResult
from forwardtrader.backtest.sweep.store import SweepStore
from forwardtrader.core.errors import StoreDamaged

RETURNS = pd.Series([0.01, -0.02], index=pd.DatetimeIndex(["2024-01-01", "2024-01-02"], tz="UTC").as_unit("s"))


def test_a_point_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    SweepStore(tmp_path).put("key", PointResult({"sharpe": 1.5, "trades": None}, "print", RETURNS))
    found = SweepStore(tmp_path).get("key")
    assert found is not None
    assert (found.summary, found.result) == ({"sharpe": 1.5, "trades": None}, "print")
    pd.testing.assert_series_equal(found.returns, RETURNS, check_exact=True)
    assert SweepStore(tmp_path).get("other") is None


def test_facts_are_replaced_and_unknown_ones_are_none(tmp_path: Path) -> None:
    store = SweepStore(tmp_path)
    assert store.fact("until") is None
    store.note(until="one")
    store.note(until="two")
    assert store.fact("until") == "two"


def test_a_file_that_is_no_database_says_what_to_remove(tmp_path: Path) -> None:
    (tmp_path / "points.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 40)
    with pytest.raises(StoreDamaged, match="remove its folder"):
        SweepStore(tmp_path).get("key")
