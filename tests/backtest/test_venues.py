"""Runs whose prices other venues confirm: nothing is entered while the traded one lies apart, features see another, fills are its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forwardtrader.backtest.cli import main
from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.forecasting import Forecasts, train
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.signals import seen
from forwardtrader.backtest.simulation import is_replayable, simulate
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.errors import CandleFileInvalid, InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.signal_bars import SignalBars, SignalSource

CLOCK = FixedClock(datetime(2022, 4, 12, tzinfo=UTC))
HOUR = Timeframe.parse("1h")
FIRST, LAST = pd.Timestamp("2022-03-20 05:00", tz="UTC"), pd.Timestamp("2022-03-21 04:00", tz="UTC")  # the traded venue is 3 % off
GAP = pd.date_range("2022-03-25 10:00", periods=5, freq="h", tz="UTC")  # and has no candles
SMALL = (
    "--from", "2022-03-01", "--symbol", "BTC/USDT", "--train-window", "40d", "--retrain-every", "14d", "--quiet", "--baselines", "none",
    "--forecaster", "tests.models.own_forecasters:Ridge", "--set", "models.horizons=[4]", "--set", "strategies.horizon=4",
    "--set", "strategies.margin=0", "--set", "strategies.min_trade=0.05", "--set", "strategies.risk_tolerance=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Candles of one market at three venues: sound ones, and the traded one's with a fault and a gap."""
    folder, random = tmp_path_factory.mktemp("venues"), np.random.default_rng(5)
    true = sample_candles("BTC/USDT", HOUR, seed=3, until=CLOCK.now()).loc["2021-12-20":"2022-04-10"]  # type: ignore[misc]
    _write(folder / "true.csv", true)
    prices = ["open", "high", "low", "close"]
    for name, level in (("kraken", 1.004), ("coinbase", 1.0)):
        noisy = true.copy()
        noisy[prices] = noisy[prices].mul(level * (1 + random.normal(0, 2e-4, len(true))), axis=0)
        _write(folder / f"{name}.csv", noisy)
    traded = true.copy()
    traded.loc[FIRST:LAST, prices] *= 1.03
    _write(folder / "traded.csv", traded.drop(GAP))
    return folder


def _write(path: Path, frame: pd.DataFrame) -> None:
    frame.rename_axis("timestamp").to_csv(path)


def asked(folder: Path, data: Path, *flags: str) -> BacktestRequest:
    return read_request([*SMALL, "--data", str(data), "--set", f"models.save_path={folder / 'models'}", *flags], CLOCK)


def confirming(files: Path, *names: str) -> list[str]:
    return [word for name in names for word in ("--confirm-data", str(files / f"{name}.csv"))]


def forecast(request: BacktestRequest) -> tuple[dict[str, History], Forecasts]:
    markets = load_markets(request, CLOCK)
    return markets, Forecasts(train(markets, request, lambda _done, _total: None), pd.DataFrame(), {})


def test_fills_are_the_traded_venues_own_nothing_is_entered_while_it_is_off_and_forecasts_are_those_of_a_sound_one(
    files: Path, tmp_path: Path
) -> None:
    request = asked(tmp_path, files / "traded.csv", *confirming(files, "kraken", "coinbase"))
    markets, forecasts = forecast(request)
    history = markets["BTC/USDT"]
    assert history.venues is not None
    paused = pd.to_datetime(list(history.venues.objections()), unit="ms", utc=True)
    assert list(paused[paused <= LAST]) == list(pd.date_range(FIRST, LAST, freq="h"))
    assert set(GAP) <= set(paused) and len(paused) <= 24 + 2 + 5
    assert len(history.candles.loc[GAP]) == 5 and not history.candles.loc[GAP, "volume"].any()
    record = simulate(markets, forecasts, request)
    opens = history.candles["open"]
    held = 0.0
    for fill in record.fills.itertuples():
        change = fill.size if fill.side == "buy" else -fill.size
        decided = fill.timestamp - pd.Timedelta(hours=1)
        assert abs(fill.price / opens[fill.timestamp] - 1) < 2.01e-4, "its own open, but for slippage"
        assert fill.timestamp not in GAP, "nothing is executed where it has no candle"
        assert not (decided in paused and abs(held + change) > abs(held) + 1e-9), "nothing is entered"
        held += change
    assert len(record.fills) > 10
    _, true = forecast(asked(tmp_path, files / "true.csv"))
    _, alone = forecast(asked(tmp_path, files / "traded.csv"))
    made, sound, misled = (each.walk.frame("BTC/USDT", 4)["location"].loc[FIRST:LAST] for each in (forecasts, true, alone))
    assert (made - sound).abs().mean() < 0.3 * (misled - sound).abs().mean()


def test_a_bar_at_a_time_gives_the_forecasts_of_the_whole_history_where_features_see_another_venue(files: Path, tmp_path: Path) -> None:
    request = asked(tmp_path, files / "traded.csv", *confirming(files, "kraken", "coinbase"))
    markets, forecasts = forecast(request)
    history = markets["BTC/USDT"]
    assert history.venues is not None
    source = SignalSource(forecasts.source("BTC/USDT", 4, HOUR), "BTC/USDT", {"BTC/USDT": SignalBars.of(history.venues.signals)})
    whole = source.batch(history.candles)
    for at in (FIRST, FIRST + pd.Timedelta(hours=3), LAST + pd.Timedelta(hours=1), GAP[2], GAP[-1] + pd.Timedelta(hours=1)):
        newest = source.latest(history.candles.loc[:at])
        assert newest is not None and newest.location == whole.loc[at, "location"]


def test_no_bar_that_features_see_depends_on_a_later_one(files: Path, tmp_path: Path) -> None:
    for end in ("2022-03-20 05:00", "2022-03-20 09:00", "2022-03-25 12:00"):
        cut = tmp_path / end.replace(" ", "_").replace(":", "")
        cut.mkdir()
        for name in ("traded", "kraken", "coinbase"):
            lines = (files / f"{name}.csv").read_text().splitlines(keepends=True)
            (cut / f"{name}.csv").write_text("".join([lines[0], *(line for line in lines[1:] if line[:16] <= end)]))
        requests = [asked(tmp_path, folder / "traded.csv", *confirming(folder, "kraken", "coinbase")) for folder in (files, cut)]
        whole, early = (load_markets(request, CLOCK)["BTC/USDT"] for request in requests)
        assert early.venues is not None and whole.venues is not None
        last = early.candles.index[-1]
        pd.testing.assert_frame_equal(seen(early), seen(whole).loc[:last])
        upto = last.timestamp() * 1000
        assert early.venues.objections() == {at: why for at, why in whole.venues.objections().items() if at <= upto}


def test_with_one_other_venue_the_dispute_blocks_entries_and_features_see_the_traded_one(files: Path, tmp_path: Path) -> None:
    history = load_markets(asked(tmp_path, files / "traded.csv", *confirming(files, "kraken")), CLOCK)["BTC/USDT"]
    assert history.venues is not None
    assert pd.Timestamp(FIRST).timestamp() * 1000 in history.venues.objections()
    assert list(history.venues.signals.index) == list(GAP)


def test_the_run_page_and_run_json_say_how_far_the_price_was_confirmed(files: Path, tmp_path: Path) -> None:
    flags = [*SMALL, "--to", "2022-04-09", "--data", str(files / "traded.csv"), *confirming(files, "kraken", "coinbase")]
    assert main([*flags, "--out", str(tmp_path / "out"), "--set", f"models.save_path={tmp_path / 'models'}", "--set",
                 f"reports.ledger_path={tmp_path / 'trials.sqlite'}"]) == 0  # fmt: skip
    [folder] = [path.parent for path in (tmp_path / "out").glob("*/run.json")]
    told = json.loads((folder / "run.json").read_text())["data"]["symbols"]["BTC/USDT"]["confirmation"]
    assert told["venues"] == ["binance", "kraken", "coinbase"]
    assert (told["filled_bars"], told["faults"]["binance"]["outlier"]) == (5, 1)
    assert 24 + 5 <= told["paused_bars"] <= 31 and told["replaced_bars"] >= 29
    assert "kraken, coinbase confirmed binance" in (folder / "index.html").read_text()
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    changes = [line for line in log if "venues_compared" in json.dumps(line)]
    assert 4 <= len(changes) <= 12 and any("lies apart from the others" in json.dumps(line) for line in changes)


def test_what_cannot_confirm_is_one_line(files: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="confirms itself"):
        load_markets(asked(tmp_path, files / "true.csv", *confirming(files, "kraken", "kraken")), CLOCK)
    with pytest.raises(InvalidSetting, match="--confirm-data"):
        asked(tmp_path, files / "true.csv", "--confirm-data", "ETH/USDT=x.csv")
    unreachable = ("--confirm", "kraken:USD", "--set", "feeds.confirm_urls=['http://127.0.0.1:9']", "--set", f"feeds.store_path={tmp_path}")
    lonely = load_markets(asked(tmp_path, files / "true.csv", *unreachable), CLOCK)["BTC/USDT"]
    assert lonely.venues is None and any("kraken:USD confirms nothing" in note for note in lonely.notes)
    assert not is_replayable(asked(tmp_path, files / "true.csv", *confirming(files, "kraken")))


@pytest.mark.parametrize("fault", ["another coin", "an hour apart"])
def test_a_file_of_another_market_or_time_zone_confirms_nothing_and_is_refused(files: Path, tmp_path: Path, fault: str) -> None:
    true = pd.read_csv(files / "true.csv", parse_dates=["timestamp"], index_col="timestamp")
    other = sample_candles("ETH/USDT", HOUR, seed=3, until=CLOCK.now()) if fault == "another coin" else true.shift(1).dropna()
    _write(tmp_path / "other.csv", other)
    with pytest.raises(CandleFileInvalid, match=r"other\.csv: its prices do not move as those of BTC/USDT do"):
        load_markets(asked(tmp_path, files / "traded.csv", "--confirm-data", str(tmp_path / "other.csv")), CLOCK)


@pytest.mark.parametrize("name", ["kraken:US%D", "kraken:usd", "kraken:", "", "kra ken"])
def test_a_venue_that_cannot_be_one_is_refused(files: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSetting, match="is no venue; write it as kraken, or with another quote as kraken:USD"):
        asked(tmp_path, files / "traded.csv", "--confirm", name)
