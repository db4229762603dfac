"""Factors in a run: columns beside the candles, features of the model, and part of every fingerprint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.forecasting import train
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.run_record import data_section
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.rooms.factor import FactorSettings
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.models.forecaster import NUMBERS
from forwardtrader.models.online.walk_forward_source import WalkForwardSource
from tests.reports.simulated import candles

CLOCK = FixedClock(datetime(2023, 1, 1, tzinfo=UTC))
QUICK = (
    *("--set", "models.seeds=1", "--set", "models.epochs=1", "--set", "models.units=4", "--train-window", "30d", "--retrain-every", "14d"),
    *("--jobs", "1", "--quiet", "--baselines", "none"),
)


def request(folder: Path, *words: str) -> BacktestRequest:
    path = folder / "candles.csv"
    if not path.exists():
        candles(150 * 24, seed=3).reset_index().to_csv(path, index=False)
    plain = ["--from", "2022-03-25", "--to", "2022-04-20", "--symbol", "AAA/USDT", "--data", f"AAA/USDT={path}"]
    return read_request([*plain, *words, *QUICK, "--set", f"models.save_path={folder / 'models'}"], CLOCK)


def mood(folder: Path, *, seed: int = 1, until: str = "2022-06-01", name: str = "mood.csv") -> Path:
    days = pd.date_range("2021-12-01", until, freq="D", tz=UTC)
    value = 50.0 + np.cumsum(np.random.default_rng(seed).normal(0, 3, len(days)))
    table = pd.DataFrame({"timestamp": days.strftime("%Y-%m-%dT%H:%M:%SZ"), "value": value, "classification": "x"})
    table.to_csv(folder / name, index=False)
    return folder / name


def unheard(done: int, total: int) -> None: ...


def test_factors_are_said_as_flags_or_in_the_settings(tmp_path: Path) -> None:
    said = request(tmp_path, "--factor", "a=a.csv,known_after=1d", "--factor", "b.csv,column=x,max_age=2d").settings.feeds.factors
    assert said == (
        FactorSettings(file="a.csv", name="a", known_after=timedelta(days=1)),
        FactorSettings(file="b.csv", column="x", max_age=timedelta(days=2)),
    )
    config = tmp_path / "config.yaml"
    config.write_text("feeds:\n  factors:\n    - {file: a.csv, name: a, known_after: 1d}\n    - {file: b.csv, column: x, max_age: 2d}\n")
    assert request(tmp_path, "--config", str(config)).settings.feeds.factors == said


def test_a_factor_stands_beside_the_candles_as_it_was_known(tmp_path: Path) -> None:
    asked = request(tmp_path, "--factor", str(mood(tmp_path)))
    history = load_markets(asked, CLOCK)["AAA/USDT"]
    table = pd.read_csv(tmp_path / "mood.csv").set_index("timestamp")["value"]
    column = history.candles["factor_fear_and_greed"]
    # The value of 1 April is known when 1 April is over: at the close of its last bar.
    assert column.loc[pd.Timestamp("2022-04-01 22:00", tz=UTC)] == table["2022-03-31T00:00:00Z"]
    assert column.loc[pd.Timestamp("2022-04-01 23:00", tz=UTC)] == table["2022-04-01T00:00:00Z"]
    assert list(load_markets(request(tmp_path), CLOCK)["AAA/USDT"].candles.columns) == list(OHLCV)


def test_a_perpetual_with_other_funding_or_marks_is_another_trial_with_factors_too(tmp_path: Path) -> None:
    path, bars = tmp_path / "perpetual.csv", candles(150 * 24, seed=3)
    bars.reset_index().to_csv(path, index=False)
    plain = ["--from", "2022-03-25", "--to", "2022-04-20", "--symbol", "AAA/USDT:USDT", "--data", f"AAA/USDT:USDT={path}"]
    seen = {}
    for rate in (0.0001, 0.0003):
        funding = tmp_path / f"funding-{rate}.csv"
        funding.write_text(f"timestamp,rate\n2022-04-01 00:00,{rate}\n", encoding="utf-8")
        for mark in (1.0, 1.01):
            marks = tmp_path / f"marks-{mark}.csv"
            bars[list(OHLCV[:4])].mul(mark).assign(volume=0.0).reset_index().to_csv(marks, index=False)
            for mood_of in (1, 2):
                factor = mood(tmp_path, seed=mood_of, name=f"mood-{mood_of}.csv")
                words = ["--factor", str(factor), "--funding", f"AAA/USDT:USDT={funding}", "--mark", f"AAA/USDT:USDT={marks}"]
                history = load_markets(read_request([*plain, *words], CLOCK), CLOCK)["AAA/USDT:USDT"]
                seen[rate, mark, mood_of] = history.fingerprint
    assert len(set(seen.values())) == 8


def test_a_factor_that_ends_is_told_and_recorded(tmp_path: Path) -> None:
    asked = request(tmp_path, "--factor", str(mood(tmp_path, until="2022-04-10")))
    markets = load_markets(asked, CLOCK)
    # Known for the last time when 10 April ends, plus three days; the last close on 20 April is at midnight.
    unknown = 7 * 24
    assert f"factor fear_and_greed was not known at {unknown} of 648 bars traded" in markets["AAA/USDT"].notes[-1]
    told = data_section(asked, markets).factors["fear_and_greed"]
    assert (told.file, told.unknown, str(told.last)[:10]) == ("mood.csv", unknown, "2022-04-11")


def test_a_factor_that_cannot_be_understood_costs_no_training(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("timestamp,a\n2022-01-01,1\n")
    with pytest.raises(InvalidSetting, match="known_after=1d"):
        load_markets(request(tmp_path, "--factor", str(tmp_path / "f.csv")), CLOCK)


def test_forecasts_with_a_factor_are_the_same_bits_bar_by_bar(tmp_path: Path) -> None:
    asked = request(tmp_path, "--factor", str(mood(tmp_path, until="2022-04-10")))
    markets = load_markets(asked, CLOCK)
    walk = train(markets, asked, unheard)
    source = WalkForwardSource(walk, "AAA/USDT", 4, Timeframe.parse("1h"))
    bars = markets["AAA/USDT"].candles[list(OHLCV)]  # what Backtrader knows: candles alone
    whole = source.batch(bars)
    for row in (len(bars) - 1, len(bars) - 300, len(bars) - 77):
        told = source.latest(bars.iloc[: row + 1])
        assert told is not None
        line = whole.iloc[row][list(NUMBERS)].to_numpy(dtype=np.float64)
        assert [told.location, told.scale, *told.quantiles, told.p_up] == line.tolist()


def test_models_and_data_of_other_factor_values_have_other_names(tmp_path: Path) -> None:
    def names(*words: str) -> tuple[str, str]:
        asked = request(tmp_path, *words)
        markets = load_markets(asked, CLOCK)
        return train(markets, asked, unheard).served[0].card.model_id, markets["AAA/USDT"].fingerprint

    plain, again = names(), names()
    one = names("--factor", str(mood(tmp_path, name="one.csv")))
    other = names("--factor", str(mood(tmp_path, seed=2, name="two.csv")))
    assert plain == again
    assert len({plain[0], one[0], other[0]}) == len({plain[1], one[1], other[1]}) == 3


def test_in_the_settings_a_file_alone_will_do_and_a_stray_word_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("feeds:\n  factors: [funding.csv]\n")
    assert request(tmp_path, "--config", str(config)).settings.feeds.factors == (FactorSettings(file="funding.csv"),)
    config.write_text("feeds:\n  factors:\n    - {file: f.csv, colum: x}\n")
    with pytest.raises(InvalidSetting, match=r"feeds\.factors\.colum: there is no such setting"):
        request(tmp_path, "--config", str(config))
