"""`forwardtrader analyse SYMBOL`: what its prices are like, as a page; with further symbols also which of them leads."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.dates import traded_span
from forwardtrader.backtest.flags import analyse_parser
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings, parse_assignment
from forwardtrader.core.errors import TooLittleHistory
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History, load_history
from forwardtrader.reports.analysis.page import SeriesAnalysis, write_analysis
from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.series.dependence import autocorrelation, cross_correlation
from forwardtrader.reports.statistics.series.regimes import regimes
from forwardtrader.reports.statistics.series.seasonality import by_hour, by_weekday
from forwardtrader.reports.statistics.series.stationarity import stationarity
from forwardtrader.reports.statistics.series.volatility_model import volatility_model

LAGS: Final = 48
LEADS: Final = (*range(-12, 0), *range(1, 13))
_LEAST_BARS: Final = 200
_EARLIEST: Final = "2010-01-01"


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader analyse`: writes the page and says where it is."""
    return run(analyse_parser(), argv, analyse)


def analyse(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read.

    Raises:
        TooLittleHistory: there are too few bars. Others as `load_history`.
    """
    named = {"feeds.timeframe": given.timeframe, "feeds.exchange": given.exchange, "feeds.source": given.source}
    overrides = {key: value for key, value in named.items() if value} | dict(map(parse_assignment, given.assignments))
    settings = load_settings(given.config and typed_path(given.config), overrides=overrides)
    clock = SystemClock()
    start, end = traded_span(given.start or _EARLIEST, given.end, clock)
    symbols = tuple(dict.fromkeys(given.symbols)) or settings.feeds.symbols[:1]
    files = {symbols[0]: typed_path(given.data)} if given.data else {}
    histories = {
        symbol: load_history(settings.feeds, symbol, start=start if given.start else None, end=end, clock=clock, file=files.get(symbol))
        for symbol in symbols
    }
    found = analysis_of(histories, Timeframe.parse(settings.feeds.timeframe), clock)
    name = f"{found.symbol.replace('/', '-').replace(':', '_')}-{found.timeframe}"
    folder = typed_path(given.out) if given.out else Path(settings.reports.output) / "analysis" / name
    page = write_analysis(folder, found)
    sys.stdout.write(f"{page}\n")
    if given.open:
        webbrowser.open(page.resolve().as_uri())
    return 0


def analysis_of(histories: Mapping[str, History], timeframe: Timeframe, clock: Clock) -> SeriesAnalysis:
    """The analysis of the first symbol, beside the others.

    Raises:
        TooLittleHistory: it has too few bars.
    """
    symbol, history = next(iter(histories.items()))
    bars = history.candles
    if len(bars) < _LEAST_BARS:
        raise TooLittleHistory(f"{symbol} has {len(bars)} bars of {timeframe}, {_LEAST_BARS} are needed; give an earlier --from")
    logs = np.log(bars["close"])
    returns = logs.diff()
    daily = logs.resample("1D").last().diff().dropna() if timeframe.seconds < 86_400 else returns.dropna()
    values: Floats = returns.to_numpy(dtype=np.float64)
    return SeriesAnalysis(
        symbol=symbol, timeframe=str(timeframe), source=history.source, made=clock.now().astimezone(UTC), bars=bars, daily=daily,
        bars_per_year=timeframe.bars_per_day * history.rules.periods_per_year,
        stationarity={"Log price": stationarity(logs.to_numpy(dtype=np.float64)), "Returns": stationarity(values)},
        returns=autocorrelation(values, LAGS), sizes=autocorrelation(np.abs(values), LAGS), hours=by_hour(returns),
        weekdays=by_weekday(returns), volatility=volatility_model(values), regimes=regimes(daily.to_numpy(dtype=np.float64)),
        others={other: cross_correlation(values, _beside(returns, each), LEADS) for other, each in histories.items() if other != symbol},
        is_sample=history.is_made_up,
    )  # fmt: skip


def _beside(returns: pd.Series, other: History) -> Floats:
    """The returns of another symbol at the same bars; NaN where it has none."""
    own = np.log(other.candles["close"]).diff()
    found: Floats = own.reindex(returns.index).to_numpy(dtype=np.float64)
    return found
