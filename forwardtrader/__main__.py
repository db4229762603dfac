"""`forwardtrader COMMAND`: every command of the project under one name.

A command's module is imported when it is chosen, so that help costs nothing but this file.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from forwardtrader.core.command.flags import nearest, with_project


class Command(NamedTuple):
    """Where a command is defined as `module:function`, and what it is for."""

    function: str
    flags: str
    purpose: str


COMMANDS: Final[dict[str, Command]] = {
    "backtest": Command("backtest.cli:main", "backtest.flags:parser", "walk-forward backtest with a report"),
    "live": Command("live.cli:main", "live.flags:parser", "paper or live trading"),
    "status": Command("live.cli:status", "live.flags:parser", "what the running session is doing"),
    "logs": Command("reports.logs.command:main", "reports.flags:logs_parser", "what a session, a run or a command has logged"),
    "parity": Command(
        "live.parity.__main__:main", "live.flags:parity_parser", "replay a session through the backtest and compare bar by bar"
    ),
    "check-strategy": Command(
        "backtest.audit.check_command:main", "backtest.flags:check_parser", "run a strategy in ways that must not make a difference"
    ),
    "download": Command("feeds.recording.command:main", "feeds.flags:download_parser", "candles from an exchange into the store"),
    "analyse": Command(
        "backtest.analysis.command:main", "backtest.flags:analyse_parser", "what the prices of a symbol are like, as a page"
    ),
    "import": Command("feeds.perpetuals.import_command:main", "feeds.flags:import_parser", "candles from a file into the store"),
    "candles": Command("feeds.candles.store:main", "feeds.flags:candles_parser", "what the candle store holds"),
    "models": Command("models.registry.__main__:main", "models.flags:registry_parser", "saved models; promote one, or roll back"),
    "trials": Command("reports.trial_ledger:main", "reports.flags:trials_parser", "every backtest that was counted as a trial"),
    "reports": Command("reports.__main__:main", "reports.flags:reports_parser", "make the pages of finished runs again; compare runs"),
    "check-forecaster": Command(
        "backtest.audit.check_command:check_forecaster_main",
        "backtest.flags:check_forecaster_parser",
        "what a forecaster of yours does that it must not",
    ),
    "serve": Command("serve.command:main", "serve.flags:serve_parser", "a web page for runs, sessions and models"),
    "sandbox": Command("sandbox.__main__:main", "sandbox.flags:sandbox_parser", "the practice exchange"),
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
        sys.stderr.write(f"forwardtrader has no command {words[0]!r}{nearest(words[0], list(COMMANDS))}; see forwardtrader --help\n")
        return 2
    if {"-h", "--help"} & set(words[1:]):
        with_project(_found(chosen.flags)()).parse_args(words[1:])  # prints the help and exits, with nothing imported
    return int(_found(chosen.function)(words[1:]))


def _found(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(f"forwardtrader.{module}"), name)
    return found


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {name:{width}} {command.purpose}" for name, command in COMMANDS.items())
    return f"usage: forwardtrader COMMAND ...\n\n{(__doc__ or '').splitlines()[0]}\n\ncommands:\n{lines}\n\n{EXAMPLES}\n"


if __name__ == "__main__":
    raise SystemExit(main())
