"""Errors in code of the user's: told with the line of the user's that they came from."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from forwardtrader.core import log
from forwardtrader.core.errors import ConfigError, StrategyFailed, TradingError

_ROOT: Final = Path(__file__).resolve().parents[2]
_ROOMS: Final = ("backtest", "core", "feeds", "forwardtrader", "live", "models", "reports", "sandbox", "serve", "strategies")
_OURS: Final = tuple(_ROOT / room for room in _ROOMS)
_LIBRARIES: Final = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib"))
_INSTALLED: Final = {"site-packages", "dist-packages"}  # also those of the Python that an environment was made from
_LOG: Final = log.logger("user_code")


@contextmanager
def owned_errors(owner: str, kind: type[ConfigError] = StrategyFailed) -> Iterator[None]:
    """Have whatever a class of the user's raises in the block told as its own, with its traceback in the log.

    Args:
        owner: its name, which is told where no line of the user's was at work, as in an indicator over more bars than there are.
        kind: what is raised in place of it.

    Raises:
        StrategyFailed: or the `kind`. Our own errors go through, and so does one that only code of ours was at work in.
    """
    try:
        yield
    except TradingError:
        raise
    except (Exception, SystemExit) as error:  # a class that ends the process would end it without a word
        if user_line(error) is None and is_ours(_frames(error)[-1].filename):
            raise
        raise failure(error, owner, kind) from error


def failure(error: BaseException, owner: str, kind: type[ConfigError] = StrategyFailed, *, after: str = "") -> ConfigError:
    """What a command says of it, with its traceback written to the log.

    Args:
        after: what came of it, which is told before where the traceback is.
    """
    place = log.written_to()
    if place:
        _LOG.error("%s failed", owner, exc_info=error)
    hint = _hint(error) if kind is StrategyFailed else ""
    where = described(error) if user_line(error) is not None else f"{owner}: {described(error)}{hint}"
    return kind("; ".join(part for part in (where, after, f"the traceback is in {place}" if place else "") if part))


def _hint(error: BaseException) -> str:
    return " (an indicator may look back over more bars than there are)" if isinstance(error, IndexError) else ""


def described(error: BaseException) -> str:
    """The error with the newest line of the user's: `mystrategy.py:11 in next: AttributeError: ...`."""
    line, words = user_line(error), _words(error)
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return text if line is None else f"{Path(line.filename).name}:{line.lineno} in {line.name}: {text}"


def _words(error: BaseException) -> str:
    """What the error says, on one line; nothing where it cannot even say that."""
    try:
        return " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - a user's class of errors may have a mistake too
        return ""


def user_line(error: BaseException) -> traceback.FrameSummary | None:
    """The newest line of neither ours nor a library's, below whoever caught it; None where there is none."""
    frames = _frames(error)
    catching = 2 if frames and frames[0].filename == __file__ else 1  # `owned_errors`, and the block that is in it
    return next((frame for frame in reversed(frames[catching:]) if is_a_users(frame.filename)), None)


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return list(traceback.extract_tb(error.__traceback__))


def is_a_users(filename: str) -> bool:
    """Whether a source file is neither ours nor a library's."""
    path = Path(filename).resolve()
    if filename.startswith("<") or _INSTALLED & set(path.parts):
        return False
    return not any(path.is_relative_to(folder) for folder in (*_OURS, *_LIBRARIES))


def is_ours(filename: str) -> bool:
    """Whether a file is one of this project's."""
    path = Path(filename).resolve()
    return any(path.is_relative_to(folder) for folder in _OURS)
