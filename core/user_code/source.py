"""The source of what users bring: what changes in it makes another trial, or another model."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final


def text_of(thing: Any) -> str:
    """The whole file that a class or a function is written in: it may call what stands beside it.

    Of one typed into a notebook its own text, and where that is nowhere to be had, its compiled code. It is read once for each class or
    function: what runs in this process is the text that it was imported from, whatever becomes of the file.
    """
    return _text_once(thing) if isinstance(thing, Hashable) else _text(thing)


def _text(thing: Any) -> str:
    try:
        return Path(inspect.getsourcefile(thing) or "").read_text(encoding="utf-8")
    except (TypeError, OSError):
        pass
    try:
        return inspect.getsource(thing)
    except (TypeError, OSError):
        return "".join(code.hex() for code in _codes(thing))


_text_once: Final = functools.cache(_text)


def _codes(thing: Any) -> Iterator[bytes]:
    for each in [thing, *(vars(thing).values() if isinstance(thing, type) else ())]:
        if hasattr(each, "__code__"):
            yield each.__code__.co_code + repr(each.__code__.co_consts).encode()
