"""Runs over a universe: nothing is held outside a membership, by our rule, its replay and a user's strategy alike."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.forecasting import Forecasts, train
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import simulate, tapes_of
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import ConfigError
from forwardtrader.feeds.history.needs import History
from forwardtrader.strategies.replay import replay

CLOCK = FixedClock(datetime(2022, 4, 12, tzinfo=UTC))
JOINS, LEAVES = pd.Timestamp("2022-03-10", tz="UTC"), pd.Timestamp("2022-03-24", tz="UTC")
SMALL = (
    "--from", "2022-03-01", "--source", "sample", "--train-window", "40d", "--retrain-every", "14d", "--quiet",
    "--forecaster", "tests.models.own_forecasters:Ridge", "--set", "models.horizons=[4]", "--set", "strategies.horizon=4",
    "--set", "strategies.margin=0", "--set", "strategies.min_trade=0.05", "--set", "strategies.risk_tolerance=1",
)  # fmt: skip
OWN = """
import backtrader as bt

class Both(bt.Strategy):
    def next(self):
        for data in self.datas:
            if not self.getposition(data):
                self.buy(data=data, size=0.01)
"""


def asked(folder: Path, *flags: str) -> BacktestRequest:
    (folder / "members.csv").write_text(f"symbol,from,to\nBTC/USDT,,\nETH/USDT,{JOINS:%Y-%m-%d},{LEAVES:%Y-%m-%d}\nSOL/USDT,2023-01-01,\n")
    return read_request(
        [*SMALL, "--universe", str(folder / "members.csv"), "--set", f"models.save_path={folder / 'models'}", *flags], CLOCK
    )


def held(fills: pd.DataFrame, symbol: str) -> pd.Series:
    own = fills[fills["symbol"] == symbol]
    signed = own["size"].where(own["side"] == "buy", -own["size"]) - own["fee"].where(own["fee_currency"] == symbol[:3], 0.0)
    return pd.Series(signed.to_numpy().cumsum(), index=pd.DatetimeIndex(own["timestamp"]))


def forecast(request: BacktestRequest) -> tuple[dict[str, History], Forecasts]:
    markets = load_markets(request, CLOCK)
    return markets, Forecasts(train(markets, request, lambda _done, _total: None), pd.DataFrame(), {})


def test_our_rule_holds_nothing_outside_a_membership_and_its_replay_is_equal(tmp_path: Path) -> None:
    request = asked(tmp_path)
    assert request.settings.feeds.symbols == ("BTC/USDT", "ETH/USDT"), "the third one joins after the run"
    markets, forecasts = forecast(request)
    record = simulate(markets, forecasts, request)
    eth = held(record.fills, "ETH/USDT")
    assert len(eth) and eth.index[0] >= JOINS and eth.index[-1] <= LEAVES
    assert abs(eth.iloc[-1]) < 1e-4 * eth.abs().max(), "but for what is too small to be sold"
    fills, equity = replay(tapes_of(markets, forecasts.walk, 4, request.first), request.settings.strategies)
    assert fills[["timestamp", "symbol", "side", "size", "price"]].equals(
        record.fills[["timestamp", "symbol", "side", "size", "price"]].astype(
            fills[["timestamp", "symbol", "side", "size", "price"]].dtypes
        )
    )
    assert equity["equity"].equals(record.equity["equity"])


def test_orders_of_a_users_strategy_that_add_exposure_are_refused_by_that_reason(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    request = asked(tmp_path, "--strategy", f"{tmp_path / 'own.py'}:Both")
    markets, forecasts = forecast(request)
    record = simulate(markets, forecasts, request)
    eth = held(record.fills, "ETH/USDT")
    assert eth.index[0] == JOINS
    assert record.refused["ETH/USDT"]["it does not belong to the universe at this time"] > 100


def test_the_largest_by_volume_are_chosen_from_those_named(tmp_path: Path) -> None:
    flags = ("--symbol", "BTC/USDT", "--symbol", "ETH/USDT", "--universe", "top:1")
    request = read_request([*SMALL, *flags, "--set", f"models.save_path={tmp_path / 'models'}"], CLOCK)
    markets = load_markets(request, CLOCK)
    assert len(markets) >= 1
    spans = [span for history in markets.values() for span in history.members or ()]
    assert min(first for first, _ in spans) <= request.first.timestamp() and max(last for _, last in spans) >= CLOCK.at.timestamp()
    assert sum(last - first for first, last in spans) == max(s[1] for s in spans) - min(s[0] for s in spans), "one at a time"


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--universe", "top:0"), "top:20"),
        (("--universe", "nowhere.csv"), "no file"),
        (("--universe", "{folder}/late.csv"), "the universe is empty: late.csv has no such member between"),
        (("--universe", "{folder}/late.csv", "--symbol", "BTC/USDT"), "no such member among --symbol"),
        (("--universe", "top:5", "--set", "feeds.store_path={folder}/none"), "no candles of binance 1h are stored"),
    ],
)
def test_an_empty_or_unknown_universe_is_one_clear_line(tmp_path: Path, flags: tuple[str, ...], told: str) -> None:
    (tmp_path / "late.csv").write_text("BTC/USDT,2030-01-01\n")
    with pytest.raises(ConfigError, match=told):
        read_request([*SMALL, *(flag.format(folder=tmp_path) for flag in flags)], CLOCK)
