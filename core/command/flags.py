"""Command-line flags. A wrong one ends the command with one line, as every other mistake does."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from forwardtrader.core.errors import ConfigError

_PROJECT: Final[dict[str, Any]] = {
    "type": Path, "metavar": "DIR",
    "help": "folder of config.yaml, var/ and reports/ (default: the nearest one above, or else this checkout)",
}  # fmt: skip


class FlagParser(argparse.ArgumentParser):
    """Raises ConfigError, which names the nearest flag, where argparse would print its usage and exit.

    Args:
        examples: command lines shown below the flags.
        closing: a last line of the help.
    """

    def __init__(self, *, examples: Sequence[str] = (), closing: str = "", **given: Any) -> None:
        shown = "\n".join(("examples:", *(f"  {line}" for line in examples))) if examples else ""
        given.setdefault("epilog", "\n\n".join(part for part in (shown, closing) if part))
        given.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **given)

    def error(self, message: str) -> NoReturn:
        flags = [flag for action in self._actions for flag in action.option_strings]
        stray = next((word for word in message.split() if word.startswith("-")), "")
        raise ConfigError(f"{message}{nearest(stray.split('=')[0], flags) if 'unrecognized' in message else ''}; see --help")


def with_project(parser: FlagParser) -> FlagParser:
    """The parser of a whole command: with the flag that every command takes, before its verb or behind it."""
    parser.add_argument("--project", default=None, **_PROJECT)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in dict.fromkeys(action.choices.values()):  # a verb may have two names
                verb.add_argument("--project", default=argparse.SUPPRESS, **_PROJECT)
    return parser


def nearest(word: str, known: Iterable[str], *, before: str = "") -> str:
    """`; did you mean 'x'?`, or nothing where no known word is close; `before` is put in front of the word, as one has to type it."""
    match = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {before + match[0]!r}?" if match else ""
