"""Costly work is done once for all threads; BLAS has one thread and one order of sums, each case in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from forwardtrader.core.threads import once
from tests import PATIENCE_S, ROOT

HEAD = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import threadpool_info
from forwardtrader.core.threads import one_thread
features = np.random.default_rng(0).normal(size=(6000, 40)).astype(np.float32)
def product(_=0):
    with one_thread():
        return (features.T @ features).tobytes()
def threads():
    with one_thread():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
"""


def complaint(body: str) -> str:
    """What a process that runs `body` says against it; nothing where all that it asserts holds."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    words = [sys.executable, "-W", "error", "-c", HEAD + body]
    done = subprocess.run(words, check=False, env=environment, timeout=PATIENCE_S, stderr=subprocess.PIPE, text=True)
    return done.stderr if done.returncode else ""


def test_within_the_block_there_is_one_thread() -> None:
    assert not complaint("assert threads() == {1}")


def test_workers_are_limited_too_whoever_asked_first() -> None:
    assert not complaint("""
with one_thread(), ThreadPoolExecutor(2) as pool:
    assert list(pool.map(lambda _: threads(), range(6))) == [{1}] * 6
""")
    assert not complaint("""
with ThreadPoolExecutor(2) as pool:
    assert list(pool.map(lambda _: threads(), range(6))) == [{1}] * 6
assert threads() == {1}
""")


def test_sums_are_the_same_bits_alone_and_in_company() -> None:
    assert not complaint("""
alone = product()
with ThreadPoolExecutor(4) as pool:
    assert set(pool.map(product, range(60))) == {alone}
assert product() == alone
""")


def sum_of(threads: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    words = [sys.executable, "-c", HEAD + "import hashlib; print(hashlib.sha256(product()).hexdigest())"]
    return subprocess.run(
        words,
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=environment | ({"OPENBLAS_NUM_THREADS": threads} if threads else {}),
    ).stdout.strip()


def test_sums_are_those_of_a_machine_with_one_core() -> None:
    assert sum_of("") == sum_of("1")


def test_a_library_that_comes_later_is_limited_when_it_is_there() -> None:
    assert not complaint("""
assert threads() == {1}
import scipy.linalg
assert threads() == {1}
""")


def test_threads_that_ask_at_the_same_time_share_one_result() -> None:
    made: list[int] = []

    @once
    def costly(n: int) -> object:
        made.append(n)
        time.sleep(0.02)
        return object()

    got: list[object] = []
    threads = [threading.Thread(target=lambda: got.append(costly(1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert len(set(map(id, got))) == 1
    assert costly(2) is not costly(1)


def test_work_that_fails_is_tried_again() -> None:
    tries: list[int] = []

    @once
    def shaky() -> int:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return 7

    with pytest.raises(ValueError, match="not yet"):
        shaky()
    assert shaky() == 7
