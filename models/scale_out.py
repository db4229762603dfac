"""Where independent tasks run: threads or processes here, or the workers of a Dask cluster.

A task is a function of the module level that is given what all tasks share and one item. What is shared goes to each worker once; items
and results should be small. Results do not depend on where they were made.
"""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Final, Protocol, TypeVar

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

# How often work is given out anew after workers were lost with it.
ROUNDS: Final = 3


class Workers(Protocol):
    """Runs tasks side by side. `Threads` and `Processes` do so here, `models.dask_cluster.DaskCluster` elsewhere."""

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        """Yield the position of each item and its result as it is done, in any order; the first failure is raised."""
        ...


def fold_workers(jobs: int, cluster: str) -> Workers:
    """For tasks that leave Python for most of their time: the cluster where one is named, else `jobs` threads (0: one per core)."""
    return _cluster(cluster) if cluster else Threads(jobs or cores())


def point_workers(jobs: int, cluster: str) -> Workers:
    """For tasks that are Python throughout: the cluster where one is named, else `jobs` processes (0: one per core)."""
    return _cluster(cluster) if cluster else Processes(jobs or cores())


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Threads:
    """`count` threads of this process; an interrupt stops what has not begun."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        with ThreadPoolExecutor(max_workers=self.count, thread_name_prefix="task") as pool:
            yield from _finished(pool, {pool.submit(task, shared, item): n for n, item in enumerate(items)})


class Processes:
    """`count` fresh processes, each given the shared part once; one process is this one. Work of a process that died is done again."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        if min(self.count, len(items)) <= 1:
            yield from ((n, task(shared, item)) for n, item in enumerate(items))
            return
        left = dict(enumerate(items))
        packed = pickle.dumps((task, shared), protocol=pickle.HIGHEST_PROTOCOL)
        for attempt in range(ROUNDS):
            try:
                for n, result in self._round(packed, left):
                    del left[n]
                    yield n, result
                return
            except BrokenProcessPool:
                if attempt == ROUNDS - 1:
                    raise

    def _round(self, packed: bytes, left: dict[int, Any]) -> Iterator[tuple[int, Any]]:
        count = min(self.count, len(left))
        # Fresh processes: one that is forked from threads at work may never wake up.
        with ProcessPoolExecutor(max_workers=count, mp_context=get_context("spawn"), initializer=_receive, initargs=(packed,)) as pool:
            try:
                with _undisturbed():
                    waiting = {pool.submit(_work, item): n for n, item in left.items()}
            except BaseException:
                _stop(pool)
                raise
            yield from _finished(pool, waiting)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: a process that is interrupted while it starts another leaves one behind that nobody can end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


_received: dict[str, Any] = {}


def _receive(packed: bytes) -> None:
    # Ctrl-C is for the process that the user started; it ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _received["task"], _received["shared"] = pickle.loads(packed)


def _work(item: Any) -> Any:
    return _received["task"](_received["shared"], item)


def _finished(pool: Executor, waiting: dict[Future[Any], int]) -> Iterator[tuple[int, Any]]:
    try:
        while waiting:
            done, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
            for future in done:
                yield waiting.pop(future), future.result()
    except BaseException:
        _stop(pool)
        raise


def _stop(pool: Executor) -> None:
    """Begin nothing more, and end worker processes at once: one caught while starting would keep the interpreter from ending."""
    processes = dict(getattr(pool, "_processes", None) or {})
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes.values():
        process.kill()


def _cluster(address: str) -> Workers:
    from models.dask_cluster import DaskCluster

    return DaskCluster(address)
