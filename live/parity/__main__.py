"""`python -m live.parity SESSION`: compare a recorded session with its backtest, bar by bar."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.live.flags import parity_parser

LOG: Final = Path("var/log.jsonl")  # a replay refuses orders again, which is for the log and not for the terminal


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(parity_parser(), argv, _run, log_file=LOG)


def _run(given: argparse.Namespace) -> int:
    from forwardtrader.live.parity.command import run_parity

    return run_parity(given, SystemClock())


if __name__ == "__main__":
    raise SystemExit(main())
