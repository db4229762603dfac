"""The strategy: the same run in every mode, a stop that guards each position, a state that survives a restart."""

from __future__ import annotations

import json
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.models.forecaster import LastValueForecaster, RecordedForecasts, normal_frame
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from tests.strategies.market import BTC, ETH, PERP, candles, feed, forecasts, knobs, run, source

EAGER = knobs(margin=0.2, holding="0d", min_trade=0.1)


def constant(bars: pd.DataFrame, location: float, scale: float = 0.03) -> RecordedForecasts:
    return RecordedForecasts(normal_frame(bars.index, np.full(len(bars), location), np.full(len(bars), scale), "c"), horizon=24)


def quiet(rows: int = 60, price: float = 100.0) -> pd.DataFrame:
    bars = candles(rows)
    bars[["open", "high", "low", "close"]] = price
    bars["high"], bars["low"] = price * 1.001, price * 0.999
    return bars


@pytest.fixture(scope="module")
def plain() -> Any:
    return record_of(run(candles(800), EAGER))


@pytest.mark.parametrize("options", [{"runonce": False}, {"preload": False}, {"exactbars": 1}, {"stdstats": True}], ids=str)
def test_every_mode_gives_the_same_fills_and_equity(plain: Any, options: dict[str, Any]) -> None:
    record = record_of(run(candles(800), EAGER, **options))
    assert len(plain.fills) > 10
    pd.testing.assert_frame_equal(record.fills, plain.fills, check_exact=True)
    pd.testing.assert_frame_equal(record.equity, plain.equity, check_exact=True)


def test_two_runs_in_one_process_are_equal(plain: Any) -> None:
    again = record_of(run(candles(800), EAGER))
    pd.testing.assert_frame_equal(again.fills, plain.fills, check_exact=True)


@pytest.mark.parametrize("cut", [250, 433, 799])
def test_what_comes_later_changes_no_earlier_fill(plain: Any, cut: int) -> None:
    bars = candles(800)
    bumped = bars.copy()
    bumped.iloc[cut:, :4] *= 1.5
    record = record_of(run(bumped, EAGER, forecast=source(bars)))
    before = plain.fills[plain.fills["timestamp"] < bars.index[cut]]
    pd.testing.assert_frame_equal(record.fills.iloc[: len(before)], before, check_exact=True)


def test_a_forecaster_without_an_opinion_never_trades() -> None:
    record = record_of(run(candles(400), forecast=LastValueForecaster(24, window=48)))
    assert record.fills.empty
    assert set(record.equity["equity"]) == {10_000.0}


def test_a_lasting_edge_is_bought_once_and_held_under_one_stop() -> None:
    bars = quiet()
    strategy = run(bars, forecast=constant(bars, 0.02))
    fills = record_of(strategy).fills
    assert len(fills) == 1
    assert fills["timestamp"].iloc[0] == bars.index[1]  # decided at the first close, filled at the next open
    assert fills["reason"].iloc[0].startswith("edge beats costs (edge 302.1 bp, exposure 0.000 to ")
    (stop,) = strategy.broker.get_orders_open()
    assert (stop.info.role, stop.exectype, -stop.size) == ("stop", bt.Order.Stop, strategy.position.size)
    assert stop.created.price == pytest.approx(fills["price"].iloc[0] * 0.94, abs=0.02)


def test_a_stop_loses_no_more_than_the_risk_tolerance_and_is_followed_by_a_pause() -> None:
    settings = knobs(cooldown="10h")
    bars = quiet()
    bars.iloc[20:, :4] *= 0.95
    bars.iloc[30:, :4] *= 0.95
    strategy = run(bars, settings, forecast=constant(bars, 0.02))
    record = record_of(strategy)
    stop = record.fills.iloc[1]
    assert stop["reason"] == "protective stop"
    assert stop["timestamp"] == bars.index[30]
    unslipped = 10_000 * (1 - record.equity["equity"].iloc[31] / 10_000)
    gap = record.fills["size"].iloc[0] * (94.0 - bars["open"].iloc[30])  # the open lay below the stop: no stop helps there
    assert unslipped - gap <= settings.risk_tolerance * 10_000
    assert record.fills["timestamp"].iloc[2] == bars.index[41]  # paused for 10 bars, decided on the eleventh


def test_a_position_whose_stop_is_passed_before_it_rests_is_closed_at_once() -> None:
    bars = quiet()
    bars.loc[bars.index[1], ["low", "close"]] = 90.0
    bars.iloc[2:, :4] *= 0.9
    fills = record_of(run(bars, forecast=constant(bars, 0.02))).fills
    assert fills["timestamp"].to_list()[:2] == [bars.index[1], bars.index[2]]
    assert fills["reason"].iloc[1] == "price is beyond the stop already"


def test_the_stop_follows_the_position_when_exposure_shrinks() -> None:
    bars = quiet()
    scale = np.where(np.arange(60) < 30, 0.03, 0.06)
    frame = normal_frame(bars.index, np.full(60, 0.05), scale, "c")
    strategy = run(bars, forecast=RecordedForecasts(frame, horizon=24))
    fills = record_of(strategy).fills
    assert fills["side"].to_list() == ["buy", "sell"]
    assert "risk limit shrank" in fills["reason"].iloc[1]
    (stop,) = strategy.broker.get_orders_open()
    assert -stop.size == pytest.approx(fills["size"].iloc[0] - fills["size"].iloc[1])


def test_a_drawdown_halts_and_trading_resumes_by_itself() -> None:
    from datetime import timedelta

    settings = knobs(max_drawdown=0.005, halt_for=timedelta(hours=12), stop_scales=5, risk_tolerance=0.5, max_daily_loss=1)
    bars = quiet()
    bars.iloc[20:, :4] *= 0.95
    record = record_of(run(bars, settings, forecast=constant(bars, 0.02)))
    assert record.fills["reason"].str.split(" (", regex=False).str[0].to_list() == ["edge beats costs", "drawdown halt", "edge beats costs"]
    assert record.fills["timestamp"].to_list() == [bars.index[1], bars.index[21], bars.index[33]]


def test_no_model_in_force_means_no_position() -> None:
    bars = quiet()
    frame = normal_frame(bars.index, np.full(60, 0.02), np.where(np.arange(60) < 30, 0.03, np.nan), "c")
    fills = record_of(run(bars, forecast=RecordedForecasts(frame, horizon=24))).fills
    assert fills["side"].to_list() == ["buy", "sell"]
    assert fills["reason"].iloc[1].startswith("no model in force")


def test_spot_is_never_sold_short_and_a_perpetual_is_where_shorts_are_allowed() -> None:
    bars, settings = quiet(), knobs(allow_short=True)
    assert record_of(run(bars, settings, forecast=constant(bars, -0.02))).fills.empty
    assert record_of(run(bars, knobs(), rules=PERP, forecast=constant(bars, -0.02))).fills.empty
    strategy = run(bars, settings, rules=PERP, forecast=constant(bars, -0.02))
    assert strategy.position.size < 0
    (stop,) = strategy.broker.get_orders_open()
    assert stop.isbuy() and stop.created.price == pytest.approx(106, abs=0.1)


def test_a_fee_in_base_currency_leaves_the_strategy_able_to_sell_what_it_has() -> None:
    from dataclasses import replace

    strategy = run(candles(800), EAGER, rules=replace(BTC, fee_in_base=True))
    record = record_of(strategy)
    assert set(record.fills["fee_currency"]) == {"BTC", "USDT"}
    assert record.equity["exposure"].between(-1e-9, 1).all()


def test_several_symbols_share_one_account() -> None:
    btc, eth = candles(800, 1), candles(800, 2, price=1500.0)
    feeds = [feed(btc, source(btc, 3)), feed(eth, source(eth, 4), ETH)]
    record = record_of(build_cerebro(feeds, EAGER).run()[0])
    assert set(record.fills["symbol"]) == {"BTC/USDT", "ETH/USDT"}
    assert record.equity["exposure"].max() <= 1.0
    assert record.equity["cash"].min() >= 0.0
    assert {"close:BTC/USDT", "close:ETH/USDT"} <= set(record.equity.columns)


def test_a_symbol_that_starts_later_does_not_keep_the_first_from_trading() -> None:
    btc, eth = candles(800, 1), candles(800, 2, price=1500.0).iloc[400:]
    for options in ({}, {"runonce": False}):
        feeds = [feed(btc, source(btc, 3)), feed(eth, source(eth, 4), ETH)]
        fills = record_of(build_cerebro(feeds, EAGER, **options).run()[0]).fills
        assert fills["timestamp"].iloc[0] < eth.index[0]
        assert set(fills["symbol"]) == {"BTC/USDT", "ETH/USDT"}


class Stopping(LSTMStrategy):
    """Ends the run after so many bars, and keeps its state as a live session does."""

    params = (("bars", 0),)

    def next(self) -> None:
        super().next()
        if len(self.data) == self.p.bars:
            self.kept = json.loads(json.dumps(self.state()))
            self.env.runstop()


class Continued(LSTMStrategy):
    """Starts on the bar the first process ended with, and finds the account as that one left it."""

    params = (("left", None),)

    def next(self) -> None:
        if len(self.data) == 1:
            self._find_the_account(self.p.left.broker, self.p.left.data)
        else:
            super().next()

    def _find_the_account(self, left: Any, data: Any) -> None:
        broker, position = self.broker, self.broker.getposition(self.data)
        broker.cash, position.size, position.price = left.cash, left.positions[data].size, left.positions[data].price
        for order in [*left.pending, *left.submitted]:
            send = broker.buy if order.isbuy() else broker.sell
            feed = self._by_data[id(self.data)]
            feed.adopt(send(self, self.data, abs(order.size), order.created.price, None, order.exectype, **order.info))


@pytest.mark.parametrize("at", [60, 150, 301, 302, 303, 304, 620])
def test_a_restart_in_the_middle_goes_on_as_if_nothing_had_happened(at: int) -> None:
    bars = candles(800)
    frame = forecasts(bars)
    forecast = RecordedForecasts(frame, horizon=24)
    whole = record_of(run(bars, EAGER, forecast=forecast))
    first = run(bars, EAGER, forecast=forecast, strategy=Stopping, strategy_params={"bars": at}, runonce=False)
    assert len(first.data) == at
    rest = [feed(bars.iloc[at - 1 :], forecast)]
    second = build_cerebro(rest, EAGER, strategy=Continued, strategy_params={"left": first}, saved=first.kept).run()[0]
    expected = whole.fills[whole.fills["timestamp"] > bars.index[at - 1]].drop(columns="order_ref").reset_index(drop=True)
    assert len(expected) > 3
    pd.testing.assert_frame_equal(record_of(second).fills.drop(columns="order_ref"), expected, check_exact=True)
    assert record_of(second).equity["equity"].iloc[-1] == whole.equity["equity"].iloc[-1]


def test_a_state_of_another_version_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="version 99"):
        run(candles(60), saved={"version": 99})
