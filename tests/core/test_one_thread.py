"""Linear algebra within the block has one thread and one order of sums, whichever thread asks; each case runs in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from threadpoolctl import threadpool_info
from core.one_thread import one_thread
features = np.random.default_rng(0).normal(size=(6000, 40)).astype(np.float32)
def product(_=0):
    with one_thread():
        return (features.T @ features).tobytes()
def threads():
    with one_thread():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
"""


def run(body: str, threads: str = "") -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    if threads:
        environment["OPENBLAS_NUM_THREADS"] = threads
    subprocess.run([sys.executable, "-W", "error", "-c", HEAD + body], check=True, env=environment, timeout=60)


def test_within_the_block_there_is_one_thread() -> None:
    run("assert threads() == {1}")


def test_workers_are_limited_too_whoever_asked_first() -> None:
    run("""
with one_thread(), ThreadPoolExecutor(2) as pool:
    assert list(pool.map(lambda _: threads(), range(6))) == [{1}] * 6
""")
    run("""
with ThreadPoolExecutor(2) as pool:
    assert list(pool.map(lambda _: threads(), range(6))) == [{1}] * 6
assert threads() == {1}
""")


def test_sums_are_the_same_bits_alone_and_in_company() -> None:
    run("""
alone = product()
with ThreadPoolExecutor(4) as pool:
    assert set(pool.map(product, range(60))) == {alone}
assert product() == alone
""")


def test_sums_are_those_of_a_machine_with_one_core() -> None:
    write = "import sys, hashlib; sys.exit(0 if hashlib.sha256(product()).hexdigest() == {expected!r} else 3)"
    measured = subprocess.run(
        [sys.executable, "-c", HEAD + "import hashlib; print(hashlib.sha256(product()).hexdigest())"],
        check=True, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    run(write.format(expected=measured.stdout.strip()))


def test_a_library_that_comes_later_is_limited_when_it_is_there() -> None:
    run("""
assert threads() == {1}
import scipy.linalg
assert threads() == {1}
""")
