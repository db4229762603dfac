"""A strategy that looks ahead is caught on the bars it decided on; one that hardly traded is neither cleared nor accused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest import simulation
from forwardtrader.backtest.audit.outcome import AuditOutcome
from forwardtrader.backtest.audit.proofs import _Bench
from forwardtrader.backtest.audit.strategy_proofs import FEWEST_FILLS, TradedRun, order_bars, strategy_proofs
from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.simulation import simulate_with_orders
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.models.checks.look_ahead import Leak, LookAheadResult, Proof
from forwardtrader.models.folds.walk import WalkForward
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from tests.backtest.audit.stock_hours import stock_hours
from tests.reports.simulated import candles

CLOCK = FixedClock(datetime(2023, 1, 1, tzinfo=UTC))
SPAN = timedelta(days=24)


class Honest(bt.Strategy):
    """Follows the last close, so it trades often; on its very first bar `close[-1]` is the newest close of all, as in any list."""

    def next(self) -> None:
        if len(self.data) % 4 == 0:
            self.order_target_percent(target=0.5 if self.data.close[0] > self.data.close[-1] else 0.0)


class Bracketed(bt.Strategy):
    """Rests a stop and a limit so near that the next bar decides which of them is filled."""

    stop_order: Any = None

    def next(self) -> None:
        held, price = self.position.size, self.data.close[0]
        if held < 0.01 and len(self.data) % 9 == 0:
            self.buy(size=0.1)
        elif held >= 0.01 and (self.stop_order is None or not self.stop_order.alive()):
            self.stop_order = self.sell(size=held, exectype=bt.Order.Stop, price=price * 0.999)
            self.sell(size=held, exectype=bt.Order.Limit, price=price * 1.001, oco=self.stop_order)


class OnTheForecast(bt.Strategy):
    """Holds while the forecast rises."""

    def __init__(self) -> None:
        self.forecast = LSTMForecast(self.data)

    def next(self) -> None:
        if len(self.data) % 4 == 0:
            self.order_target_percent(target=0.5 if self.forecast.location[0] > self.forecast.location[-1] else 0.0)


class Idle(bt.Strategy):
    """Never trades."""


class TwoFills(bt.Strategy):
    """Buys once and sells once."""

    def next(self) -> None:
        moment = f"{self.data.datetime.datetime(0):%m-%d %H}"
        if moment in ("04-10 00", "04-12 00"):
            self.order_target_percent(target=0.5 if moment.startswith("04-10") else 0.0)


class Seldom(bt.Strategy):
    """Asks once in a hundred bars whether the next one rises."""

    def ahead(self, line: Any) -> float:
        return float(line[1]) if len(self.data) < self.data.buflen() else float(line[0])

    def rises(self) -> bool:
        return self.ahead(self.data.close) > self.data.close[0]

    def next(self) -> None:
        if len(self.data) % 100 == 0 and not self.position and self.rises():
            self.order_target_percent(target=0.5)
        elif self.position and len(self.data) % 100 == 50:
            self.order_target_percent(target=0.0)


class OfTheNextColour(Seldom):
    def rises(self) -> bool:
        return self.ahead(self.data.close) > self.ahead(self.data.open)


class OfTheNextOpen(Seldom):
    def rises(self) -> bool:
        return self.ahead(self.data.open) >= self.data.close[0]


class OfTheNextVolume(Seldom):
    def rises(self) -> bool:
        return self.ahead(self.data.volume) > self.data.volume[0]


class OfTheNextForecast(Seldom):
    def __init__(self) -> None:
        self.forecast = LSTMForecast(self.data)

    def rises(self) -> bool:
        return self.ahead(self.forecast.location) > 0.0


class FitToAllBars(bt.Strategy):
    """Once a day, buys below the mean of the whole sample and sells above it."""

    def next(self) -> None:
        if len(self.data) % 24:
            return
        mean = float(np.mean(self.data.close.array[: self.data.buflen()]))
        if self.data.close[0] < mean and not self.position:
            self.buy(size=0.1)
        elif self.data.close[0] > mean and self.position:
            self.close()


class ByTheLastPrice(bt.Strategy):
    """Rests orders that are never filled, at prices that the newest close of all decides: only the orders give it away."""

    def next(self) -> None:
        if len(self.data) % 50 == 0:
            price = 0.001 * self.data.close.array[self.data.buflen() - 1]
            self.buy(size=0.01, exectype=bt.Order.Limit, price=price, valid=timedelta(hours=2))


class NextClose(bt.Strategy):
    """Reads the next close at every bar, and trades often."""

    def next(self) -> None:
        if len(self.data) < self.data.buflen():
            self.order_target_percent(target=0.5 if self.data.close[1] > self.data.close[0] else 0.0)


class LeakingFeed(bt.Strategy):
    """Joins longer bars of its own in pandas, each of which is there from its first hour on."""

    def __init__(self) -> None:
        closes = pd.Series(self.data.close.array)
        self.longer = closes.groupby(closes.index // 4).transform("last")

    def next(self) -> None:
        if len(self.data) % 2:
            rises = self.longer[len(self.data) - 1] > self.data.close[0]
            self.order_target_percent(target=0.5 if rises else 0.0)


class FitInInit(bt.Strategy):
    """Scales its prices by mean and spread of the whole sample before the first bar."""

    def __init__(self) -> None:
        closes = np.array(self.data.close.array)
        self.score = (closes - closes.mean()) / closes.std()

    def next(self) -> None:
        score = self.score[len(self.data) - 1]
        if score < -0.1 and not self.position:
            self.buy(size=0.1)
        elif score > 0.1 and self.position:
            self.close()


class CheatingTimer(bt.Strategy):
    """Asks for the coming bar before the broker has seen it."""

    def __init__(self) -> None:
        self.add_timer(when=bt.Timer.SESSION_START, cheat=True)


class OnTheClose(bt.Strategy):
    """Trades at the very close that it decides on."""

    def __init__(self) -> None:
        self.broker.set_coc(True)


AHEAD = (Seldom, OfTheNextColour, OfTheNextOpen, OfTheNextVolume, OfTheNextForecast, FitToAllBars, ByTheLastPrice)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Bench, WalkForward]:
    """Two symbols and one small network for both, trained once."""
    folder = tmp_path_factory.mktemp("bench")
    words = ["--from", "2022-04-05", "--to", "2022-04-28", "--jobs", "1", "--quiet", "--train-window", "45d", "--retrain-every", "20d"]
    for seed, symbol in enumerate(("AAA/USDT", "BBB/USDT")):
        path = folder / f"{symbol[:3]}.csv"
        candles(118 * 24, seed=seed + 3).reset_index().to_csv(path, index=False)
        words += ["--symbol", symbol, "--data", f"{symbol}={path}"]
    for value in ("seeds=1", "epochs=1", "units=4", "horizons=[1,4]", f"save_path={folder / 'models'}"):
        words += ["--set", f"models.{value}"]
    asked = read_request([*words, "--set", "strategies.horizon=1", "--out", str(folder / "out")], CLOCK)
    made = _Bench(asked, load_markets(asked, CLOCK), folder / "runs")
    return made, made.run(SPAN, trade=False).walk


@pytest.fixture(scope="module")
def stock_bench(tmp_path_factory: pytest.TempPathFactory) -> tuple[_Bench, WalkForward]:
    """A stock of which a bar is missing every night, weekend and holiday."""
    folder = tmp_path_factory.mktemp("stock")
    stock_hours(240, seed=5).reset_index().to_csv(folder / "AAA.csv", index=False)
    words = ["--from", "2022-03-14", "--to", "2022-04-28", "--jobs", "1", "--quiet", "--train-window", "120d", "--retrain-every", "60d"]
    words += ["--symbol", "AAA/USDT", "--data", f"AAA/USDT={folder / 'AAA.csv'}"]
    for value in ("seeds=1", "epochs=1", "units=4", "horizons=[1,4]", f"save_path={folder / 'models'}"):
        words += ["--set", f"models.{value}"]
    asked = read_request([*words, "--set", "strategies.horizon=1", "--out", str(folder / "out")], CLOCK)
    made = _Bench(asked, load_markets(asked, CLOCK), folder / "runs")
    return made, made.run(timedelta(days=44), trade=False).walk


def traded(bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy] | None, symbols: int = 1) -> TradedRun:
    made, walk = bench
    markets = dict(list(made.markets.items())[:symbols])
    name = "" if strategy is None else f"{__name__}:{strategy.__name__}"
    request = replace(made.request, strategy=name, last=made.end)
    return TradedRun(request, markets, AuditOutcome(walk, *simulate_with_orders(markets, Forecasts(walk, pd.DataFrame(), {}), request)))


def results(proofs: Mapping[str, Proof]) -> set[LookAheadResult]:
    return {proof.result for proof in proofs.values()}


def proven(found: TradedRun) -> dict[str, Proof]:
    return {proof.name: proof for proof in strategy_proofs(found)}


@pytest.mark.parametrize("strategy", AHEAD, ids=lambda strategy: strategy.__name__)
def test_a_strategy_that_looks_ahead_is_caught_however_seldom_it_trades(
    bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy]
) -> None:
    found = traded(bench, strategy)
    assert found.fills < FEWEST_FILLS
    proof = proven(found)["newest close"]
    assert (proof.result, proof.leak) == (LookAheadResult.FAILED, Leak.AHEAD), proof.detail
    assert "look ahead" in proof.detail


@pytest.mark.parametrize("strategy", [NextClose, LeakingFeed, FitInInit], ids=lambda strategy: strategy.__name__)
def test_a_strategy_that_looks_ahead_and_trades_often_is_caught_too(bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy]) -> None:
    proofs = proven(traded(bench, strategy)).values()
    assert LookAheadResult.FAILED in {proof.result for proof in proofs}, [proof.detail for proof in proofs]


@pytest.mark.parametrize("strategy", [CheatingTimer, OnTheClose], ids=lambda strategy: strategy.__name__)
def test_a_strategy_that_cheats_is_refused_before_anything_is_proven(
    bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy]
) -> None:
    with pytest.raises(InvalidSetting, match="at prices that are not known when it decides"):
        traded(bench, strategy)


@pytest.mark.parametrize(("strategy", "symbols"), [(Honest, 2), (Bracketed, 1), (OnTheForecast, 1)])
def test_an_honest_strategy_with_many_fills_passes(bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy], symbols: int) -> None:
    found = traded(bench, strategy, symbols)
    assert found.fills >= FEWEST_FILLS
    proofs = proven(found)
    assert results(proofs) == {LookAheadResult.PASSED}, proofs
    assert all(f"{found.fills} fills" in proof.detail for proof in proofs.values())


@pytest.mark.parametrize(("strategy", "fills"), [(Idle, "0 fills"), (TwoFills, "2 fills")])
def test_a_strategy_that_hardly_traded_is_not_testable(bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy], fills: str) -> None:
    proofs = proven(traded(bench, strategy))
    assert set(proofs) == {"truncation", "newest close"}
    assert results(proofs) == {LookAheadResult.NOT_TESTABLE}
    for proof in proofs.values():
        assert not proof.passed
        assert f"strategy: {fills} from 2022-04-05 to 2022-04-2" in proof.detail
        assert "20 are needed" in proof.detail and "--from" in proof.detail


@pytest.mark.slow
def test_on_the_hours_of_a_stock_an_honest_strategy_passes(stock_bench: tuple[_Bench, WalkForward]) -> None:
    found = traded(stock_bench, Honest)
    assert found.fills >= FEWEST_FILLS
    assert results(proven(found)) == {LookAheadResult.PASSED}, proven(found)


@pytest.mark.slow
def test_on_the_hours_of_a_stock_a_look_ahead_is_caught(stock_bench: tuple[_Bench, WalkForward]) -> None:
    proofs = proven(traded(stock_bench, NextClose))
    assert LookAheadResult.FAILED in results(proofs), proofs


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [CheatingTimer, OnTheClose], ids=lambda strategy: strategy.__name__)
def test_on_the_hours_of_a_stock_a_cheat_is_refused(stock_bench: tuple[_Bench, WalkForward], strategy: type[bt.Strategy]) -> None:
    with pytest.raises(InvalidSetting, match="at prices that are not known when it decides"):
        traded(stock_bench, strategy)


def test_our_own_strategy_is_never_accused(bench: tuple[_Bench, WalkForward]) -> None:
    assert LookAheadResult.FAILED not in results(proven(traded(bench, None, 2)))


def test_a_feed_that_shows_the_next_bar_is_caught(bench: tuple[_Bench, WalkForward], monkeypatch: pytest.MonkeyPatch) -> None:
    honest = simulation.frame_data

    def early(bars: pd.DataFrame, *args: Any, **options: Any) -> Any:
        return honest(bars.assign(close=bars["close"].shift(-1).ffill()), *args, **options)

    monkeypatch.setattr(simulation, "frame_data", early)
    found = traded(bench, Honest)
    assert found.fills >= FEWEST_FILLS
    assert proven(found)["newest close"].result is LookAheadResult.FAILED


def test_bars_of_every_side_and_kind_of_order_are_looked_at(bench: tuple[_Bench, WalkForward]) -> None:
    found = traded(bench, Bracketed)
    orders = found.outcome.orders
    assert orders is not None
    chosen = orders.loc[orders["timestamp"].isin(order_bars(found))]
    assert set(chosen["kind"]) == set(orders["kind"]) == {"Market", "Stop", "Limit"}
    assert order_bars(found) == order_bars(found) and 4 <= len(order_bars(found)) <= 12
