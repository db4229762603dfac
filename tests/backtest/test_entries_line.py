"""Entries that rest, in the record of a run: the section of run.json, and the line of the page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import entries_section
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.reports.pages.formats import entries
from forwardtrader.strategies.backtrader.assembly import record_of
from tests.strategies.market import candles, knobs, run


def test_a_run_says_how_much_of_its_entries_was_filled_as_a_maker_and_what_that_cost() -> None:
    bars = candles(300)
    chosen = knobs(entry="maker", entry_deadline=2, margin=0.2, premium=0.0, holding="0d", maker_fee_bps=2.0, volume_share=0.005)
    record = record_of(run(bars, chosen))
    section = entries_section(record.entries, {"BTC/USDT": bars})
    assert section is not None
    assert section.fill_rate is not None
    assert 0.0 < section.fill_rate < 1.0
    fees = record.fills.eval("fee.where(fee_currency == 'USDT', fee * price)").sum()
    assert (section.maker_fees or 0.0) + (section.taker_fees or 0.0) == pytest.approx(fees)
    assert set(section.adverse_selection_bps) == {1, 4, 24}
    line = entries(section)
    assert f"{section.rested} entries rested as makers" in line
    assert "The price moved against their fills by" in line


def test_a_run_without_such_entries_says_nothing() -> None:
    assert entries_section(record_of(run(candles(300))).entries, {}) is None


def test_candles_without_volume_fill_no_resting_entries(tmp_path: Path) -> None:
    index = pd.date_range("2021-01-01", periods=400, freq="h", tz="UTC", name="timestamp")
    candles(400).set_axis(index).assign(volume=0.0).to_csv(tmp_path / "btc.csv")
    settings = load_settings(overrides={"feeds.symbols": ["BTC/USDT"], "strategies.entry": "maker"}, environment={})
    first, last = datetime(2021, 1, 10, tzinfo=UTC), datetime(2021, 1, 17, tzinfo=UTC)
    request = BacktestRequest(settings=settings, first=first, last=last, files={"BTC/USDT": tmp_path / "btc.csv"}, command="")
    with pytest.raises(InvalidSetting, match="the volume is unknown"):
        load_markets(request, FixedClock(datetime(2024, 6, 1, tzinfo=UTC)))
