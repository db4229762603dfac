"""Threads: work that several of them need is done once, and BLAS runs on one thread.

With one BLAS thread small products do not wait for threads to wake, and sums keep the same order, hence the same bits, on every machine.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

T = TypeVar("T")
_BLAS_LOCK: Final = threading.Lock()


def once(make: Callable[..., T]) -> Callable[..., T]:
    """A thread-safe `functools.cache`: a second caller waits for the first instead of doing the same work beside it."""
    lock, cached = threading.Lock(), functools.cache(make)

    @functools.wraps(make)
    def locked(*arguments: object) -> T:
        with lock:
            return cached(*arguments)

    return locked


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, numpy's linear algebra, to one thread; on a busy machine its spinning threads cost many times what they save.

    The first block that is entered limits the whole process for good. The limit cannot be lifted in between: OpenBLAS heeds only the thread
    that set it first, so a block that is left in one thread would leave another with sums that are split anew, and a model trained beside
    another would not be the same twice.
    """
    with _BLAS_LOCK:
        _limit_blas("scipy.linalg" in sys.modules)
    yield


@functools.cache
def _limit_blas(scipy_is_loaded: bool) -> None:
    """Limit every BLAS library that is loaded; scipy brings its own once it is imported."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        library.set_num_threads(1)
