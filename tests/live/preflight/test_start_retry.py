"""Retry at the start: exponential backoff while the venue cannot be reached."""

from __future__ import annotations

from typing import Any

import pytest

from forwardtrader.core.errors import UnknownSymbol, VenueBusy, VenueUnreachable
from forwardtrader.live.preflight.start_retry import until_reachable


def test_a_venue_that_comes_back_is_waited_for_at_growing_distances() -> None:
    now, said, slept = [0.0], [], []
    answers: list[Any] = [VenueUnreachable("gone"), VenueBusy("full", 7.0), VenueUnreachable("gone"), "there"]

    def work() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    assert until_reachable(work, 30.0, said.append, sleep=sleep, monotonic=lambda: now[0]) == "there"
    assert slept == [1.0, 7.0, 4.0]
    assert said[0] == "gone; trying again in 1 s (--sandbox practises without a network)"


def test_patience_ends_and_other_errors_are_not_waited_out() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def gone() -> None:
        raise VenueUnreachable("gone")

    def wrong() -> None:
        raise UnknownSymbol("no such symbol")

    with pytest.raises(VenueUnreachable):
        until_reachable(gone, 10.0, lambda _text: None, sleep=sleep, monotonic=lambda: now[0])
    assert now[0] == 10.0
    with pytest.raises(UnknownSymbol):
        until_reachable(wrong, 10.0, lambda _text: None, sleep=sleep, monotonic=lambda: now[0])
