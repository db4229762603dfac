"""Every thread that asks has one thread of linear algebra, whoever else comes and goes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from core.one_thread import one_thread


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def several_threads() -> None:
    np.ones((2, 2)) @ np.ones((2, 2))
    if blas_threads() == {1}:
        pytest.skip("this machine's linear algebra has one thread anyway")


def test_the_limit_stands_within_and_is_lifted_without() -> None:
    before = blas_threads()
    with one_thread():
        assert blas_threads() == {1}
        with one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == before


def test_a_thread_that_leaves_early_does_not_lift_the_limit_of_another() -> None:
    before = blas_threads()
    entered, may_leave, left = threading.Event(), threading.Event(), threading.Event()

    def first() -> None:
        with one_thread():
            entered.set()
            may_leave.wait(5)
        left.set()

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(5)
    with one_thread():
        may_leave.set()
        assert left.wait(5)
        assert blas_threads() == {1}
    thread.join()
    assert blas_threads() == before


def test_a_worker_is_limited_although_its_caller_is_already() -> None:
    def seen() -> set[int]:
        with one_thread():
            return blas_threads()

    with one_thread(), ThreadPoolExecutor(max_workers=2) as pool:
        assert list(pool.map(lambda _: seen(), range(4))) == [{1}] * 4


def test_an_error_within_lifts_the_limit_too() -> None:
    before = blas_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert blas_threads() == before


def test_products_made_by_several_threads_at_once_are_the_same_bits() -> None:
    features = np.random.default_rng(0).normal(size=(6000, 40)).astype(np.float32)

    def product() -> bytes:
        with one_thread():
            return (features.T @ features).tobytes()

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert len(set(pool.map(lambda _: product(), range(40)))) == 1


def test_another_thread_than_the_first_has_its_limit_too() -> None:
    with one_thread():
        pass
    seen: list[set[int]] = []

    def other() -> None:
        with one_thread():
            seen.append(blas_threads())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == [{1}]
