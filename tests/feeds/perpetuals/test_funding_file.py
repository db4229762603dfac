"""Funding files of every common form are read alike, and what cannot be right is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.perpetuals.funding_file import read_funding

EXPECTED = [0.0001, -0.00025, 0.00037]
FORMS = {
    "ours.csv": "timestamp,rate\n2024-01-01T00:00:00Z,0.0001\n2024-01-01T08:00:00Z,-0.00025\n2024-01-01T16:00:00Z,0.00037\n",
    "research.csv": "timestamp,funding_rate\n2024-01-01T00:00:00Z,0.0001\n2024-01-01T08:00:00Z,-0.00025\n2024-01-01T16:00:00Z,0.00037\n",
    "BTCUSDT-fundingRate-2024-01.csv": (
        "calc_time,funding_interval_hours,last_funding_rate\n1704067200003,8,0.00010000\n1704096000000,8,-0.00025000\n1704124800011,8,0.00037\n"
    ),
    "api.json": (
        '[{"symbol":"BTCUSDT","fundingTime":1704067200000,"fundingRate":"0.00010000","markPrice":"42000.1"},'
        '{"symbol":"BTCUSDT","fundingTime":1704096000000,"fundingRate":"-0.00025000","markPrice":"42100.1"},'
        '{"symbol":"BTCUSDT","fundingTime":1704124800000,"fundingRate":"0.00037","markPrice":"42200.1"}]'
    ),
    "semicolons.csv": 'timestamp;rate\n"2024-01-01 00:00";0.0001\n"2024-01-01 08:00";-0.00025\n"2024-01-01 16:00";0.00037\n',
}  # fmt: skip
TIMES = pd.date_range("2024-01-01", periods=3, freq="8h", tz="UTC")


@pytest.mark.parametrize("name", FORMS)
def test_every_common_form_is_read_alike(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name])
    found = read_funding(tmp_path / name)
    assert found.to_list() == EXPECTED
    assert (found.index == TIMES).all()


def test_freqtrade_keeps_the_rate_as_the_open(tmp_path: Path) -> None:
    path = tmp_path / "BTC_USDT_USDT-8h-funding_rate.feather"
    frame = pd.DataFrame({"date": TIMES, "open": EXPECTED, "high": 0.0, "low": 0.0, "close": 0.0, "volume": 0.0})
    frame.to_feather(path)
    assert read_funding(path).to_list() == EXPECTED


def test_rows_come_in_any_order_and_each_settlement_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("timestamp,rate\n2024-01-01T08:00:00Z,2e-4\n2024-01-01T00:00:00Z,1e-4\n2024-01-01T08:00:00Z,2e-4\n")
    assert read_funding(path).to_list() == [1e-4, 2e-4]


@pytest.mark.parametrize(("text", "words"), [
    ("timestamp,rate\n2024-01-01T00:00:00Z,1.0\n", "funding rate 1.0 is no share of a position's value"),
    ("timestamp,rate\n2024-01-01T00:00:00Z,x\n", "line 2 .*the funding rate cannot be read"),
    ("timestamp,rate\n2024-01-01T00:00:00Z,nan\n", "the funding rate cannot be read"),
    ("timestamp,price\n2024-01-01T00:00:00Z,1\n", "funding needs the columns timestamp and rate; found are timestamp, price"),
    ("timestamp,rate\n2024-01-01T00:00:00Z,1e-4\n2024-01-01T00:00:00Z,2e-4\n", "settlement of 2024-01-01 00:00 has two"),
    ("timestamp,rate\n2024-01-01T00:00:00Z,1e-4,3\n", "line 2: 3 fields, and 2 in the first line"),
    ("timestamp,rate\n", "no funding rates in it"),
])  # fmt: skip
def test_what_cannot_be_right_is_one_clear_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(CandleFileInvalid, match=words):
        read_funding(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CandleFileInvalid, match="no such file"):
        read_funding(tmp_path / "none.csv")
