"""`Workers` on this machine: threads of this process, or processes of their own."""

from __future__ import annotations

import functools
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from queue import SimpleQueue
from typing import Any

from forwardtrader.core.command.child import without_keys
from forwardtrader.core.command.cli import collect_rarely
from forwardtrader.models.parallel.workers import ROUNDS, Item, Result, Shared


class Threads:
    """`count` threads of this process; an interrupt stops what has not started."""

    def __init__(self, count: int) -> None:
        self.count = count

    def run(self, task: Callable[[Shared, Item], Result], shared: Shared, items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
        with ThreadPoolExecutor(max_workers=self.count, thread_name_prefix="task") as pool:
            yield from _finished(pool, lambda item: pool.submit(task, shared, item), dict(enumerate(items)))


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
            yield from _finished(pool, lambda item: pool.submit(_work, item), left)
            with _undisturbed():
                for process in _processes(pool):
                    process.kill()  # they keep nothing, and to take apart what they have loaded would only take time


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let Ctrl-C wait: what it interrupts here could keep a lock that others need to end, or leave a half-started process behind.

    Python delivers signals to the main thread only, whichever thread they reach. Blocking them besides is for the processes started
    meanwhile, which inherit it: Ctrl-C is for the process that the user started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGINT, before or signal.default_int_handler)
        if came:
            signal.raise_signal(signal.SIGINT)


_received: dict[str, Any] = {}


def _receive(packed: bytes) -> None:
    # Ctrl-C is for the process that the user started; it ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_rarely()
    _received["task"], _received["shared"] = pickle.loads(packed)


def _work(item: Any) -> Any:
    return _received["task"](_received["shared"], item)


def _finished(pool: Executor, submit: Callable[[Any], Future[Any]], items: Mapping[int, Any]) -> Iterator[tuple[int, Any]]:
    """Results as they come, over a queue: `concurrent.futures.wait` takes the lock of every future it waits for, and an interrupt in the
    middle of that leaves some locked, so that neither their tasks nor the pool can end.
    """
    done: SimpleQueue[tuple[int, Future[Any]]] = SimpleQueue()
    given = dict(items)
    try:
        with _undisturbed(), without_keys():
            for n, item in given.items():
                submit(item).add_done_callback(functools.partial(_hand_over, done, n))
        for _ in given:
            n, future = done.get()
            yield n, future.result()
    except BaseException:
        with _undisturbed():
            _stop(pool)
        raise


def _hand_over(done: SimpleQueue[tuple[int, Future[Any]]], n: int, future: Future[Any]) -> None:
    done.put((n, future))


def _stop(pool: Executor) -> None:
    """Begin nothing more, and end worker processes at once: one caught while starting would keep the interpreter from ending."""
    processes = _processes(pool)
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _processes(pool: Executor) -> list[Any]:
    return list((getattr(pool, "_processes", None) or {}).values())
