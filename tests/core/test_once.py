"""What is costly is made once, whoever asks."""

from __future__ import annotations

import threading
import time

import pytest

from forwardtrader.core.once import once


def test_threads_that_ask_at_the_same_time_share_one_making() -> None:
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


def test_a_making_that_fails_is_tried_again() -> None:
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
