"""How every command ends: its exit code, and one line on stderr when something stood in the way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final

from core import log
from core.errors import TradingError

INTERRUPTED: Final = 130
BUG: Final = 1


def end_well(command: Callable[[], int]) -> int:
    """Run `command` and return its exit code; an error becomes one line on stderr and the code of its class.

    A bug (anything outside the error tree) goes to the log with its traceback and ends with 1, Ctrl-C with 130.
    """
    try:
        return command()
    except TradingError as error:
        _say(log.redact(str(error)))
        return error.exit_code
    except KeyboardInterrupt:
        _say("interrupted; what was saved is whole, run the same command again to go on")
        return INTERRUPTED
    except Exception as bug:  # noqa: BLE001 - the last line of defence: logged whole, then reported
        log.logger("core").log(logging.ERROR, "bug", exc_info=True)
        _say(f"a bug: {type(bug).__name__}: {log.redact(str(bug))}; the traceback is in the log")
        return BUG


def _say(text: str) -> None:
    sys.stderr.write(" ".join(text.split()) + "\n")
