"""The flags of the commands that rebuild pages, compare runs and list trials."""

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
