"""All symbols decided on together: `python -m benchmarks.portfolio --data DIR`.

Forecasts are made walk-forward for each coin alone, from spot candles. They are traded in one account: long and short on perpetuals, by
their own candles, marks and funding where DIR has them, and long only on spot; beside it the same on forecasts shifted in time, all coins
by the same distance. DIR holds hourly candles `binance_spot_BTCUSDT_1h.csv.gz`, `binance_perp_BTCUSDT_1h.csv.gz`, marks
`binance_perp_BTCUSDT_mark_1h.csv.gz` and funding `binance_perp_BTCUSDT_funding_8h.csv.gz` (timestamp, funding_rate). Where a coin has no
perpetual its spot candles stand for it, and where it has no funding a prior of 1 bp. The table lands in `benchmarks/portfolio.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd

import forwardtrader as ft
from forwardtrader.core.atomic import write_text
from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.models.forecaster import FORECAST_COLUMNS, RecordedForecasts
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.shifted_forecasts import circle_of, distances, shifted
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, record_of
from forwardtrader.strategies.margin.series import PerpetualSeries
from forwardtrader.strategies.replay import Replay
from forwardtrader.strategies.replay_track import Tape

PAGE: Final = Path(__file__).resolve().parent / "portfolio.md"
COINS: Final = ("BTC", "ETH", "XRP", "ADA", "LTC", "LINK", "DOGE")
HOUR: Final = Timeframe.parse("1h")
CASH: Final = 1_000_000.0
PRIOR_BPS: Final = 1.0  # funding each eight hours, where none is known


@dataclass(frozen=True)
class Row:
    """What an account came to."""

    name: str
    sharpe: float
    drawdown: float
    total: float
    orders: int

    def __str__(self) -> str:
        return f"| {self.name} | {self.sharpe:.2f} | {self.drawdown:.1%} | {self.total:+.0%} | {self.orders:,} |"


class Market:
    """Candles, marks and funding of one folder."""

    def __init__(self, folder: Path, first: pd.Timestamp, last: pd.Timestamp) -> None:
        self.folder, self.first, self.last = folder, first, last

    def spot(self, coin: str) -> pd.DataFrame:
        frame = self._read(f"binance_spot_{coin}USDT_1h.csv.gz")
        if frame is None:
            raise SystemExit(f"{self.folder} has no spot candles of {coin}")
        return frame

    def perpetual(self, coin: str) -> pd.DataFrame:
        """Its candles, or those of the spot market where it has none."""
        own = self._read(f"binance_perp_{coin}USDT_1h.csv.gz")
        return self._within(self.spot(coin) if own is None else own)

    def facts(self, coin: str) -> PerpetualSeries:
        bars = self.perpetual(coin)
        marks, funding = (self._read(f"binance_perp_{coin}USDT_{what}.csv.gz") for what in ("mark_1h", "funding_8h"))
        if funding is None:
            times = bars.index[pd.DatetimeIndex(bars.index).hour % 8 == 0]
            funding = pd.DataFrame({"funding_rate": PRIOR_BPS / 1e4}, index=times)
        columns = ["open", "high", "low", "close"]
        known = np.full((len(bars), 4), np.nan) if marks is None else marks.reindex(bars.index)[columns].to_numpy(dtype=np.float64)
        return PerpetualSeries(_seconds(bars.index), known, _seconds(funding.index), funding["funding_rate"].to_numpy(dtype=np.float64))

    def spot_traded(self, coin: str) -> pd.DataFrame:
        return self._within(self.spot(coin))

    def _read(self, name: str) -> pd.DataFrame | None:
        path = self.folder / name
        return pd.read_csv(path, parse_dates=["timestamp"]).set_index("timestamp") if path.exists() else None

    def _within(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame.loc[(frame.index >= self.first) & (frame.index < self.last)]


def settings_of(fee_bps: float, *, shorts: bool) -> StrategySettings:
    """The rule at its defaults, at costs of `fee_bps` and 2 of slippage a side."""
    return StrategySettings(rule="portfolio", cash=CASH, fee_bps=fee_bps, slippage_bps=2.0, spread_bps=0.0, allow_short=shorts)


def on_perpetuals(market: Market, forecasts: Mapping[str, pd.DataFrame], fee_bps: float) -> Row:
    """Long and short on margin, by the run's own broker."""
    feeds = [
        Feed(
            data=frame_data(bars := market.perpetual(coin), HOUR, name=f"{coin}/USDT:USDT"), rules=_rules(coin, perpetual=True),
            timeframe=HOUR, source=RecordedForecasts(_laid(told, bars.index), 4, timeframe_s=HOUR.seconds), facts=market.facts(coin),
        )
        for coin, told in forecasts.items()
    ]  # fmt: skip
    record = record_of(build_cerebro(feeds, settings_of(fee_bps, shorts=True)).run()[0])
    return _told(f"perpetuals, long and short, {fee_bps + 2:g} bp a side", record.equity["equity"], len(record.fills))


def on_spot(market: Market, forecasts: Mapping[str, pd.DataFrame], fee_bps: float) -> Row:
    """Long only, by the fast replay."""
    tapes = _tapes(market, forecasts, perpetual=False)
    fills, equity = Replay(tapes, settings_of(fee_bps, shorts=False)).run([_locations(t.forecasts) for t in tapes])
    return _told(f"spot, long only, {fee_bps + 2:g} bp a side", equity["equity"], len(fills))


def on_shifted(market: Market, forecasts: Mapping[str, pd.DataFrame], fee_bps: float, count: int) -> list[Row]:
    """Long and short without funding, by the fast replay: first on the forecasts themselves, then on shifted ones."""
    tapes = _tapes(market, forecasts, perpetual=True)
    walked, rows, circle = Replay(tapes, settings_of(fee_bps, shorts=True)), [], circle_of(t.forecasts for t in tapes)
    for distance in (0, *distances(min(len(t.bars) for t in tapes), count, 0)):
        fills, equity = walked.run([_locations(shifted(t.forecasts, distance, circle)) for t in tapes])
        rows.append(_told(f"shifted by {distance} bars, without funding", equity["equity"], len(fills)))
    return rows


def holding(market: Market, coins: Sequence[str]) -> Row:
    """All coins on spot, bought once in equal parts."""
    closes = pd.concat([market.spot_traded(coin)["close"] for coin in coins], axis=1).ffill().bfill()
    return _told("holding, equal parts", CASH * (closes / closes.iloc[0]).mean(axis=1), len(coins))


def forecast(market: Market, coins: Sequence[str], forecaster: str) -> dict[str, pd.DataFrame]:
    """Forecasts of each coin four bars ahead, by bar-open time."""
    told = {}
    with TemporaryDirectory() as models:
        for coin in coins:
            walk = ft.WalkForward(forecaster, horizons=(1, 4), seeds=1, save_path=models)
            table = walk.fit_predict(market.spot(coin), market.first, market.last)
            told[coin] = table.loc[table["horizon"] == 4].set_index("timestamp")
            _say(f"{coin}: {len(told[coin]):,} forecasts")
    return told


def _tapes(market: Market, forecasts: Mapping[str, pd.DataFrame], *, perpetual: bool) -> list[Tape]:
    """Perpetuals as coins that may be sold short, since only their prices count here."""
    tapes = []
    for coin, told in forecasts.items():
        bars = market.perpetual(coin) if perpetual else market.spot_traded(coin)
        rules = _rules(coin, perpetual=False, shorts=perpetual)
        tapes.append(Tape(bars=bars, forecasts=_laid(told, bars.index)[["location", "scale"]], market=rules, timeframe=HOUR, horizon=4))
    return tapes


def _rules(coin: str, *, perpetual: bool, shorts: bool = False) -> MarketRules:
    return MarketRules(
        symbol=f"{coin}/USDT:USDT" if perpetual else f"{coin}/USDT", base=coin, quote="USDT", settle="USDT" if perpetual else "",
        tick=Decimal("0.00001"), step=Decimal("0.00001"), min_size=Decimal("0.00001"), min_notional=Decimal(5),
        can_short=perpetual or shorts,
    )  # fmt: skip


def _laid(told: pd.DataFrame, index: pd.Index[pd.Timestamp]) -> pd.DataFrame:
    """Forecasts on the bars that are traded; none where the spot market has no bar."""
    laid = told.loc[:, list(FORECAST_COLUMNS)].reindex(index)
    return laid.assign(model_id=laid["model_id"].fillna(""))


def _locations(forecasts: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return forecasts["location"].to_numpy(dtype=np.float64)


def _seconds(index: pd.Index[pd.Timestamp]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(pd.DatetimeIndex(index).as_unit("ms").asi8 / 1000.0)


def _told(name: str, equity: pd.Series[float], orders: int) -> Row:
    returns = metrics.returns_of(metrics.daily(equity), CASH)
    worth = equity.to_numpy(dtype=np.float64)
    drawdown = float((1.0 - worth / np.maximum.accumulate(worth)).max())
    row = Row(name, metrics.sharpe(returns, 365), drawdown, metrics.total_return(returns), orders)
    _say(row)
    return row


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> int:
    """Forecast, trade, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.portfolio", description="all symbols decided on together")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of candles, marks and funding")
    parser.add_argument("--from", dest="first", default="2022-01-01")
    parser.add_argument("--to", dest="last", default="2025-09-01")
    parser.add_argument("--forecaster", default="lightgbm")
    parser.add_argument("--shifts", type=int, default=100)
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args(argv)
    market = Market(given.data, pd.Timestamp(given.first, tz="UTC"), pd.Timestamp(given.last, tz="UTC"))
    forecasts = forecast(market, COINS, given.forecaster)
    write_text(given.page, page(market, forecasts, given))
    return 0


def page(market: Market, forecasts: Mapping[str, pd.DataFrame], given: argparse.Namespace) -> str:
    """The table."""
    rows = [
        holding(market, list(forecasts)),
        *(on_perpetuals(market, forecasts, fee) for fee in (5.0, 10.0)),
        on_spot(market, forecasts, 10.0),
    ]
    what = f"{len(forecasts)} coins, {given.first} .. {given.last}, {given.forecaster}, each coin alone."
    how = f"`python -m benchmarks.portfolio --data DIR --from {given.first} --to {given.last} --forecaster {given.forecaster}`"
    lines = ["# All symbols decided on together\n", f"Made by {how}: {what}\n"]
    lines += ["| account | Sharpe | drawdown | return | fills |", "| --- | --- | --- | --- | --- |", *map(str, rows)]
    if given.shifts:
        own, *others = on_shifted(market, forecasts, 5.0, given.shifts)
        sharpes = np.array([row.sharpe for row in others])
        lines.append(
            f"\nWithout funding, at 7 bp {own.sharpe:.2f} on the forecasts; on {len(others)} shifted ones {sharpes.mean():.2f} in the mean "
            f"and {sharpes.max():.2f} at best, {int((sharpes >= own.sharpe).sum())} of them do as well."
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
