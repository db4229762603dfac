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
from tests.strategies.detail.market import PRICES, fine_candles, hourly
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


def test_the_marks_inside_are_those_of_a_file(tmp_path: Path) -> None:
    symbol, marks = "BTC/USDT:USDT", (FINE[PRICES] * 1.001).assign(volume=0.0)
    for name, frame in {"hours": hourly(FINE), "fine": FINE, "marks": hourly(marks), "finer": marks, "other": marks * 1.01}.items():
        frame.to_csv(tmp_path / f"{name}.csv")
    words = [*DAYS, "--detail", "10m"]
    for flag, name in {"data": "hours", "detail-data": "fine", "mark": "marks"}.items():
        words += [f"--{flag}", f"{symbol}={tmp_path / name}.csv"]
    unknown, prints = {}, set()
    for name in ("", "finer", "other"):
        request = read_request([*words, *(["--detail-mark", f"{symbol}={tmp_path / name}.csv"] if name else [])], CLOCK)
        history = load_markets(request, CLOCK)[symbol]
        assert history.detail is not None and history.detail.marks is not None
        unknown[name] = history.detail.unknown_marks
        prints.add(history.fingerprint)
    assert unknown == {"": 120, "finer": 0, "other": 120} and len(prints) == 2
    at = pd.Timestamp("2022-01-22 11:20", tz="UTC")
    known = load_markets(read_request([*words, "--detail-mark", f"{tmp_path / 'finer'}.csv"], CLOCK), CLOCK)[symbol].detail
    assert known is not None and known.marks is not None
    assert known.marks.loc[at].tolist() == marks.loc[at, PRICES].tolist()


def test_marks_inside_are_of_perpetuals_alone(files: list[str], tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"BTC/USDT is no perpetual and has no mark price; leave fine\.csv out"):
        load_markets(read_request([*DAYS, *files, "--detail-mark", f"BTC/USDT={tmp_path / 'fine.csv'}"], CLOCK), CLOCK)


def test_of_bars_that_are_cut_away_the_finer_ones_are_too(files: list[str]) -> None:
    history = load_markets(read_request([*DAYS, *files], CLOCK), CLOCK)["BTC/USDT"]
    cut = detail_of(replace(history, candles=history.candles.iloc[:-30]))
    whole = detail_of(history)
    assert cut is not None and whole is not None and history.detail is not None
    assert len(cut.opened) == len(whole.opened) - 30 and (cut.prices == whole.prices[: len(cut.at)]).all()
    none = detail_of(replace(history, candles=history.candles.iloc[:10]))
    assert none is not None and not none.has(whole.opened[0])


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
        (["--detail-mark", "fine.csv"], "--detail-mark fine.csv: say how long its bars are, with --detail 1m"),
        (
            ["--detail", "1m", "--detail-mark", "ETH/USDT=fine.csv"],
            "--detail-mark ETH/USDT=fine.csv: write it as SYMBOL=FILE, for one of BTC",
        ),
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
