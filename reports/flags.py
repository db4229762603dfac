"""The flags of the commands that rebuild pages, compare runs, list trials and read logs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forwardtrader.core.command.flags import FlagParser

COMPARE: Final = "compare"  # in place of a folder


def reports_parser() -> FlagParser:
    """The flags of `python -m reports`."""
    p = FlagParser(
        prog="python -m reports",
        description="Make the pages of runs, sweeps and sessions again; or, with `compare`, show two to six runs side by side.",
        usage="%(prog)s FOLDER [FOLDER ...] | compare RUN RUN [RUN ...] [--json]",
        examples=(
            "python -m reports reports/output",
            "python -m reports var/sessions/paper",
            "python -m reports compare 20261122-151402 20261123-091130",
        ),
    )
    p.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="of a run, a sweep or a session, or one that holds runs")
    p.add_argument("--json", action="store_true", help="with `compare`: for programs")
    return p


def trials_parser() -> FlagParser:
    """The flags of `forwardtrader trials`."""
    p = FlagParser(
        prog="forwardtrader trials",
        description="List every backtest that was counted as a trial.",
        examples=("forwardtrader trials", "forwardtrader trials --json"),
    )
    p.add_argument("--ledger", type=Path, metavar="FILE", help="another ledger than the one in the settings")
    p.add_argument("--json", action="store_true", help="one JSON object a line")
    return p


def logs_parser() -> FlagParser:
    """The flags of `forwardtrader logs`."""
    p = FlagParser(
        prog="forwardtrader logs",
        description="Show what a session, a run or a command has logged, oldest first; full files that were moved aside are read too.",
        examples=(
            "forwardtrader logs",
            "forwardtrader logs btc --follow --level warning",
            "forwardtrader logs btc --since 1h --event orders_refused",
        ),
        closing="Times are UTC.",
    )
    p.add_argument(
        "name", nargs="?", metavar="SESSION|RUN", help="its name, how that begins, or a path (default: the log that was written last)"
    )
    p.add_argument("--follow", action="store_true", help="go on with what is written, until Ctrl-C")
    p.add_argument("--level", choices=("debug", "info", "warning", "error"), default="debug", help="lines of this level and above")
    p.add_argument("--event", action="append", default=[], metavar="NAME", help="lines of this event only; repeatable")
    p.add_argument("--since", metavar="1h|TIME", help="lines of the last hour, say, or since a time, UTC")
    p.add_argument("--json", action="store_true", help="the lines as they were written, one JSON object each")
    p.add_argument("--config", type=Path, metavar="FILE", help="settings file (default: config.yaml)")
    return p
