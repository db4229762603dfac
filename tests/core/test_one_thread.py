"""The limit stands while anybody holds it, and is lifted when the last one leaves."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from core.one_thread import one_thread


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        yield


def test_linear_algebra_has_one_thread_within_and_as_many_as_before_without() -> None:
    with one_thread():
        assert blas_threads() == {1}
        with one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_one_thread_that_leaves_early_does_not_lift_the_limit_of_another() -> None:
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
    assert blas_threads() == {2}


def test_an_error_within_lifts_the_limit_too() -> None:
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert blas_threads() == {2}
