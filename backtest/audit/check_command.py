"""`forwardtrader check-strategy`: `check_strategy` on candle files, from the command line."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from forwardtrader.backtest.flags import check_parser
from forwardtrader.core.command.cli import run


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 where every check passed, 2 where one failed, 3 where one had too little to work on."""
    return run(check_parser(), argv, _check)


def _check(given: argparse.Namespace) -> int:
    from forwardtrader.backtest.audit.check_strategy import check_strategy
    from forwardtrader.backtest.command_line import named_files
    from forwardtrader.core.clock import SystemClock
    from forwardtrader.core.command.project import typed_object, typed_path
    from forwardtrader.core.config import load_settings
    from forwardtrader.core.errors import AuditIncomplete, StrategyChecksFailed
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
    if given.as_json:
        checks = [{"name": each.name, "result": str(each.result), "detail": each.detail} for each in report.checks]
        shown = json.dumps({"strategy": report.strategy, "checks": checks}, indent=1)
    else:
        shown = str(report)
    sys.stdout.write(f"{shown}\n")
    if report.failed:
        raise StrategyChecksFailed(f"{report.strategy} failed {', '.join(check.name for check in report.failed)}; see above")
    if not report.passed:
        raise AuditIncomplete(f"{report.strategy} failed nothing, but some checks had too little to work on; give it more candles")
    return 0
