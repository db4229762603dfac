"""Linear algebra on one thread: small products cost less than waking threads, and sums keep one order on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_inside = [0]


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's linear algebra to the calling thread; on a busy machine its spinning threads cost many times what they bring.

    The limit is one of the whole process. Within another such block nothing is done again, for finding the libraries takes milliseconds.
    """
    from threadpoolctl import threadpool_limits

    if _inside[0]:
        yield
        return
    _inside[0] += 1
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        _inside[0] -= 1
