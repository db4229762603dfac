"""What is costly to make and asked for by several threads at once is made once."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def once(make: Callable[..., Result]) -> Callable[..., Result]:
    """`functools.cache` whose second caller waits for the first in place of doing the same work beside it."""
    lock, kept = threading.Lock(), functools.cache(make)

    @functools.wraps(make)
    def ask(*arguments: object) -> Result:
        with lock:
            return kept(*arguments)

    return ask
