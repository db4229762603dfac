"""The same strategy on shifted forecasts: the fast replay equals Backtrader, and a strategy that does not listen gains nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest import shifted_runs
from forwardtrader.backtest.forecasting import Forecasts, tables, train
from forwardtrader.backtest.job import judge_market
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.shifted_runs import SHIFTS, ShiftedSources, shifted_backtests, shifted_replays
from forwardtrader.backtest.simulation import simulate, tapes_of
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import changed
from forwardtrader.core.settings import Settings
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts, shifted
from forwardtrader.strategies.replay import Replay

CLOCK = FixedClock(datetime(2024, 6, 1, tzinfo=UTC))
FIRST = datetime(2024, 4, 15, tzinfo=UTC)
SYMBOLS = ("BTC/USDT", "ETH/USDT")
SMALL = {
    "models.units": 4,
    "models.seeds": 1,
    "models.epochs": 1,
    "models.train_window": "40d",
    "models.retrain_every": "56d",
    "models.horizons": [1, 24],
    "models.baselines": ["none"],
    "models.jobs": 1,
    "strategies.horizon": 24,
    "strategies.holding": "0d",
    "strategies.margin": 0.2,
    "strategies.min_trade": 0.1,
    "feeds.source": "sample",
    "feeds.symbols": list(SYMBOLS),
}
DEAF = """
import backtrader as bt

class Deaf(bt.Strategy):
    def next(self):
        if len(self) % 100 == 0:
            self.buy(size=0.05)
        elif len(self) % 100 == 40 and self.position:
            self.close()
"""
OURS = """
from forwardtrader import LSTMStrategy

class Ours(LSTMStrategy):
    pass
"""


@dataclass(frozen=True)
class Ready:
    markets: Mapping[str, History]
    forecasts: Forecasts
    request: BacktestRequest


def unheard(done: int, total: int) -> None:
    assert done <= total


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("shifted")
    paths = {"models.save_path": str(folder / "models"), "reports.ledger_path": str(folder / "trials.sqlite")}
    settings = changed(Settings(), {**SMALL, **paths})
    request = BacktestRequest(settings=settings, first=FIRST, last=CLOCK.at, quiet=True)
    markets = {s: load_history(settings.feeds, s, start=None, end=CLOCK.at, clock=CLOCK) for s in SYMBOLS}
    return Ready(markets, tables(train(markets, request, unheard), request, unheard), request)


def strategy(folder: Path, name: str, text: str) -> str:
    path = folder / f"{name.lower()}_of_shifts.py"
    path.write_text(text)
    return f"{path}:{name}"


def test_the_strategys_own_run_is_the_backtest_itself(ready: Ready) -> None:
    record = simulate(ready.markets, ready.forecasts, ready.request)
    runs = shifted_replays(ready.markets, ready.forecasts, ready.request, 365, unheard)
    assert runs is not None
    assert runs.own == metrics.sharpe(metrics.returns_of(metrics.daily(record.equity["equity"]), 10_000.0), 365)
    assert runs.samples == runs.planned == SHIFTS == 100
    assert len(np.unique(runs.sharpes)) > 90
    assert len(runs.fills) > 0


@pytest.mark.parametrize("distance", [300, 777])
def test_backtrader_and_the_replay_earn_the_same_on_shifted_forecasts(ready: Ready, distance: int, tmp_path: Path) -> None:
    first = pd.Timestamp(FIRST)
    frames = {symbol: ready.forecasts.walk.frame(symbol, 24) for symbol in SYMBOLS}
    request = replace(ready.request, strategy=strategy(tmp_path, "Ours", OURS))
    record = simulate(ready.markets, ShiftedSources(frames, first, distance), request)
    tapes = tapes_of(ready.markets, ready.forecasts.walk, 24, FIRST)
    moved = [shifted(tape.forecasts, distance)["location"].to_numpy() for tape in tapes]
    fills, equity = Replay(tapes, ready.request.settings.strategies).run(moved)
    assert len(fills) > 5
    assert equity["equity"].to_list() == record.equity["equity"].to_list()


def test_a_strategy_that_earns_the_same_on_shifted_forecasts_is_found_out_after_one_run(ready: Ready, tmp_path: Path) -> None:
    request = replace(ready.request, strategy=strategy(tmp_path, "Deaf", DEAF))
    runs = shifted_backtests(ready.markets, ready.forecasts, request, 365, unheard)
    assert runs is not None
    assert (runs.samples, runs.planned, runs.p) == (1, 39, 1.0)


def test_too_few_bars_are_not_shifted(ready: Ready) -> None:
    short = replace(ready.request, first=datetime(2024, 5, 31, tzinfo=UTC))
    assert shifted_replays(ready.markets, ready.forecasts, short, 365, unheard) is None


def test_our_strategy_is_always_asked_and_one_that_does_not_look_at_forecasts_never(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forwardtrader.backtest.shifted_runs.SHIFTS", 20)
    _, ours = judge_market(ready.request, ready.markets, CLOCK)
    assert ours.evidence.shifts == 20
    assert "without the forecasts the strategy would have earned" in ours.judgement.reasons[-1]
    _, deaf = judge_market(replace(ready.request, strategy=strategy(tmp_path, "Deaf", DEAF)), ready.markets, CLOCK)
    assert not deaf.evidence.has_forecasts
    assert not any("forecast" in reason for reason in deaf.judgement.reasons)


def test_several_processes_find_what_one_finds(ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = shifted_replays(ready.markets, ready.forecasts, in_folder(ready.request, tmp_path / "one"), 365, unheard)
    monkeypatch.setattr(shifted_runs, "WORTH_PROCESSES", 0)
    two = replace(ready.request, settings=changed(ready.request.settings, {"models.jobs": 2, "models.save_path": str(tmp_path / "two")}))
    beside = shifted_replays(ready.markets, ready.forecasts, two, 365, unheard)
    assert here is not None and beside is not None
    np.testing.assert_array_equal(here.sharpes, beside.sharpes)
    np.testing.assert_array_equal(here.total_returns, beside.total_returns)
    pd.testing.assert_frame_equal(here.equity, beside.equity)


class Traded(Exception):
    """A run was made."""


@pytest.fixture(scope="module")
def known(ready: Ready, tmp_path_factory: pytest.TempPathFactory) -> tuple[BacktestRequest, ShiftedForecasts]:
    """A request whose runs are kept, and what they came to."""
    request = in_folder(ready.request, tmp_path_factory.mktemp("known"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifted_runs, "SHIFTS", 20)
        runs = shifted_replays(ready.markets, ready.forecasts, request, 365, unheard)
    assert runs is not None
    return request, runs


@pytest.fixture
def trades_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Replay, locations: object) -> None:
        raise Traded

    monkeypatch.setattr(shifted_runs, "SHIFTS", 20)
    monkeypatch.setattr(Replay, "run", refuse)


@pytest.mark.usefixtures("trades_no_more")
def test_the_same_runs_are_not_made_twice(ready: Ready, known: tuple[BacktestRequest, ShiftedForecasts]) -> None:
    request, first = known
    again = shifted_replays(ready.markets, ready.forecasts, request, 365, unheard)
    assert again is not None
    assert (again.own, again.p, again.planned) == (first.own, first.p, first.planned)
    np.testing.assert_array_equal(again.sharpes, first.sharpes)
    np.testing.assert_array_equal(again.total_returns, first.total_returns)
    pd.testing.assert_frame_equal(again.equity, first.equity, check_freq=False)
    pd.testing.assert_frame_equal(again.fills, first.fills)


def moved_price(ready: Ready) -> tuple[Mapping[str, History], BacktestRequest]:
    history = ready.markets["ETH/USDT"]
    candles = history.candles.copy()
    candles.iloc[-1, list(candles.columns).index("close")] += 1e-9
    return {**ready.markets, "ETH/USDT": replace(history, candles=candles)}, ready.request


def another_step(ready: Ready) -> tuple[Mapping[str, History], BacktestRequest]:
    history = ready.markets["ETH/USDT"]
    return {**ready.markets, "ETH/USDT": replace(history, rules=replace(history.rules, step=history.rules.step * 2))}, ready.request


def left_universe(ready: Ready) -> tuple[Mapping[str, History], BacktestRequest]:
    history = ready.markets["ETH/USDT"]
    return {**ready.markets, "ETH/USDT": replace(history, members=((0.0, FIRST.timestamp() + 86_400.0),))}, ready.request


def another_setting(key: str, value: object) -> Callable[[Ready], tuple[Mapping[str, History], BacktestRequest]]:
    return lambda ready: (ready.markets, replace(ready.request, settings=changed(ready.request.settings, {key: value})))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(moved_price, id="a close that moved by a billionth"),
        pytest.param(another_step, id="another step of size"),
        pytest.param(left_universe, id="a symbol that leaves the universe"),
        *(
            pytest.param(another_setting(key, value), id=key)
            for key, value in (
                ("strategies.fee_bps", 11.0),
                ("strategies.cash", 10_000.01),
                ("strategies.margin", 0.21),
                ("learning.costs", True),
                ("models.seed", 8),
            )
        ),
    ],
)
@pytest.mark.usefixtures("trades_no_more")
def test_whatever_decides_the_runs_is_in_their_key(
    ready: Ready, known: tuple[BacktestRequest, ShiftedForecasts], changes: Callable[[Ready], tuple[Mapping[str, History], BacktestRequest]]
) -> None:
    markets, request = changes(ready)
    with pytest.raises(Traded):
        shifted_replays(markets, ready.forecasts, in_folder(request, Path(known[0].settings.models.save_path)), 365, unheard)


@pytest.mark.usefixtures("trades_no_more")
def test_shifts_of_other_code_or_another_number_are_run_again(
    ready: Ready, known: tuple[BacktestRequest, ShiftedForecasts], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Traded), monkeypatch.context() as patch:
        patch.setattr(shifted_runs, "SHIFTS", 21)
        shifted_replays(ready.markets, ready.forecasts, known[0], 365, unheard)
    with pytest.raises(Traded), monkeypatch.context() as patch:
        patch.setattr(np, "__version__", "another")
        shifted_runs.deciding_code.cache_clear()
        shifted_replays(ready.markets, ready.forecasts, known[0], 365, unheard)
    shifted_runs.deciding_code.cache_clear()


def in_folder(request: BacktestRequest, folder: Path) -> BacktestRequest:
    return replace(request, settings=changed(request.settings, {"models.save_path": str(folder)}))
