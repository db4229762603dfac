"""`python -m reports FOLDER...`: make the pages of finished runs, of sweeps and of sessions again, from the files in their folders."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from forwardtrader.core.command.cli import run
from forwardtrader.reports.flags import reports_parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(reports_parser(), argv, _rebuild)


def _rebuild(given: argparse.Namespace) -> int:
    from forwardtrader.reports.rebuild import rebuild_pages

    return rebuild_pages(given)


if __name__ == "__main__":
    raise SystemExit(main())
