"""Linear algebra on one thread: small products cost less than waking threads, and sums keep one order on every machine."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within, numpy's linear algebra has one thread; on a busy machine its spinning threads cost many times what they bring.

    The first block that is entered limits the whole process for good. The limit cannot be lifted in between: OpenBLAS heeds only the thread
    that set it first, so a block that is left in one thread would leave another with sums that are split anew, and a model trained beside
    another would not be the same twice.
    """
    with _lock:
        _limit("scipy.linalg" in sys.modules)
    yield


@functools.cache
def _limit(scipy_is_loaded: bool) -> None:
    """Limit every library of linear algebra that is loaded; scipy brings its own when it comes."""
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().select(user_api="blas").lib_controllers:
        library.set_num_threads(1)
