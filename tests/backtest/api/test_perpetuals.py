"""Perpetuals and finer bars in notebooks: the run of the command on the same files, to the bit, and whatever is not known is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import forwardtrader as ft
from forwardtrader.backtest.api.runs import _without_forecasts
from forwardtrader.backtest.command_line import read_request
from forwardtrader.backtest.job import judge_market
from forwardtrader.backtest.market_data import load_markets
from forwardtrader.backtest.simulation import simulate
from forwardtrader.core.clock import FixedClock, SystemClock
from forwardtrader.core.errors import CandleFileInvalid, ConfigError, InvalidDates, InvalidSetting, UnknownSymbol
from tests.strategies.detail.market import JOINED, PRICES, fine_candles

CLOCK = FixedClock(datetime(2023, 1, 1, tzinfo=UTC))
RIDGE = "tests.models.own_forecasters:Ridge"
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SAMPLE = {"start": "2022-01-01", "end": "2022-02-01", "source": "sample"}


class Swinging(bt.Strategy):
    """Long and short by turns, with a stop and a target that one bar may reach both of."""

    def next(self) -> None:
        for number, data in enumerate(self.datas):
            if self.getposition(data).size or len(self) % 7 != number:
                continue
            size = 0.4 * self.broker.getvalue() / len(self.datas) / data.close[0]
            bracket = self.buy_bracket if len(self) % 2 else self.sell_bracket
            away = 0.006 * data.close[0] * (1 if len(self) % 2 else -1)
            bracket(data=data, size=size, exectype=bt.Order.Market, stopprice=data.close[0] - away, limitprice=data.close[0] + away)


@dataclass(frozen=True)
class Market:
    """Files of one symbol, and how the command and the functions name them."""

    symbol: str
    folder: Path

    def path(self, what: str) -> Path:
        return self.folder / f"{self.symbol[:3]}-{what}.csv"

    def flags(self, *, detail: bool) -> list[str]:
        own = ["--data", "candles", "--mark", "marks", "--funding", "funding"]
        own += ["--detail-data", "detail", "--detail-mark", "finer-marks"] if detail else []
        return [word if word.startswith("--") else f"{self.symbol}={self.path(word)}" for word in own]


def written(folder: Path, symbol: str, *, days: int, length: str, funding: str, seed: int) -> Market:
    """Bars of an hour or a day, those of a quarter of an hour or an hour inside, their marks, and settlements at odd times."""
    market, per = Market(symbol, folder), 4 if length == "1h" else 1
    fine = fine_candles(24 * days, per, seed, price=20_000.0 if symbol == BTC else 1_500.0)
    draw = np.random.default_rng(seed)
    marks = fine[PRICES].mul(np.exp(draw.normal(0.0, 0.0004, len(fine))), axis=0).round(2).assign(volume=0.0)
    marks["high"], marks["low"] = marks[PRICES].max(axis=1), marks[PRICES].min(axis=1)
    settled = pd.date_range(fine.index[0] + pd.Timedelta("30min"), fine.index[-1], freq=funding)
    rates = pd.DataFrame({"timestamp": settled, "rate": draw.normal(0.0001, 0.0003, len(settled)).round(6)})
    for what, frame in {"detail": fine, "finer-marks": marks}.items():
        frame.to_csv(market.path(what))
        frame.resample(length.upper() if length == "1d" else length).agg(JOINED).to_csv(
            market.path({"detail": "candles", "finer-marks": "marks"}[what])
        )
    rates.drop(rates.index[10:30]).to_csv(market.path("funding"), index=False)
    return market


def given(markets: list[Market], length: str, *, detail: bool) -> dict[str, Any]:
    """What the functions are given in place of the flags."""
    step = "15m" if length == "1h" else "1h"
    found: dict[str, Any] = {
        "marks": {m.symbol: ft.load_marks(m.symbol, length, file=m.path("marks")) for m in markets},
        "funding": {m.symbol: ft.load_funding(m.symbol, file=m.path("funding")) for m in markets},
    }
    if detail:
        found["detail"] = {m.symbol: ft.load_candles(m.symbol, step, file=m.path("detail")) for m in markets}
        found["detail_marks"] = {m.symbol: ft.load_marks(m.symbol, step, file=m.path("finer-marks")) for m in markets}
    return found


@pytest.mark.parametrize(
    ("length", "funding", "symbols", "detail"),
    [("1h", "1h", [BTC], False), ("1h", "4h", [BTC, ETH], True), ("1d", "4h", [BTC], True)],
    ids=["settled each hour", "two symbols and finer bars", "settled within daily bars"],
)
def test_a_backtest_is_that_of_the_command_on_the_same_files(
    tmp_path: Path, length: str, funding: str, symbols: list[str], detail: bool
) -> None:
    markets = [written(tmp_path, s, days=40, length=length, funding=funding, seed=n) for n, s in enumerate(symbols)]
    words = ["--from", "2022-01-11", "--to", "2022-02-09", "--timeframe", length, "--strategy", f"{__name__}:Swinging"]
    words += ["--detail", "15m" if length == "1h" else "1h"] if detail else []
    request = read_request([*words, *(flag for m in markets for flag in m.flags(detail=detail))], CLOCK)
    loaded = load_markets(request, CLOCK)
    theirs = simulate(loaded, _without_forecasts(request.settings, loaded), request)

    candles = {m.symbol: ft.load_candles(m.symbol, length, file=m.path("candles")) for m in markets}
    run = ft.backtest(Swinging, candles, start="2022-01-11", **given(markets, length, detail=detail))
    assert len(theirs.fills) > 6 and theirs.margin is not None
    pd.testing.assert_frame_equal(run.fills, theirs.fills, check_exact=True)
    pd.testing.assert_frame_equal(run.equity[theirs.equity.columns], theirs.equity, check_exact=True)
    manifest = run.artefacts.manifest
    assert {s: data.fingerprint for s, data in manifest.data.symbols.items()} == {s: h.fingerprint for s, h in loaded.items()}
    assert manifest.margin is not None
    assert (manifest.margin.funding_long, manifest.margin.funding_short) == (
        theirs.margin.account.tally.funding_long, theirs.margin.account.tally.funding_short,
    )  # fmt: skip
    assert manifest.margin.sources[BTC] == "funding file BTC-funding.csv, mark file BTC-marks.csv"
    assert manifest.margin.unknown == {s: list(h.perpetual.notes) for s, h in loaded.items() if h.perpetual and h.perpetual.notes}
    assert manifest.margin.unknown and all(f"{s}: {note}" in run.reasons for s, notes in manifest.margin.unknown.items() for note in notes)


@pytest.mark.slow
def test_the_whole_run_with_forecasts_is_that_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    markets = [written(tmp_path, s, days=100, length="1h", funding="4h", seed=n + 5) for n, s in enumerate((BTC, ETH))]
    words = ["--from", "2022-03-12", "--to", "2022-04-10", "--detail", "15m", "--forecaster", RIDGE]
    words += ["--set", "models.params.penalty=20.0", "--train-window", "40d", "--retrain-every", "14d", "--baselines", "none", "--quiet"]
    request = read_request([*words, *(flag for m in markets for flag in m.flags(detail=True))], CLOCK)
    theirs, judgement = judge_market(request, load_markets(request, CLOCK), CLOCK)

    candles = {m.symbol: ft.load_candles(m.symbol, file=m.path("candles")) for m in markets}
    walk = ft.WalkForward(RIDGE, params={"penalty": 20.0}, train_window="40d", retrain_every="14d").fit(candles, start="2022-03-12")
    run = ft.backtest(None, candles, forecasts=walk, **given(markets, "1h", detail=True))
    assert len(run.fills) > 20 and judgement.parts()["verdict"] == run.verdict
    for name in ("fills", "equity", "forecasts"):
        pd.testing.assert_frame_equal(getattr(run, name), getattr(theirs, name), check_exact=True)
    assert run.artefacts.manifest.data.symbols == theirs.manifest.data.symbols


def test_the_sample_market_has_marks_funding_and_finer_bars_of_its_own_as_for_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--from", "2022-01-05", "--to", "2022-01-31", "--source", "sample", "--symbol", BTC, "--detail", "20m"]
    request = read_request([*words, "--strategy", f"{__name__}:Swinging"], CLOCK)
    loaded = load_markets(request, CLOCK)
    theirs = simulate(loaded, _without_forecasts(request.settings, loaded), request)
    candles = ft.load_candles(BTC, start=loaded[BTC].candles.index[0], end="2022-02-01", source="sample")
    for run in (
        ft.backtest(Swinging, candles, start="2022-01-05", detail="20m"),
        ft.backtest(Swinging, candles, start="2022-01-05", settings={"feeds.detail": "20m"}),
    ):
        pd.testing.assert_frame_equal(run.fills, theirs.fills, check_exact=True)
        manifest = run.artefacts.manifest
        assert manifest.data.kind == "sample" and manifest.margin is not None
        assert manifest.margin.sources == {BTC: "funding sample market, mark sample market"}
        assert manifest.data.symbols[BTC].fingerprint == loaded[BTC].fingerprint
    brought = ft.backtest(Swinging, candles, start="2022-01-05", marks=ft.load_marks(BTC, **SAMPLE), funding=ft.load_funding(BTC, **SAMPLE))
    assert brought.fills.equals(ft.backtest(Swinging, candles, start="2022-01-05").fills)


def test_what_is_not_given_is_told_in_manifest_and_verdict(tmp_path: Path) -> None:
    market = written(tmp_path, BTC, days=20, length="1h", funding="8h", seed=3)
    run = ft.backtest(Swinging, ft.load_candles(BTC, file=market.path("candles")))
    margin = run.artefacts.manifest.margin
    assert margin is not None and margin.sources == {BTC: "funding unknown, mark unknown"}
    assert [f"{BTC}: {note}" for note in margin.unknown[BTC]] == run.reasons[-2:]
    assert "funding is unknown at 60 of 60 settlements; a prior of 1 bp each" in margin.unknown[BTC][0]
    assert "the mark price is unknown at 480 of 480 bars" in margin.unknown[BTC][1]
    dearer = ft.backtest(Swinging, ft.load_candles(BTC, file=market.path("candles")), settings={"feeds.funding_prior_bps": 30.0})
    assert dearer.artefacts.manifest.margin.funding_long < 10 * margin.funding_long < 0.0  # type: ignore[union-attr]


def test_forecasts_of_candles_are_traded_with_any_marks_and_funding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    market = written(tmp_path, BTC, days=60, length="1h", funding="4h", seed=8)
    candles = ft.load_candles(BTC, file=market.path("candles"))
    walk = ft.WalkForward(RIDGE, params={"penalty": 20.0}, train_window="20d", retrain_every="14d").fit(candles)
    costly = {"funding": pd.Series(0.02, index=pd.date_range("2022-01-01", periods=180, freq="8h", tz="UTC"))}
    plain, dear = (ft.backtest(Swinging, candles, forecasts=walk, **more) for more in ({}, costly))
    assert not plain.equity.equals(dear.equity)
    assert dear.artefacts.manifest.margin.sources[BTC].startswith("funding a frame")  # type: ignore[union-attr]


def frame_of(length: str = "1h", days: int = 5) -> pd.DataFrame:
    return fine_candles(24 * days, 1, 1).resample(length).agg(JOINED)


RATES = pd.Series(0.0001, index=pd.date_range("2022-01-01", periods=15, freq="8h", tz="UTC"))
MARKS = frame_of()[PRICES]


@pytest.mark.parametrize(
    ("more", "kind", "words"),
    [
        ({"funding": {ETH: RATES}}, InvalidSetting, f"funding= of {ETH}, which is not among the candles"),
        ({"funding": RATES.iloc[:0]}, CandleFileInvalid, f"funding of {BTC}: rates are needed"),
        ({"funding": RATES.reset_index(drop=True)}, CandleFileInvalid, f"funding of {BTC}: rates are needed"),
        ({"funding": RATES * 10_000}, CandleFileInvalid, f"funding of {BTC}, row 1 .*: funding rate 1.0 is no share"),
        ({"funding": RATES.where(RATES.index != RATES.index[3])}, CandleFileInvalid, f"funding of {BTC}, row 4 .*: funding rate nan"),
        ({"funding": pd.concat([RATES, RATES.iloc[2:3] * 2])}, CandleFileInvalid, f"funding of {BTC}: the settlement of .* two different"),
        ({"funding": pd.DataFrame({"a": RATES, "b": RATES})}, CandleFileInvalid, f"funding of {BTC}: a series of rates, or a frame with"),
        ({"funding": 0.0001}, InvalidSetting, "funding= is a float"),
        ({"marks": MARKS["close"]}, CandleFileInvalid, f"marks of {BTC}: a frame with open"),
        ({"marks": MARKS.drop(columns="low")}, CandleFileInvalid, f"marks of {BTC}: column 'low' is missing"),
        ({"marks": MARKS.assign(high=1.0)}, CandleFileInvalid, f"marks of {BTC}, row 1"),
        ({"marks": frame_of("4h")}, CandleFileInvalid, f"marks of {BTC}"),
        ({"marks": [1, 2]}, InvalidSetting, "marks= is a list"),
        ({"detail_marks": MARKS}, InvalidSetting, "give its finer candles too, with detail="),
        ({"detail": "15m"}, InvalidSetting, "only the sample market has candles inside its bars by itself; give them"),
        ({"detail": "1 minute"}, ConfigError, "1 minute"),
        ({"detail": frame_of("4h")}, InvalidSetting, "bars of 1h are not made up of bars of 4h"),
        ({"detail": fine_candles(120, 4, 7)}, InvalidSetting, f"not one of the 1h bars of {BTC} is what the 15m candles from a frame"),
        ({"settings": {"strategies.entry": "maker"}, "volume": 0.0}, InvalidSetting, "the volume is unknown"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line_that_names_the_symbol(more: dict[str, Any], kind: type[ConfigError], words: str) -> None:
    candles = frame_of().assign(**({"volume": more["volume"]} if "volume" in more else {}))
    with pytest.raises(kind, match=words) as refused:
        ft.backtest(Swinging, {BTC: candles}, **{name: value for name, value in more.items() if name != "volume"})
    assert "\n" not in str(refused.value) and refused.value.exit_code == 2


def test_what_belongs_to_no_perpetual_or_to_no_symbol_in_particular_is_refused() -> None:
    two = {BTC: frame_of(), ETH: frame_of()}
    with pytest.raises(InvalidSetting, match=f"marks= says of no symbol that it is of; write .*{BTC}"):
        ft.backtest(Swinging, two, marks=MARKS)
    with pytest.raises(InvalidSetting, match=f"detail= lacks {ETH}"):
        ft.backtest(Swinging, two, detail={BTC: fine_candles(120, 4, 1)})
    with pytest.raises(InvalidSetting, match="funding= of DATA/USD, which is no perpetual"):
        ft.backtest(Swinging, frame_of(), funding=RATES)
    with pytest.raises(UnknownSymbol, match="one account trades either"):
        ft.backtest(Swinging, {BTC: frame_of(), "ETH/USDT": frame_of()})
    with pytest.raises(UnknownSymbol, match="inverse contract"):
        ft.backtest(Swinging, {"BTC/USD:BTC": frame_of()})


@pytest.mark.parametrize("load", [ft.load_marks, ft.load_funding])
def test_loaders_say_what_is_not_there(load: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSetting, match=r"BTC/USDT is no perpetual and has no .*; write BTC/USDT:USDT"):
        load("BTC/USDT")
    with pytest.raises(InvalidSetting, match=r"of BTC/USDT:USDT is stored under binance; forwardtrader download --symbol BTC/USDT:USDT"):
        load(BTC, source="store")
    with pytest.raises(UnknownSymbol, match="BTC/USD:BTC is an inverse contract"):
        load("BTC/USD:BTC", source="sample")
    with pytest.raises(UnknownSymbol, match="sample market"):
        load("NONE/USDT:USDT", source="sample")
    with pytest.raises(ConfigError, match="source"):
        load(BTC, source="cloud")
    with pytest.raises(CandleFileInvalid, match="no such file"):
        load(BTC, file="absent.csv")
    with pytest.raises(InvalidDates, match="none lies in the range"):
        load(BTC, source="sample", start=SystemClock().now())


@pytest.mark.slow
def test_an_audit_of_a_strategy_on_perpetuals_with_finer_bars_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    market = written(tmp_path, BTC, days=130, length="1h", funding="4h", seed=4)
    candles = ft.load_candles(BTC, file=market.path("candles"))
    walk = ft.WalkForward(RIDGE, params={"penalty": 20.0}, train_window="30d", retrain_every="14d")
    report = ft.audit(walk, candles, Swinging, start="2022-03-20", **given([market], "1h", detail=True))
    assert not report.failed, str(report)
