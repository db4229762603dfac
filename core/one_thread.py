"""Linear algebra on one thread: small products cost less than waking threads, and sums keep one order on every machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_holds: list[Any] = []
_limit: list[Any] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's linear algebra to the calling thread; on a busy machine its spinning threads cost many times what they bring.

    The limit is one of the whole process. It stands from the first block that is entered, in whatever thread, to the last one that is left:
    were it lifted in between, sums would be split anew and a model trained beside another would not be the same twice.
    """
    hold = object()
    with _lock:
        if not _holds:
            from threadpoolctl import threadpool_limits

            _limit.append(threadpool_limits(limits=1, user_api="blas"))
        _holds.append(hold)
    try:
        yield
    finally:
        with _lock:
            _holds.remove(hold)
            if not _holds:
                _limit.pop().restore_original_limits()
