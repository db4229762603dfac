"""`python -m reports FOLDER...`: make the pages of finished runs, of sweeps and of sessions again, from the files in their folders.

`python -m reports compare A B` shows runs side by side.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from forwardtrader.core.command.cli import run
from forwardtrader.reports.flags import COMPARE, reports_parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(reports_parser(), argv, _chosen)


def _chosen(given: argparse.Namespace) -> int:
    if str(given.folders[0]) == COMPARE:
        from forwardtrader.reports.runs.compare_command import compare_runs

        return compare_runs(given)
    from forwardtrader.reports.rebuild import rebuild_pages

    return rebuild_pages(given)


if __name__ == "__main__":
    raise SystemExit(main())
