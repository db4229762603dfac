"""Linear algebra on one thread: small products cost less than waking threads, and sums keep one order on every machine."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_mine = threading.local()
_holders = [0]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's linear algebra to the calling thread; on a busy machine its spinning threads cost many times what they bring.

    Some libraries keep the limit per calling thread, others for the whole process. So every thread sets it for itself, and it is lifted
    only when no thread is inside any more: were it lifted in between, sums would be split anew, and a model trained beside another would
    not be the same twice.
    """
    if getattr(_mine, "inside", False):
        yield
        return
    libraries = _libraries("scipy.linalg" in sys.modules)
    with _lock:
        _holders[0] += 1
        _set(libraries, one=True)
    _mine.inside = True
    try:
        yield
    finally:
        _mine.inside = False
        with _lock:
            _holders[0] -= 1
            if not _holders[0]:
                _set(libraries, one=False)


@functools.cache
def _libraries(scipy_is_loaded: bool) -> list[tuple[Any, int]]:
    """The linear algebra libraries of the process with their own number of threads; finding them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    found = ThreadpoolController().select(user_api="blas").lib_controllers
    return [(library, library.num_threads) for library in found]


def _set(libraries: list[tuple[Any, int]], *, one: bool) -> None:
    for library, usual in libraries:
        # threadpoolctl lets only the first thread that ever set a limit set another, and says nothing to the rest; here `_lock` sees to order.
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)
        library.set_num_threads(1 if one else usual)
