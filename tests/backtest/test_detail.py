"""Finer candles of a run: from the command line to its record and its page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.run_record import choices, data_section
from forwardtrader.backtest.simulation import detail_of, simulate
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.models.forecaster import ForecastSource
from forwardtrader.reports.pages.formats import inside
from tests.strategies.detail.market import fine_candles, hourly
from tests.strategies.market import source

FINE = fine_candles(600, 6, 1)
CLOCK = FixedClock(datetime(2022, 3, 1, tzinfo=UTC))
DAYS = ["--from", "2022-01-20", "--to", "2022-01-24"]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """The flags that name the candles of an hour and those inside."""
    hourly(FINE).to_csv(tmp_path / "hours.csv")
    FINE.drop(FINE.index[20 * 24 * 6 : 20 * 24 * 6 + 9]).to_csv(tmp_path / "fine.csv")
    return ["--data", f"BTC/USDT={tmp_path / 'hours.csv'}", "--detail", "10m", "--detail-data", str(tmp_path / "fine.csv")]


class Planted:
    """Forecasts that stand in for those of a run."""

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> ForecastSource:
        return source(hourly(FINE), horizon=horizon)


def test_the_days_traded_have_finer_candles_inside_and_what_lacks_is_told(files: list[str]) -> None:
    request = read_request([*DAYS, *files], CLOCK)
    history = load_markets(request, CLOCK)["BTC/USDT"]
    assert history.detail is not None
    assert (history.detail.bars, history.detail.missing, len(history.detail.candles)) == (120, 2, 118 * 6)
    assert any("2 of 120 bars are met as a whole, without 10m bars inside: 2 lack some" in note for note in history.notes)
    section = data_section(request, {"BTC/USDT": history}).symbols["BTC/USDT"].detail
    assert section is not None
    assert inside(section, "BTC/USDT") == (
        "BTC/USDT: inside 118 of 120 bars resting orders went by those of 10m from file fine.csv. "
        "2 of 120 bars are met as a whole, without 10m bars inside: 2 lack some."
    )


def test_a_run_with_finer_candles_is_another_trial_and_one_without_is_the_one_it_was(files: list[str]) -> None:
    with_detail, without = read_request([*DAYS, *files], CLOCK), read_request([*DAYS, *files[:2]], CLOCK)
    assert choices(with_detail) == {**choices(without), "detail": "10m"}
    one, other = (load_markets(request, CLOCK)["BTC/USDT"] for request in (with_detail, without))
    assert one.fingerprint != other.fingerprint
    assert other.detail is None


def test_stops_of_a_run_go_by_the_finer_candles(files: list[str]) -> None:
    often = ["--set", "strategies.stop_scales=0.1", "--set", "strategies.cooldown=1h", "--set", "strategies.margin=0.1", *_horizon()]
    request = read_request([*DAYS, *files, *often, "--from", "2022-01-04"], CLOCK)
    markets = load_markets(request, CLOCK)
    known = simulate(markets, Planted(), request)
    blind = simulate({symbol: replace(history, detail=None) for symbol, history in markets.items()}, Planted(), request)
    assert known.fills["reason"].str.contains("stop").any()
    assert not known.fills.equals(blind.fills)


def test_a_finer_bar_counts_as_traded_where_its_volume_is_not_known(files: list[str]) -> None:
    request = read_request([*DAYS, *files], CLOCK)
    history = load_markets(request, CLOCK)["BTC/USDT"]
    series = detail_of(history)
    assert series is not None
    assert 0 < (~series.traded).sum() < 100
    assert history.detail is not None
    unknown = replace(history, detail=replace(history.detail, candles=history.detail.candles.assign(volume=np.nan)))
    assert detail_of(unknown).traded.all()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--detail", "2h"], "bars of 1h are not made up of bars of 2h"),
        (["--detail", "1 minute"], "timeframe '1 minute' is not known"),
        (["--detail-data", "fine.csv"], "--detail-data fine.csv: say how long its bars are, with --detail 1m"),
        (["--detail", "1m", "--detail-data", "ETH/USDT=fine.csv"], "write it as SYMBOL=FILE, for one of BTC/USDT"),
    ],
)
def test_a_mistake_in_the_flags_is_one_line(flags: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_request([*DAYS, *flags], CLOCK)


def test_entries_that_rest_need_the_volumes_inside(files: list[str], tmp_path: Path) -> None:
    FINE.assign(volume=0.0).to_csv(tmp_path / "fine.csv")
    with pytest.raises(InvalidSetting, match="BTC/USDT 10m: the volume is unknown"):
        load_markets(read_request([*DAYS, *files, "--set", "strategies.entry=maker"], CLOCK), CLOCK)


def test_days_without_a_bar_have_no_inside(files: list[str]) -> None:
    request = read_request([*DAYS, *files], CLOCK)
    late = replace(request, first=request.first + timedelta(days=4, hours=23), last=request.last)
    detail = load_markets(late, CLOCK)["BTC/USDT"].detail
    assert detail is not None
    assert detail.opened.unique().to_list() == [pd.Timestamp("2022-01-24 23:00", tz="UTC")]


def _horizon() -> list[str]:
    return ["--set", "strategies.holding=0d", "--set", "strategies.premium=0", "--set", "strategies.scale_memory=0d"]
