"""`forwardtrader check-forecaster`: try a forecaster before anything is made of its forecasts."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from forwardtrader.backtest.flags import check_forecaster_parser
from forwardtrader.core.command.cli import run


def check_forecaster_main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(check_forecaster_parser(), argv, _check_forecaster)


def _check_forecaster(given: argparse.Namespace) -> int:
    """Raises ForecasterChecksFailed where a check fails, after the report was printed."""
    from forwardtrader.backtest.audit.check_forecaster import check_forecaster
    from forwardtrader.core.clock import SystemClock
    from forwardtrader.core.errors import ForecasterChecksFailed
    from forwardtrader.core.types import Timeframe
    from forwardtrader.feeds.files.import_file import read_candles

    candles = read_candles(given.data, given.symbol, Timeframe.parse(given.timeframe), SystemClock()) if given.data else None
    report = check_forecaster(given.forecaster, candles, horizons=tuple(given.horizon or (1,)), features=tuple(given.feature or ()))
    sys.stdout.write(f"{report}\n")
    if report.failed:
        raise ForecasterChecksFailed(report.told)
    return 0
