"""The answer of a command for programs: alone on stdout, whatever else is printed while it is worked out."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import TextIO

_streams: list[TextIO] = []


def write(text: str) -> None:
    """Write a part of the answer."""
    stream = _streams[-1] if _streams else sys.stdout
    stream.write(text)
    stream.flush()


@contextmanager
def alone(wanted: bool = True) -> Iterator[None]:
    """Keep stdout for what `write` writes: code of the user's, libraries and child processes print to stderr meanwhile.

    Args:
        wanted: whether to; the answer may be one for people.
    """
    if not wanted:
        yield
        return
    with ExitStack() as stack:
        _streams.append(_kept(stack))
        stack.callback(_streams.pop)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield


def _kept(stack: ExitStack) -> TextIO:
    """The stream of the answer, in whose place the descriptor that is inherited by libraries and children becomes that of stderr."""
    stream = sys.stdout
    try:
        number, errors = stream.fileno(), sys.__stderr__.fileno() if sys.__stderr__ else -1
    except (OSError, ValueError, io.UnsupportedOperation):  # of a test or a notebook
        return stream
    if number != 1 or errors < 0:
        return stream
    stream.flush()
    before = os.dup(number)
    os.dup2(errors, number)
    stack.callback(os.close, before)
    stack.callback(os.dup2, before, number)
    return stack.enter_context(open(before, "w", encoding="utf-8", closefd=False))
