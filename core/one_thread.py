"""Linear algebra on one thread: small products cost less than waking threads, and sums keep one order on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold numpy's linear algebra to the calling thread; on a busy machine its spinning threads cost many times what they bring."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
