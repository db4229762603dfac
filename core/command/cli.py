"""How every command ends: its exit code, and one line on stderr when something stood in the way."""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn

from forwardtrader.core import log
from forwardtrader.core.command import installed, interrupt, project
from forwardtrader.core.command.flags import FlagParser, with_project
from forwardtrader.core.command.terminal import ignore_no_width
from forwardtrader.core.environment import exported
from forwardtrader.core.errors import ConfigError, StorageFull, TradingError

INTERRUPTED: Final = 130
BUG: Final = 1
FALLBACK_LOG: Final = Path("var/log.jsonl")
# What a path of the user's may be, and no code can help.
_PATHS: Final = {
    errno.ENAMETOOLONG: "the name is too long; use a shorter one",
    errno.ENOTDIR: "a file stands where a folder is needed; name another place",
    errno.EROFS: "the file system is read-only; name another place, or have it mounted for writing",
    errno.ELOOP: "a link that leads to itself; name another place",
}


def run(
    parser: FlagParser, argv: Sequence[str] | None, command: Callable[[argparse.Namespace], int], *, log_file: Path | None = None
) -> int:
    """Read the flags, enter the project, run the command in it; returns the exit code.

    Args:
        parser: of the command; `--project` is added to it.
        argv: what was typed after the command's name; `sys.argv[1:]` where None. It is handed on as `typed`.
        command: imports what it needs itself, so that `--help` costs nothing.
        log_file: where the command's log goes, relative to the project.
    """
    words = list(sys.argv[1:] if argv is None else argv)

    def whole() -> int:
        given = with_project(parser).parse_args(words)
        given.typed = words
        if project.enter(given.project):
            _say(f"project {Path.cwd()}")
        with exported(), log.log_to(log_file) if log_file else contextlib.nullcontext():
            return command(given)

    return _ended(whole)


def end_well(command: Callable[[], int]) -> int:
    """Run `command` with the variables of `.env` and return its exit code; an error becomes one line on stderr and the code of its class.

    A bug (anything outside the error tree) goes to the log with its traceback and ends with 1, Ctrl-C with 130.
    """

    def with_environment() -> int:
        with exported():
            return command()

    return _ended(with_environment)


def _ended(command: Callable[[], int]) -> int:
    log.redact_stderr()
    ignore_no_width()
    try:
        with interrupt.kept():
            return command()
    except TradingError as error:
        _say(log.redact(str(error)))
        return error.exit_code
    except ModuleNotFoundError as error:
        return _lacks(error)
    except PermissionError as error:
        _say(f"{log.redact(str(error.filename or error))}: this user may not; give it the right to, or work as the file's owner")
        return ConfigError.exit_code
    except OSError as error:
        return _disk(error)
    except KeyboardInterrupt:
        _say("interrupted; what was saved is whole, run the same command again to go on")
        return INTERRUPTED
    except Exception as bug:  # noqa: BLE001 - the last line of defence: logged whole, then reported
        return _bug(bug)


def collect_rarely() -> None:
    """Search memory for garbage in cycles seldom: what loads and computes makes little of it, and the search costs a sixth of its time."""
    gc.set_threshold(50_000, 20, 50)


def leave(code: int) -> NoReturn:
    """End the process with everything written; taking millions of objects apart one by one first would only take time."""
    logging.shutdown()
    with contextlib.suppress(BrokenPipeError):  # whoever read it has seen enough
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _lacks(error: ModuleNotFoundError) -> int:
    """A package of ours that is not there was removed, or never installed to the end; any other name is a bug."""
    name = (error.name or "").partition(".")[0]
    if name not in installed.PACKAGES:
        return _bug(error)
    _say(f"{sys.executable} lacks {name}; {installed.MEND}")
    return ConfigError.exit_code


def _disk(error: OSError) -> int:
    """What the file system refuses by its nature is the user's to change; anything else is a bug."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _say("no space left on the disk; free some and run the command again")
        return StorageFull.exit_code
    hint = _PATHS.get(error.errno or 0)
    if hint is None or not error.filename:
        return _bug(error)
    _say(f"{log.redact(str(error.filename))}: {hint}")
    return ConfigError.exit_code


def _bug(bug: Exception) -> int:
    _say(f"a bug: {type(bug).__name__}: {log.redact(str(bug))}; the traceback is in {_write_down()}")
    return BUG


def _write_down() -> str:
    """Log the exception at hand, to a file of its own where the command has no log; returns where it can be read."""
    logger = log.logger("core")
    if logger.hasHandlers():
        logger.log(logging.ERROR, "bug", exc_info=True)
        return "the log"
    with log.log_to(FALLBACK_LOG):
        logger.log(logging.ERROR, "bug", exc_info=True)
    return str(FALLBACK_LOG)


def _say(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")
