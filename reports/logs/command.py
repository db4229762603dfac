"""`forwardtrader logs`: what sessions, runs and commands have logged."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import INTERRUPTED, run
from forwardtrader.core.command.flags import nearest
from forwardtrader.core.errors import ConfigError, InvalidDates, InvalidSetting
from forwardtrader.reports.flags import logs_parser

if TYPE_CHECKING:
    from forwardtrader.core.settings import Settings
    from forwardtrader.reports.logs.log_line import Asked

NAME: Final = "log.jsonl"
COMMANDS: Final = Path("var") / NAME
_LOOK_EVERY_S: Final = 0.25


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    return run(logs_parser(), argv, lambda given: show(given, SystemClock(), lambda: time.sleep(_LOOK_EVERY_S)))


def show(given: argparse.Namespace, clock: Clock, wait: Callable[[], None]) -> int:
    """Print what the flags ask for.

    Args:
        wait: called between two looks at a log that is followed.

    Raises:
        ConfigError: there is no such log.
        InvalidDates: `--since` cannot be read.
    """
    from forwardtrader.core.command.project import typed_path
    from forwardtrader.core.config import load_settings
    from forwardtrader.reports.logs.log_line import Asked

    asked = Asked(level=given.level, events=frozenset(given.event), since=_since(given.since, clock))
    path = log_of(given.name, load_settings(given.config and typed_path(given.config)))
    if given.name is None:
        sys.stderr.write(f"{path}\n")
    try:
        _print(path, asked, wait if given.follow else None, as_json=given.json)
    except KeyboardInterrupt:  # how following ends
        return INTERRUPTED
    except BrokenPipeError:  # whoever read it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except FileNotFoundError as error:
        raise ConfigError(f"there is no log {path}") from error
    return 0


def log_of(name: str | None, settings: Settings) -> Path:
    """The log of a session or run, by its name or how that begins; a path is taken as it is. Without a name the one that was written last.

    Raises:
        ConfigError: there is none, or several.
    """
    from forwardtrader.core.command.project import typed_path

    folders = (Path(settings.live.sessions_path), Path(settings.reports.output))
    if name is not None and (os.sep in name or name.endswith(".jsonl")):
        path = typed_path(name)
        return path / NAME if path.is_dir() else path
    there = [path for folder in folders for path in folder.glob(f"*/{NAME}")]
    if name is None:
        return _newest([*there, COMMANDS], folders)
    exact = [path for path in there if path.parent.name == name]
    found = exact or [path for path in there if path.parent.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name!r} may be {', '.join(sorted(str(path.parent) for path in found))}; name one of them")
    close = nearest(name, [path.parent.name for path in there])
    raise ConfigError(f"no session or run {name!r} has a log in {' or '.join(map(str, folders))}{close}")


def _newest(paths: Sequence[Path], folders: Sequence[Path]) -> Path:
    ages: dict[Path, float] = {}
    for path in paths:
        with suppress(OSError):
            ages[path] = path.stat().st_mtime
    if not ages:
        raise ConfigError(f"there is no log yet: neither {COMMANDS} nor one of a session or run in {' or '.join(map(str, folders))}")
    return max(ages, key=lambda path: ages[path])


def _since(text: str | None, clock: Clock) -> datetime | None:
    from forwardtrader.core.types import parse_span

    if text is None:
        return None
    with suppress(InvalidSetting, OverflowError):
        return clock.now() - parse_span(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidDates(f"--since {text!r} is neither a span nor a time; write it as 1h, 2d or 2026-01-31T12:00") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _print(path: Path, asked: Asked, wait: Callable[[], None] | None, *, as_json: bool) -> None:
    from rich.console import Console

    from forwardtrader.reports.logs.log_file import lines
    from forwardtrader.reports.logs.log_line import parsed, row

    console, unreadable = Console(highlight=False), 0
    for text in lines(path, changed_since=asked.since.timestamp() if asked.since else 0.0, wait=wait):
        line = parsed(text)
        if line is None:
            unreadable += 1
        elif asked.takes(line):
            if as_json:
                sys.stdout.write(text.decode("utf-8") + "\n")
                sys.stdout.flush()
            else:
                console.print(row(line), soft_wrap=True)
    if unreadable:
        sys.stderr.write(f"{unreadable} lines of {path} are no events: torn when the machine stopped, or written by somebody else\n")
