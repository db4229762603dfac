"""An honest strategy passes every check; one that is not is told which one, and what differs."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader import check_strategy
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting, StrategyChecksFailed, TradingError
from forwardtrader.core.types import Forecast
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult
from forwardtrader.models.forecaster import forecast_at, normal_frame
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from tests.backtest.audit.stock_hours import stock_hours
from tests.reports.simulated import candles

CANDLES = candles(110, seed=5)
CHECKS = ("run", "determinism", "truncation", "newest close", "one bar at a time", "restart", "dust")


class Honest(bt.Strategy):
    """Holds above a short average."""

    params = (("period", 5),)

    def __init__(self) -> None:
        self.average = bt.ind.SMA(period=self.p.period)

    def next(self) -> None:
        if self.data.close[0] > self.average[0] and not self.position:
            self.buy(size=0.1)
        elif self.data.close[0] < self.average[0] and self.position:
            self.close()


class ByPercent(Honest):
    """Tops its position up by orders that a venue may find too small."""

    def next(self) -> None:
        self.order_target_percent(target=0.95 if self.data.close[0] > self.average[0] else 0.0)


class Peeking(bt.Strategy):
    def next(self) -> None:
        if len(self.data) < self.data.buflen():
            self.order_target_size(target=0.1 if self.data.close[1] > self.data.close[0] else 0.0)


class PeekingBeyondTheEnd(bt.Strategy):
    def next(self) -> None:
        self.order_target_size(target=0.1 if self.data.close[1] > self.data.close[0] else 0.0)


class FitInInit(bt.Strategy):
    def __init__(self) -> None:
        closes = np.array(self.data.close.array)
        changes = np.diff(closes, prepend=closes[0])
        self.score = (changes - changes.mean()) / (changes.std() + 1e-9)

    def next(self) -> None:
        self.order_target_size(target=0.1 if self.score[len(self.data) - 1] > 0.2 else 0.0)


class BelowTheWholeMean(bt.Strategy):
    """Waits for a price far below the mean of the whole sample, spread counted in."""

    def __init__(self) -> None:
        closes = np.array(self.data.close.array)
        self.low = closes.mean() - closes.std() if len(closes) else 0.0

    def next(self) -> None:
        if self.data.close[0] < self.low and not self.position:
            self.buy(size=0.01)


class LongAverage(Honest):
    """Its first bar comes late."""

    params = (("period", 105),)


class Unseeded(bt.Strategy):
    def next(self) -> None:
        self.order_target_size(target=0.1 if random.random() > 0.5 else 0.0)


class OfTheExactSize(Honest):
    """Gets out only of what it asked for, to the unit."""

    def next(self) -> None:
        if self.position.size == 0:
            self.buy(size=0.1)
        elif self.position.size == 0.1 and self.data.close[0] < self.average[0]:
            self.close()


class Counting(Honest):
    """Trades ten times, which no bar tells it."""

    def __init__(self) -> None:
        super().__init__()
        self.bought = 0

    def notify_order(self, order: Any) -> None:
        self.bought += order.status == order.Completed and order.isbuy()

    def next(self) -> None:
        if self.position or self.bought < 10:
            super().next()


class CountingAndKeeping(Counting):
    def state(self) -> dict[str, Any]:
        return {"bought": self.bought}

    def restore(self, saved: dict[str, Any]) -> None:
        self.bought = saved["bought"]


class WaitingForCompleted(Honest):
    """Waits for an order that was refused for ever."""

    order: Any = None

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            self.order = None

    def next(self) -> None:
        if self.order is None and (self.data.close[0] > self.average[0]) != bool(self.position):
            self.order = self.close() if self.position else self.buy(size=0.1)


class KeepingInTheClass(bt.Strategy):
    seen = 0

    def next(self) -> None:
        KeepingInTheClass.seen += 1
        self.order_target_size(target=0.1 if KeepingInTheClass.seen % 7 < 3 else 0.0)


class OnLongerBars(Honest):
    def __init__(self) -> None:
        self.average = bt.ind.SMA(self.data1, period=1)


class Idle(bt.Strategy):
    """Never trades."""


class Broken(bt.Strategy):
    def next(self) -> None:
        self.nothing.of_the_kind()


def results(strategy: type[bt.Strategy] | str, frame: pd.DataFrame = CANDLES, **how: Any) -> dict[str, LookAheadResult]:
    report = check_strategy(strategy, frame, **how)
    assert tuple(check.name for check in report.checks) == CHECKS
    return {check.name: check.result for check in report.checks}


def failed(strategy: type[bt.Strategy], frame: pd.DataFrame = CANDLES) -> dict[str, str]:
    return {check.name: check.detail for check in check_strategy(strategy, frame).failed}


@pytest.mark.parametrize("strategy", [Honest, ByPercent], ids=lambda strategy: strategy.__name__)
def test_an_honest_strategy_passes_every_check(strategy: type[bt.Strategy]) -> None:
    report = check_strategy(strategy, CANDLES, raise_on_failure=True)
    assert report.passed and not report.failed, str(report)
    assert tuple(check.name for check in report.checks) == CHECKS
    lines = str(report).splitlines()
    assert lines[0] == strategy.__name__ and len(lines) == 1 + len(CHECKS)
    assert all(" passed  " in line for line in lines[1:])


@pytest.mark.parametrize("strategy", [Peeking, FitInInit], ids=lambda strategy: strategy.__name__)
def test_a_look_ahead_fails_by_the_changed_future(strategy: type[bt.Strategy]) -> None:
    found = failed(strategy)
    assert "look ahead" in found["newest close"]
    assert "one bar at a time" in found and "determinism" not in found


def test_a_look_beyond_the_last_bar_is_told_where_it_stands() -> None:
    found = failed(PeekingBeyondTheEnd)
    assert set(found) == {"run"}
    assert "test_check_strategy.py:" in found["run"] and "close[1]" in found["run"]


@pytest.mark.parametrize("strategy", [Unseeded, KeepingInTheClass], ids=lambda strategy: strategy.__name__)
def test_a_second_run_that_differs_is_not_called_a_look_ahead(strategy: type[bt.Strategy]) -> None:
    found = failed(strategy)
    assert set(found) == {"determinism"}
    assert "in a second run on the same candles" in found["determinism"]


def test_a_strategy_that_never_gets_flat_where_the_fee_is_taken_in_the_coin_fails_by_dust() -> None:
    found = failed(OfTheExactSize, CANDLES.iloc[:45])
    assert set(found) == {"dust"}
    assert "0 trades closed (1 fills) with the fee taken in the coin" in found["dust"]


@pytest.mark.parametrize("strategy", [Counting, WaitingForCompleted], ids=lambda strategy: strategy.__name__)
def test_what_a_strategy_loses_with_a_restart_is_found(strategy: type[bt.Strategy]) -> None:
    found = failed(strategy)
    assert set(found) == {"restart"}
    assert "state() and restore(saved)" in found["restart"]


def test_what_a_strategy_keeps_survives_a_restart() -> None:
    assert results(CountingAndKeeping)["restart"] is LookAheadResult.PASSED


def test_a_strategy_that_never_trades_is_not_testable() -> None:
    found = results(Idle)
    assert found.pop("run") is LookAheadResult.PASSED
    assert set(found.values()) == {LookAheadResult.NOT_TESTABLE}


def test_a_strategy_whose_first_bar_comes_late_is_not_accused() -> None:
    assert LookAheadResult.FAILED not in results(LongAverage).values()


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fit_to_the_whole_sample_that_keeps_from_every_order_is_found_on_the_hours_of_a_stock(seed: int) -> None:
    frame = stock_hours(40, seed=seed)
    frame.iloc[-50:, :4] *= 3.0  # until then prices are low; measured with what comes, none is low enough
    report = check_strategy(BelowTheWholeMean, frame)
    assert " 0 orders, 0 fills" in report.checks[0].detail
    found = {check.name: check for check in report.checks}["truncation"]
    assert (found.result, found.leak) == (LookAheadResult.FAILED, Leak.AHEAD), found.detail


def test_a_strategy_may_use_longer_bars() -> None:
    assert set(results(OnLongerBars, resample=["4h"]).values()) == {LookAheadResult.PASSED}
    assert "data1" in failed(OnLongerBars)["run"]


def test_an_error_of_the_strategy_is_a_row() -> None:
    found = failed(Broken)
    assert set(found) == {"run"} and "in next: AttributeError" in found["run"]


def test_raising_names_every_check_that_failed() -> None:
    with pytest.raises(StrategyChecksFailed, match=r"Peeking failed .* of 7 checks: .*newest close: .*one bar at a time: ") as raised:
        check_strategy(Peeking, CANDLES, raise_on_failure=True)
    assert isinstance(raised.value, AssertionError) and isinstance(raised.value, TradingError)


def test_a_strategy_may_be_named_by_its_file_and_candles_by_their_usual_columns(tmp_path: Path) -> None:
    file = tmp_path / "mine_of_checks.py"
    file.write_text("import backtrader as bt\n\nclass Mine(bt.Strategy):\n    pass\n", encoding="utf-8")
    frame = CANDLES.rename(columns=str.capitalize).tz_localize(None)
    assert results(f"{file}:Mine", frame)["run"] is LookAheadResult.PASSED


def test_parameters_reach_the_strategy() -> None:
    runs = [check_strategy(Honest, CANDLES.iloc[:40], params={"period": period}).checks[0].detail for period in (3, 30)]
    assert runs[0] != runs[1]


def test_a_parameter_that_the_strategy_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidSetting, match=r"Honest has no parameter perod.*period"):
        check_strategy(Honest, CANDLES, params={"perod": 3})


@pytest.mark.parametrize("frame", [CANDLES.reset_index(drop=True), CANDLES.iloc[:1], CANDLES.drop(columns="close"), CANDLES.iloc[::-1]])
def test_what_is_no_candles_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(CandleFileInvalid, match="candles"):
        check_strategy(Honest, frame)


class Forecasting(bt.Strategy):
    """Trades by forecasts; where `peek` is set, by that of the next bar."""

    params = (("peek", False),)

    def __init__(self) -> None:
        self.forecast = LSTMForecast(self.data)

    def next(self) -> None:
        place = 1 if self.p.peek and len(self.data) < self.data.buflen() else 0
        self.order_target_size(target=0.1 if self.forecast.location[place] > 0 else 0.0)


class Reverting:
    """What rose falls again."""

    horizon, warm_up = 1, 3

    def batch(self, bars: pd.DataFrame) -> pd.DataFrame:
        location = -np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan)
        return normal_frame(bars.index, location, np.where(np.isnan(location), np.nan, 0.01), "reverting")

    def latest(self, bars: pd.DataFrame) -> Forecast | None:
        return forecast_at(self.batch(bars), len(bars) - 1, self.horizon)


def test_a_strategy_that_reads_forecasts_is_checked_with_those_it_is_given() -> None:
    report = check_strategy(Forecasting, CANDLES, forecasts=Reverting(), raise_on_failure=True)
    assert [check.name for check in report.checks if check.passed] == list(CHECKS)
    found = check_strategy(Forecasting, CANDLES, forecasts=Reverting(), params={"peek": True})
    assert {"newest close"} <= {check.name for check in found.failed}


def test_one_that_reads_forecasts_and_is_given_none_is_told_so() -> None:
    [run, *_] = check_strategy(Forecasting, CANDLES).failed
    assert "carries no forecasts; pass" in run.detail
