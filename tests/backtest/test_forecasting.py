"""Several forecasters in one run: scored over the same bars, and one that fails left out with its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.backtest.checks import check
from forwardtrader.backtest.forecasting import Forecasts, tables, train
from forwardtrader.backtest.job import scored
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import simulate
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import changed
from forwardtrader.core.errors import ConfigError, TooLittleHistory
from forwardtrader.core.settings import Settings
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.strategies.backtrader.indicator import LSTMForecast

OWN = "tests.models.own_forecasters"
SMALL = {
    "models.train_window": "40d", "models.retrain_every": "14d", "models.horizons": [4], "models.baselines": ["zero"],
    "feeds.source": "sample",
}  # fmt: skip
HOUR = pd.Timedelta(hours=1)
FIRST, CLOCK = datetime(2022, 3, 1, tzinfo=UTC), FixedClock(datetime(2022, 4, 12, tzinfo=UTC))


def ran(folder: Path, *forecasters: str) -> tuple[Forecasts, dict[str, object]]:
    traded, *others = forecasters
    paths = {"models.save_path": str(folder / "models"), "models.forecaster": traded, "models.compared": others}
    request = BacktestRequest(settings=changed(Settings(), SMALL | paths), first=FIRST, last=CLOCK.at, quiet=True)
    check(request)
    markets = {"BTC/USDT": history(request)}
    forecasts = tables(train(markets, request, unheard), request, unheard)
    return forecasts, scored(request, markets, forecasts).part["BTC/USDT"]


def history(request: BacktestRequest) -> History:
    return load_history(request.settings.feeds, "BTC/USDT", start=None, end=CLOCK.at, clock=CLOCK)


def unheard(done: int, total: int) -> None:
    assert done <= total


def test_forecasters_are_scored_side_by_side_and_one_that_fails_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "left_out.py"
    file.write_text(
        "from tests.models.own_forecasters import Ridge\n\n\nclass Broken(Ridge):\n    def predict(self, panel):\n        return None\n"
    )
    forecasts, board = ran(tmp_path, f"{OWN}:Ridge", f"{OWN}:RIDGE", f"{OWN}:Spread", f"{file}:Broken", f"{OWN}:Ridge")
    assert forecasts.compared == ("RIDGE", "Spread", "Ridge 2")
    assert list(forecasts.left_out) == ["Broken"] and "Broken, fold 2022-0" in forecasts.left_out["Broken"]
    assert board["name"] == "Ridge"
    assert set(board["baselines"]) == {"zero", "RIDGE", "Spread", "Ridge 2"} == set(board["diebold_mariano"])
    assert set(board["confidence_set"]) == {"Ridge", "RIDGE", "Spread", "Ridge 2"}
    assert board["baselines"]["Ridge 2"]["rank_ic"] == board["lstm"]["rank_ic"]


def test_a_symbol_without_enough_history_waits_and_changes_nothing_for_the_others(tmp_path: Path) -> None:
    paths = {"models.save_path": str(tmp_path / "models"), "feeds.symbols": ["BTC/USDT", "ETH/USDT"]}
    settings = changed(Settings(), SMALL | paths | {"models.forecaster": f"{OWN}:Ridge"})
    request = BacktestRequest(settings=settings, first=FIRST, last=CLOCK.at, quiet=True)
    markets = {s: load_history(settings.feeds, s, start=None, end=CLOCK.at, clock=CLOCK) for s in settings.feeds.symbols}
    late = markets["ETH/USDT"]
    markets["ETH/USDT"] = replace(late, candles=late.candles.loc["2022-01-01":])
    walk = train(markets, request, unheard)
    [(symbol, at)] = walk.waiting().items()
    frame, alone = walk.frame(symbol, 4), train({"BTC/USDT": markets["BTC/USDT"]}, request, unheard)
    assert symbol == "ETH/USDT" and at is not None and FIRST < at < CLOCK.at
    assert frame["location"].first_valid_index() == at
    both = [each.frame("BTC/USDT", 4).loc[: at - HOUR, ["location", "scale"]] for each in (walk, alone)]
    assert both[0].equals(both[1]), "until it joins, the models learn from the other one alone"
    assert alone.waiting() == {}
    unready = {s: replace(h, candles=h.candles.loc["2022-02-20":]) for s, h in markets.items()}
    with pytest.raises(TooLittleHistory, match="do not fill a training window"):
        train(unready, request, unheard)


def test_a_forecaster_that_cannot_be_loaded_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    for forecasters in ((f"{OWN}:Rigde",), (f"{OWN}:Ridge", "nowhere:Mine")):
        with pytest.raises(ConfigError, match="--forecaster"):
            ran(tmp_path, *forecasters)


class Crossing(bt.Strategy):
    def __init__(self) -> None:
        self.above = bt.ind.CrossOver(self.data.close, bt.ind.SMA(period=20))

    def next(self) -> None:
        if self.above[0] and not self.position:
            self.buy()
        elif self.above[0]:
            self.close()


class Reading(Crossing):
    def __init__(self) -> None:
        super().__init__()
        self.forecast = LSTMForecast(self.data)


def too_short(strategy: str) -> tuple[BacktestRequest, dict[str, History]]:
    request = BacktestRequest(settings=changed(Settings(), SMALL), first=FIRST, last=CLOCK.at, quiet=True, strategy=strategy)
    whole = history(request)
    return request, {"BTC/USDT": replace(whole, candles=whole.candles.loc["2022-02-25":])}


def test_a_strategy_that_reads_no_forecasts_trades_a_history_too_short_to_train_on() -> None:
    request, markets = too_short(f"{__name__}:Crossing")
    forecasts = tables(train(markets, request, unheard), request, unheard)
    record = simulate(markets, forecasts, request)
    assert len(record.fills) > 10 and not record.reads_forecasts
    assert forecasts.table.empty and "\n" not in json.dumps(dict(forecasts.left_out))
    assert "reads no forecasts, and BTC/USDT: 0 bars of history before 2022-03-01 do not fill" in forecasts.left_out["lstm"]


def test_one_that_reads_them_is_told_how_much_history_there_is_and_so_is_our_own() -> None:
    request, markets = too_short(f"{__name__}:Reading")
    with pytest.raises(TooLittleHistory, match="0 bars of history before 2022-03-01 do not fill a training window of 40 days"):
        simulate(markets, tables(train(markets, request, unheard), request, unheard), request)
    with pytest.raises(TooLittleHistory, match="0 bars of history"):
        train(markets, replace(request, strategy=""), unheard)
