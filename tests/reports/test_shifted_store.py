"""What is kept of runs on shifted forecasts comes back to the bit, or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.shifted_store import KEPT, ShiftedStore
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts

INDEX = pd.DatetimeIndex(["2024-01-01 00:00", "2024-01-01 01:00"], tz="UTC", name="timestamp").as_unit("ms")


def runs(own: float = 0.1 + 0.2) -> ShiftedForecasts:
    equity = pd.DataFrame({"equity": [10_000.0, 1 / 3], "cash": [np.nan, -0.0], "exposure": [0.0, 1e-300]}, index=INDEX)
    fills = pd.DataFrame({"timestamp": INDEX[:1], "symbol": ["BTC/USDT"], "size": [0.1], "reason": ["edge 3.0 bp"]})
    return ShiftedForecasts(
        own=own, sharpes=np.array([1 / 7, np.nan]), total_returns=np.array([-0.5, 0.1]), equity=equity, fills=fills, planned=2
    )


@pytest.mark.parametrize("fills", [runs().fills, runs().fills.iloc[:0]], ids=["one fill", "no fill"])
def test_what_is_kept_comes_back_to_the_bit(tmp_path: Path, fills: pd.DataFrame) -> None:
    store, kept = ShiftedStore(tmp_path), runs()
    kept = ShiftedForecasts(**{**vars(kept), "fills": fills})
    store.put("key", kept)
    found = store.get("key")
    assert found is not None
    assert (found.own, found.planned) == (kept.own, 2)
    assert found.sharpes.tobytes() == kept.sharpes.tobytes()
    assert found.total_returns.tobytes() == kept.total_returns.tobytes()
    pd.testing.assert_frame_equal(found.equity, kept.equity, check_exact=True)
    pd.testing.assert_frame_equal(found.fills, kept.fills, check_exact=True)


def test_a_file_under_another_key_than_its_own_is_none(tmp_path: Path) -> None:
    store = ShiftedStore(tmp_path)
    store.put("key", runs())
    (tmp_path / "key.npz").rename(tmp_path / "other.npz")
    assert store.get("key") is None
    assert store.get("other") is None


def test_a_damaged_file_is_none_wherever_it_is_damaged(tmp_path: Path) -> None:
    store = ShiftedStore(tmp_path)
    store.put("key", runs())
    whole = (tmp_path / "key.npz").read_bytes()
    for end in range(0, len(whole), 97):
        (tmp_path / "key.npz").write_bytes(whole[:end])
        assert store.get("key") is None
    at = whole.index(runs().total_returns.tobytes())
    (tmp_path / "key.npz").write_bytes(whole[:at] + b"\x01" + whole[at + 1 :])
    assert store.get("key") is None


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = ShiftedStore(tmp_path)
    for number in range(KEPT + 3):
        store.put(f"key-{number}", runs())
    assert len(list(tmp_path.iterdir())) == KEPT
    assert store.get(f"key-{KEPT + 2}") is not None


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    store = ShiftedStore(tmp_path / "taken")
    store.put("key", runs())
    assert store.get("key") is None
