"""Limits of the account in a backtest: each stops a strategy that knows nothing of them, and says so."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import MarketRules
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.strategies.backtrader.assembly import Record, build_cerebro, record_of
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from forwardtrader.strategies.backtrader.recorders.order_recorder import OrderRecorder
from forwardtrader.strategies.backtrader.strategy import LSTMStrategy
from forwardtrader.strategies.trading_state.guard import TradingGuard
from forwardtrader.strategies.trading_state.limits import TradingState
from tests.strategies.market import BTC, ETH, PERP, candles, feed, forecasts, knobs, source

FREE = knobs(fee_bps=0, slippage_bps=0, cash=1000.0)


class Script(bt.Strategy):
    """Does on bar n what `steps[n]` says."""

    params = (("steps", {}),)

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.held: list[float] = []

    def next(self) -> None:
        self.held.append(self.broker.holdings.held[self.data].size)
        step = self.p.steps.get(len(self.data) - 1)
        if step is not None:
            made = step(self)
            self.orders += made if isinstance(made, list) else [made] if made is not None else []


class InAndOut(bt.Strategy):
    """Buys whenever it is flat, and sells five bars later."""

    def next(self) -> None:
        for data in self.datas:
            if not self.getposition(data).size:
                self.buy(data=data, size=0.02)
            elif len(self) % 5 == 0:
                self.close(data=data)


def path(*closes: float) -> pd.DataFrame:
    """Bars that open at the close before and reach no farther than open and close."""
    bars = candles(len(closes))
    bars["close"] = list(closes)
    bars["open"] = [closes[0], *closes[:-1]]
    bars["high"], bars["low"] = bars[["open", "close"]].max(axis=1), bars[["open", "close"]].min(axis=1)
    bars["volume"] = 1.0
    return bars


def play(bars: pd.DataFrame, steps: dict[int, Callable[[Any], Any]], rules: MarketRules = BTC, **risk: Any) -> Any:
    guard = TradingGuard.of(RiskSettings(**risk))
    return build_cerebro([feed(bars, rules=rules)], FREE, strategy=Script, strategy_params={"steps": steps}, guard=guard).run()[0]


def limits_of(strategy: Any) -> Any:
    return record_of(strategy).limits


def refusals(strategy: Any) -> list[str]:
    return [str(order.info.get("refusal", "")) for order in strategy.orders]


BUY: dict[int, Callable[[Any], Any]] = {0: lambda s: s.buy(size=5)}


def test_a_drawdown_sells_everything_and_takes_no_order_until_the_end() -> None:
    s = play(path(100, 100, 120, 95, 95, 200, 200), {**BUY, 4: lambda s: s.buy(size=1), 5: lambda s: s.buy(size=1)}, max_drawdown=0.1)
    assert s.held == [0, 5, 5, 5, 0, 0, 0]  # decided at the close of the fourth bar, done at the next open
    assert refusals(s)[1:] == ["halted (risk.max_drawdown)"] * 2
    found = limits_of(s)
    assert (found.state, found.count, found.refused) == (TradingState.HALTED, 1, {"halted (risk.max_drawdown)": 2})
    assert found.records[0].at == datetime(2022, 1, 1, 3, tzinfo=UTC).timestamp()
    assert record_of(s).refused == {}  # the venue refused nothing


def test_a_drawdown_may_only_reduce_and_end_by_itself() -> None:
    steps = {**BUY, 3: lambda s: s.buy(size=1), 4: lambda s: s.sell(size=2), 6: lambda s: s.buy(size=1)}
    s = play(path(100, 100, 120, 95, 95, 95, 95, 95), steps, max_drawdown=0.1, on_drawdown="reduce", drawdown_rearm="3h")
    assert refusals(s) == ["", "reduce only (risk.max_drawdown)", "", ""]
    assert s.held == [0, 5, 5, 5, 5, 3, 3, 4]
    assert limits_of(s).records[0].until == datetime(2022, 1, 1, 6, tzinfo=UTC).timestamp()


def test_a_halt_leaves_protective_stops_and_nothing_else() -> None:
    steps = {
        **BUY,
        1: lambda s: [s.sell(size=2, exectype=bt.Order.Stop, price=80), s.buy(size=1, exectype=bt.Order.Limit, price=70)],
        3: lambda s: [s.sell(size=3), s.sell(size=3, exectype=bt.Order.Stop, price=75)],
    }
    s = play(path(100, 100, 100, 90, 90, 79, 70, 60), steps, max_drawdown=0.03, on_drawdown="halt")
    assert refusals(s)[1:] == ["", "", "halted (risk.max_drawdown)", ""]
    assert s.orders[2].status == bt.Order.Canceled  # the entry that rested
    assert s.held == [0, 5, 5, 5, 5, 3, 0, 0]


def test_a_daily_loss_lasts_until_the_next_utc_day() -> None:
    prices = [100.0] * 20 + [80.0] * 10
    s = play(
        path(*prices), {**BUY, 21: lambda s: s.buy(size=1), 23: lambda s: s.buy(size=1), 24: lambda s: s.buy(size=1)}, max_daily_loss=0.05
    )
    assert refusals(s)[1:] == ["reduce only (risk.max_daily_loss)"] * 2 + [""]
    assert limits_of(s).state is TradingState.ACTIVE


def test_losing_trades_in_a_row_pause_for_a_time() -> None:
    steps = {n: (lambda s: s.buy(size=1)) if n % 2 == 0 else (lambda s: s.close()) for n in range(8)}
    s = play(path(*range(100, 80, -2)), steps, max_losing_streak=2, losing_streak_rearm="2h")
    assert [reason for reason in refusals(s) if reason] == ["reduce only (risk.max_losing_streak)"]
    assert limits_of(s).count == 1


@pytest.mark.parametrize(("risk", "words"), [({"max_gross_exposure": 0.5}, "max_gross"), ({"max_symbol_exposure": 0.5}, "max_symbol")])
def test_an_entry_beyond_the_exposure_limit_is_refused(risk: dict[str, float], words: str) -> None:
    steps = {0: lambda s: s.buy(size=4), 1: lambda s: [s.buy(size=2), s.buy(size=1), s.buy(size=1)], 3: lambda s: s.close()}
    s = play(path(100, 100, 100, 100, 100, 100), steps, **risk)
    assert [bool(reason) for reason in refusals(s)] == [False, True, False, True, False]
    assert words in refusals(s)[1]
    assert s.held == [0, 4, 4 + 1, 5, 0, 0]


def test_too_many_orders_are_refused_by_bar_and_by_hour_and_a_bracket_counts_once() -> None:
    steps: dict[int, Callable[[Any], Any]] = {
        0: lambda s: [*s.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=50, limitprice=150), s.buy(size=1)],
        1: lambda s: s.buy(size=1),
    }
    s = play(path(100, 100, 100, 100), steps, max_orders_per_bar=1)
    assert refusals(s) == ["", "", "", "more than 1 orders in a bar (risk.max_orders_per_bar)", ""]
    s = play(path(100, 100, 100, 100), {0: lambda s: s.buy(size=1), 1: lambda s: s.buy(size=1)}, max_orders_per_hour=1)
    assert refusals(s) == ["", ""]  # bars are an hour apart


class Aged(RecordedForecasts):
    """Forecasts of a model that was trained once."""

    def trained_at(self, at: datetime) -> datetime | None:
        return datetime(2021, 12, 31, tzinfo=UTC)


class Reader(Script):
    def __init__(self) -> None:
        super().__init__()
        self.forecast = LSTMForecast(self.data)  # type: ignore[call-arg]


@pytest.mark.parametrize(("kind", "words"), [(Reader, "reduce only (risk.max_model_age)"), (Script, "")])
def test_an_old_model_takes_no_entries_of_a_strategy_that_reads_it(kind: type[bt.Strategy], words: str) -> None:
    bars = path(*[100.0] * 60)
    aged = Aged(forecasts(bars), horizon=24)
    guard = TradingGuard.of(RiskSettings(max_model_age=timedelta(days=3)))
    steps = {47: lambda s: s.buy(size=1), 55: lambda s: s.buy(size=1)}
    [s] = build_cerebro([feed(bars, aged)], FREE, strategy=kind, strategy_params={"steps": steps}, guard=guard).run()
    assert refusals(s) == ["", words]


def test_cash_that_is_taken_out_is_no_loss() -> None:
    steps = {**BUY, 2: lambda s: s.broker.add_cash(-400.0) or [], 5: lambda s: s.buy(size=1), 6: lambda s: s.broker.add_cash(9000.0) or []}
    s = play(path(*[100.0] * 9), steps, max_drawdown=0.1, max_daily_loss=0.1)
    assert limits_of(s).count == 0
    assert s.broker.get_value() == 9600.0


def test_cash_that_is_taken_out_is_no_loss_for_our_own_strategy_either() -> None:
    class Withdrawing(LSTMStrategy):
        def next(self) -> None:
            if len(self) == 100:
                self.broker.add_cash(-5000.0)
            super().next()

    bars = path(*[100.0] * 200)
    [s] = build_cerebro([feed(bars, source(bars))], knobs(), strategy=Withdrawing).run()
    assert s.risk.gate.name == "OPEN"
    assert s.risk.peak == s.broker.get_value() == 5000.0


def run_in_and_out(risk: RiskSettings, seed: int = 1, *, guard: TradingGuard | None = None) -> tuple[Record, pd.DataFrame]:
    feeds = [feed(candles(400, seed)), feed(candles(400, seed + 1, 1500.0), rules=ETH)]
    [s] = build_cerebro(
        feeds, knobs(), strategy=InAndOut, guard=guard or TradingGuard.of(risk), analyzers=[(OrderRecorder, {"_name": "orders"})]
    ).run()
    return record_of(s), s.analyzers.orders.frame()


def test_a_run_whose_limits_are_never_reached_is_the_run_without_them() -> None:
    plain, orders = run_in_and_out(RiskSettings())
    wide = RiskSettings(max_drawdown=0.99, max_daily_loss=0.99, max_losing_streak=10_000, max_gross_exposure=9.0, max_orders_per_bar=100)
    limited, same = run_in_and_out(wide)
    pd.testing.assert_frame_equal(plain.fills, limited.fills, check_exact=True)
    pd.testing.assert_frame_equal(plain.equity, limited.equity, check_exact=True)
    pd.testing.assert_frame_equal(orders, same, check_exact=True)
    assert plain.limits is None


class Reckless(bt.Strategy):
    """Sends whatever it draws, of every kind."""

    params = (("seed", 0),)

    def __init__(self) -> None:
        self.draw = random.Random(self.p.seed)
        self.seen: list[tuple[TradingState, float]] = []

    def next(self) -> None:
        self.seen.append((self.broker.guard.trading_state, self.position.size))
        close, draw = self.data.close[0], self.draw
        send = draw.choice([self.buy, self.sell])
        kind = draw.choice([bt.Order.Market, bt.Order.Limit, bt.Order.Stop])
        send(size=draw.choice([0.05, 0.1, 0.2]), exectype=kind, price=round(close * draw.uniform(0.98, 1.02), 2))
        if draw.random() < 0.2:
            self.buy_bracket(size=0.1, price=close, stopprice=close * 0.98, limitprice=close * 1.02)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1000), st.sampled_from(["reduce", "halt", "flatten"]), st.sampled_from([BTC, PERP]))
def test_exposure_never_grows_while_the_account_is_not_active(seed: int, action: str, rules: MarketRules) -> None:
    guard = TradingGuard.of(
        RiskSettings(max_drawdown=0.04, on_drawdown=action, drawdown_rearm="2d", max_daily_loss=0.01, on_daily_loss=action)
    )
    bars = candles(150, seed)
    [s] = build_cerebro(
        [feed(bars, rules=rules)], knobs(allow_short=True), strategy=Reckless, strategy_params={"seed": seed}, guard=guard
    ).run()
    for (state, before), (_, after) in zip(s.seen[:-1], s.seen[1:], strict=True):
        if state is not TradingState.ACTIVE:
            assert abs(after) <= abs(before) + 1e-9
            assert before * after >= 0.0


def test_the_state_of_a_guard_is_plain_json_and_goes_on_from_any_bar() -> None:
    risk = RiskSettings(max_drawdown=0.05, drawdown_rearm="2d", max_daily_loss=0.01, max_losing_streak=3, max_orders_per_hour=5)
    whole = TradingGuard.of(risk)
    assert whole is not None

    class Restarting(TradingGuard):
        """Forgets all but its saved state, at every bar."""

        def on_bar(self, *args: Any, **kwargs: Any) -> None:
            super().on_bar(*args, **kwargs)
            saved, moved = json.loads(json.dumps(self.as_dict(), allow_nan=False)), self._moved
            TradingGuard.__init__(self, self.limits, saved)
            self._moved = moved

    plain, orders = run_in_and_out(risk, guard=whole)
    restarted, same = run_in_and_out(risk, guard=Restarting(whole.limits))
    assert plain.limits == restarted.limits
    assert plain.limits is not None
    assert plain.limits.count > 2
    pd.testing.assert_frame_equal(orders, same, check_exact=True)


@pytest.mark.parametrize("kind", [LSTMStrategy, InAndOut])
def test_sizes_that_follow_from_the_settings_stay_within_the_exposure_limit(kind: type[bt.Strategy]) -> None:
    class Sized(kind):  # type: ignore[misc,valid-type]
        """Leaves the size to the settings."""

        def buy(self, **given: Any) -> Any:
            return super().buy(**(given if kind is LSTMStrategy else {"data": given["data"]}))

    guard = TradingGuard.of(RiskSettings(max_gross_exposure=0.2))
    bars = candles(600)
    record = record_of(build_cerebro([feed(bars, source(bars))], knobs(margin=0.1), strategy=Sized, guard=guard).run()[0])
    assert len(record.fills) > 5
    assert record.limits is not None
    assert record.limits.refused == {}
    assert 0.15 < record.equity["exposure"].max() < 0.25  # prices move on after the entry


def test_a_feed_that_carries_no_orders_is_no_hindrance() -> None:
    guard = TradingGuard.of(RiskSettings(max_drawdown=0.03, max_losing_streak=2, max_model_age=timedelta(days=40)))
    cerebro = build_cerebro([feed(candles(200))], knobs(), strategy=OnTheFirst, guard=guard)
    cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Minutes, compression=240)
    found = record_of(cerebro.run()[0]).limits
    assert found is not None
    assert found.count > 0


class OnTheFirst(bt.Strategy):
    """Trades the first feed by the clock of both."""

    def next(self) -> None:
        if self.position:
            self.close()
        else:
            self.buy(size=0.1)


def test_a_broker_that_knows_no_limits_is_refused() -> None:
    guard = TradingGuard.of(RiskSettings(max_drawdown=0.1))
    with pytest.raises(InvalidSetting, match="need a broker of forwardtrader"):
        build_cerebro([feed(candles(5))], FREE, strategy=Script, broker=bt.brokers.BackBroker(), guard=guard)
