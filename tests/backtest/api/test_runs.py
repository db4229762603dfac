"""Forecasts and backtests as objects: the numbers of the command, for classes typed in as well as for files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import forwardtrader as ft
from forwardtrader.core.errors import ForecasterFailed, InvalidSetting, NotTrained, StrategyFailed, TooLittleHistory, UnknownSetting
from tests.models.bars import simulated_bars
from tests.models.own_forecasters import Ridge

CANDLES = simulated_bars(24 * 120)
KNOBS: dict[str, Any] = {"train_window": "40d", "retrain_every": "14d"}


class Follower(bt.Strategy):
    params = (("level", 0.5),)

    def __init__(self) -> None:
        self.forecast = ft.LSTMForecast(self.data)

    def next(self) -> None:
        if not self.position and self.forecast.p_up[0] > self.p.level:
            self.buy(size=0.1)
        elif self.position and self.forecast.p_up[0] < self.p.level:
            self.close()


class Crossing(bt.Strategy):
    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=30)

    def next(self) -> None:
        if not self.position and self.data.close[0] > self.average[0]:
            self.buy(size=0.1)
        elif self.position and self.data.close[0] < self.average[0]:
            self.close()


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("notebook"))
        yield


@pytest.fixture(scope="module")
def walk(folder: None) -> ft.WalkForward:
    return ft.WalkForward(Ridge(20.0), **KNOBS).fit(CANDLES)


def test_forecasts_are_those_of_the_boundaries_and_begin_as_soon_as_they_can(walk: ft.WalkForward) -> None:
    table = walk.fit_predict(CANDLES)
    assert set(table["horizon"]) == {1, 4} and set(table["symbol"]) == {"DATA/USD"}
    later = ft.WalkForward(Ridge(20.0), **KNOBS).fit_predict(CANDLES, start=table["timestamp"].iloc[0])
    pd.testing.assert_frame_equal(later, table)
    with pytest.raises(TooLittleHistory, match="DATA/USD"):
        walk.fit_predict(CANDLES, start=CANDLES.index[24 * 30])
    walk.fit(CANDLES)


def test_scores_stand_beside_those_of_baselines(walk: ft.WalkForward) -> None:
    scores = walk.score("zero")
    assert list(scores.index) == [("DATA/USD", "Ridge"), ("DATA/USD", "zero")]
    assert np.isfinite(scores["rank_ic"].iloc[0]) and np.isfinite(scores["dm_p"].iloc[1])


def test_a_strategy_typed_in_trades_the_forecasts_with_its_parameters(walk: ft.WalkForward, tmp_path: Path) -> None:
    run = ft.backtest(Follower, CANDLES, forecasts=walk, params={"level": 0.51})
    again = ft.backtest(f"{__name__}:Follower", CANDLES, forecasts=walk, params={"level": 0.51})
    other = ft.backtest(Follower, CANDLES, forecasts=walk, params={"level": 0.55})
    assert len(run.fills) > 20 and run.fills.equals(again.fills) and not run.fills.equals(other.fills)
    assert run.verdict in ("edge", "no edge", "not enough data") and run.reasons
    assert run.equity.index[0] == walk.fitted.request.first
    table = ft.compare({"one": run, "other": other})
    assert table.loc["trades", "one"] == run.stats.loc["trades", "strategy"]
    assert "buy_and_hold" in run._repr_html_() and run.verdict in repr(run)


@pytest.mark.slow
def test_a_report_holds_the_pages_and_is_never_written_over(walk: ft.WalkForward, tmp_path: Path) -> None:
    page = ft.backtest(None, CANDLES, forecasts=walk).report(tmp_path / "report")
    assert page == tmp_path / "report" / "index.html" and "Ridge" in page.read_text(encoding="utf-8")
    assert {path.name for path in page.parent.iterdir()} >= {"run.json", "tearsheet.html", "fills.parquet", "equity.parquet"}
    with pytest.raises(InvalidSetting, match="not empty"):
        ft.backtest(None, CANDLES, forecasts=walk).report(tmp_path / "report")


def test_a_strategy_that_reads_no_forecasts_needs_none() -> None:
    run = ft.backtest(Crossing, CANDLES, start=CANDLES.index[24 * 10], fee_bps=0, slippage_bps=0)
    assert len(run.fills) > 10 and run.forecasts.empty
    cerebro = bt.Cerebro()
    plain = CANDLES.copy()
    plain.index = pd.DatetimeIndex(plain.index).tz_localize(None)
    cerebro.adddata(bt.feeds.PandasData(dataname=plain))
    cerebro.addstrategy(Crossing)
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    [theirs] = cerebro.run()
    assert abs(theirs.analyzers.trades.get_analysis().total.closed - run.stats.loc["trades", "strategy"]) <= 10


def test_the_indicator_shows_them_in_a_plain_cerebro_too(walk: ft.WalkForward) -> None:
    seen: dict[pd.Timestamp, float] = {}

    class Watcher(bt.Strategy):
        def __init__(self) -> None:
            self.forecast = ft.LSTMForecast(self.data, source=walk)

        def next(self) -> None:
            seen[pd.Timestamp(self.data.datetime.datetime(0), tz="UTC").round("s")] = self.forecast.location[0]

    cerebro = bt.Cerebro()
    plain = CANDLES.copy()
    plain.index = pd.DatetimeIndex(plain.index).tz_localize(None)
    cerebro.adddata(bt.feeds.PandasData(dataname=plain))
    cerebro.addstrategy(Watcher)
    cerebro.run()
    table = walk.fitted.forecasts.table
    own = table.loc[table["horizon"] == 4].set_index("timestamp")["location"]
    assert len(own) > 500 and all(seen[at] == value for at, value in own.items())


def test_mistakes_are_told_before_anything_long_begins(walk: ft.WalkForward) -> None:
    with pytest.raises(UnknownSetting, match=r"models\.embarg"):
        ft.WalkForward(Ridge(), embarg=3)
    with pytest.raises(NotTrained, match="fit_predict"):
        ft.WalkForward(Ridge()).score()
    with pytest.raises(InvalidSetting, match="the strategy reads forecasts; pass forecasts="):
        ft.backtest(Follower, CANDLES)
    with pytest.raises(InvalidSetting, match="LSTMStrategy trades forecasts"):
        ft.backtest(None, CANDLES)
    with pytest.raises(InvalidSetting, match="other candles"):
        ft.backtest(Follower, simulated_bars(24 * 120, seed=5), forecasts=walk)


def test_errors_of_the_users_name_the_users_line(walk: ft.WalkForward) -> None:
    class Broken(bt.Strategy):
        def next(self) -> None:
            raise KeyError("lost")

    class NoForecast(Ridge):
        def predict(self, panel: ft.SamplePanel) -> Any:
            return panel.X[:, 0] * np.nan

    with pytest.raises(StrategyFailed, match=r"test_runs.py:\d+ in next: KeyError: 'lost'"):
        ft.backtest(Broken, CANDLES)
    with pytest.raises(ForecasterFailed, match=r"NoForecast, fold .* not finite"):
        ft.WalkForward(NoForecast, **KNOBS).fit(CANDLES)


@pytest.mark.slow
def test_a_class_typed_in_anew_under_the_same_name_is_another_one() -> None:
    frames = []
    for factor in (1.0, 2.0):

        class Scaled(Ridge):
            by = factor

            def predict(self, panel: ft.SamplePanel) -> Any:
                return np.asarray(super().predict(panel)) * self.by

        Scaled.rows_per_call = int(factor) + 60  # the text of both is one
        frames.append(ft.WalkForward(Scaled(), **KNOBS).fit_predict(CANDLES))
    assert np.allclose(frames[0]["location"] * 2, frames[1]["location"])


@pytest.mark.slow
def test_an_audit_looks_for_look_ahead_in_what_was_typed_in() -> None:
    report = ft.audit(ft.WalkForward(Ridge(20.0), **KNOBS), CANDLES, Follower, start=CANDLES.index[24 * 75])
    assert not report.failed and len(report.checks) >= 8
    assert "truncation" in str(report)
