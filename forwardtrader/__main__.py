"""`forwardtrader COMMAND`: every command of the project under one name.

A command's module is imported when it is chosen, so that help costs nothing but this file.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple


class Command(NamedTuple):
    """Where a command is defined, and what it is for."""

    module: str
    purpose: str
    before: tuple[str, ...] = ()


COMMANDS: Final[dict[str, Command]] = {
    "backtest": Command("backtest.cli", "walk-forward backtest with a report"),
    "live": Command("live.cli", "paper or live trading"),
    "status": Command("live.cli", "what the running session is doing", ("--status",)),
    "parity": Command("live.parity.__main__", "replay a session through the backtest and compare bar by bar"),
    "download": Command("feeds.history.download", "candles from an exchange into the store"),
    "import": Command("feeds.files.import_file", "candles from a file into the store"),
    "candles": Command("feeds.candles.store", "what the candle store holds"),
    "models": Command("models.registry.__main__", "saved models; promote one, or roll back"),
    "trials": Command("reports.trial_ledger", "every backtest that was counted as a trial"),
    "reports": Command("reports.__main__", "make the pages of a finished run again"),
    "sandbox": Command("sandbox.__main__", "the practice exchange"),
}
EXAMPLES: Final = """examples:
  forwardtrader backtest --from 2022-01-01
  forwardtrader live --paper --sandbox
  forwardtrader status
  forwardtrader COMMAND --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(_help())
        return 0
    chosen = COMMANDS.get(words[0])
    if chosen is None:
        from forwardtrader.core.config import nearest

        sys.stderr.write(f"forwardtrader has no command {words[0]!r}{nearest(words[0], list(COMMANDS))}; see forwardtrader --help\n")
        return 2
    run = importlib.import_module(f"forwardtrader.{chosen.module}").main
    return int(run([*chosen.before, *words[1:]]))


def _help() -> str:
    lines = "\n".join(f"  {name:10} {command.purpose}" for name, command in COMMANDS.items())
    return f"usage: forwardtrader COMMAND ...\n\n{(__doc__ or '').splitlines()[0]}\n\ncommands:\n{lines}\n\n{EXAMPLES}\n"


if __name__ == "__main__":
    raise SystemExit(main())
