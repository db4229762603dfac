"""`forwardtrader check-strategy` and `check-forecaster`: what is tried on code of a user's, from the command line."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from forwardtrader.backtest.flags import check_forecaster_parser, check_parser
from forwardtrader.core.command import answer
from forwardtrader.core.command.cli import run

if TYPE_CHECKING:
    from forwardtrader.backtest.audit.check_report import CheckReport
    from forwardtrader.core.errors import ConfigError


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 where every check passed, 2 where one failed, 3 where one had too little to work on."""
    return run(check_parser(), argv, partial(_answered, _check))


def check_forecaster_main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit codes are those of `main`."""
    return run(check_forecaster_parser(), argv, partial(_answered, _check_forecaster))


def _answered(command: Callable[[argparse.Namespace], int], given: argparse.Namespace) -> int:
    with answer.alone(given.as_json):
        return command(given)


def _check(given: argparse.Namespace) -> int:
    from forwardtrader.backtest.audit.check_strategy import check_strategy
    from forwardtrader.backtest.command_line import named_files
    from forwardtrader.core.clock import SystemClock
    from forwardtrader.core.command.project import typed_object, typed_path
    from forwardtrader.core.config import load_settings
    from forwardtrader.core.errors import StrategyChecksFailed
    from forwardtrader.core.types import Timeframe
    from forwardtrader.feeds.files.import_file import read_file
    from forwardtrader.feeds.files.times import notation_of
    from forwardtrader.strategies.user_code.strategy_class import with_params

    settings = load_settings(given.config and typed_path(given.config), overrides={})
    feeds = settings.feeds
    timeframe = Timeframe.parse(given.timeframe or feeds.timeframe)
    notation = notation_of(given.date_format or feeds.date_format, given.tz or feeds.file_zone, given.stamped or feeds.stamped)
    files, symbols = named_files(given.data, given.symbol)
    clock = SystemClock()
    candles = {s: read_file(files[s], s, timeframe, clock, feeds.max_file_mb, notation).candles for s in symbols}
    strategy = with_params(typed_object(given.strategy), given.param)
    report = check_strategy(strategy, candles, settings=settings.strategies, resample=given.resample)
    return _told(report, "strategy", StrategyChecksFailed, as_json=given.as_json)


def _check_forecaster(given: argparse.Namespace) -> int:
    from forwardtrader.backtest.audit.check_forecaster import check_forecaster
    from forwardtrader.core.clock import SystemClock
    from forwardtrader.core.command.project import typed_object, typed_path
    from forwardtrader.core.errors import ForecasterChecksFailed
    from forwardtrader.core.types import Timeframe
    from forwardtrader.feeds.files.import_file import read_candles

    timeframe = Timeframe.parse(given.timeframe)
    candles = read_candles(typed_path(given.data), given.symbol, timeframe, SystemClock()) if given.data else None
    named, horizons = typed_object(given.forecaster), tuple(given.horizon or (1,))
    report = check_forecaster(named, candles, horizons=horizons, features=tuple(given.feature or ()))
    return _told(report, "forecaster", ForecasterChecksFailed, as_json=given.as_json)


def _told(report: CheckReport, what: str, failed: type[ConfigError], *, as_json: bool) -> int:
    """Print the report; raises `failed` where a check failed, AuditIncomplete where one had too little to work on."""
    from forwardtrader.core.errors import AuditIncomplete

    checks = [{"name": each.name, "result": str(each.result), "detail": each.detail} for each in report.checks]
    answer.write(f"{json.dumps({what: report.name, 'checks': checks}, indent=1) if as_json else report}\n")
    if report.failed:
        raise failed(f"{report.name} failed {', '.join(check.name for check in report.failed)}; see above")
    if not report.passed:
        raise AuditIncomplete(f"{report.name} failed nothing, but some checks had too little to work on; give it more candles")
    return 0
