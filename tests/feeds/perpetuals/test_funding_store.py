"""Stored funding is append-only and checked."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.errors import CandleFileInvalid, StoreDamaged
from forwardtrader.feeds.candles.store import CandleStore
from forwardtrader.feeds.perpetuals.funding import rates
from forwardtrader.feeds.perpetuals.funding_store import FundingStore

KEY = ("binance", "BTC/USDT:USDT")
TIMES = pd.date_range("2024-01-01", periods=4, freq="8h", tz="UTC")


def test_new_settlements_are_added_and_stored_ones_stay(tmp_path: Path) -> None:
    store = FundingStore(tmp_path)
    assert store.append(*KEY, rates(TIMES[:3], [1e-4, 2e-4, 3e-4])) == 3
    assert store.append(*KEY, rates(TIMES[2:], [3e-4, 4e-4])) == 1
    assert store.read(*KEY).to_list() == [1e-4, 2e-4, 3e-4, 4e-4]
    with pytest.raises(CandleFileInvalid, match="at 2024-01-01 00:00 differs from what is stored"):
        store.append(*KEY, rates(TIMES[:1], [9e-4]))
    assert CandleStore(tmp_path).held() == []


def test_a_damaged_file_is_never_read(tmp_path: Path) -> None:
    store = FundingStore(tmp_path)
    store.append(*KEY, rates(TIMES, [1e-4] * 4))
    store.path(*KEY).write_bytes(store.path(*KEY).read_bytes()[:-40])
    with pytest.raises(StoreDamaged, match="delete it, and download or import the funding again"):
        store.read(*KEY)
