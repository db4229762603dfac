"""Retries wait as the policy says, end when it says, and repeat only what may be repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from forwardtrader.core.errors import UnknownSymbol, VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.core.retry import Backoff, Cooldown, Retry


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


def failing(*errors: Exception) -> Callable[[], str]:
    """Raises each error once, then answers."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return call


GONE = VenueUnreachable("gone")


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.5, longest_s=3.0)
    assert [backoff.pause(failures) for failures in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert backoff.pause(100_000) == 3.0


def test_a_call_that_succeeds_is_made_once_and_waits_for_nothing() -> None:
    clock = Clock()
    assert Retry(backoff=Backoff(first_s=1.0)).call(failing(), sleep=clock.sleep) == "answer"
    assert clock.pauses == []


def test_the_answer_after_failures_is_returned_and_each_pause_reported() -> None:
    clock, reported = Clock(), list[tuple[str, float]]()
    retry = Retry(backoff=Backoff(first_s=0.5, attempts=4), on_retry=lambda error, pause: reported.append((str(error), pause)))
    assert retry.call(failing(GONE, VenueUnreachable("still gone")), sleep=clock.sleep) == "answer"
    assert clock.pauses == [0.5, 1.0]
    assert reported == [("gone", 0.5), ("still gone", 1.0)]


def test_after_the_last_attempt_the_last_error_is_raised_without_a_pause() -> None:
    clock = Clock()
    with pytest.raises(VenueUnreachable, match="third"):
        Retry(backoff=Backoff(first_s=1.0, attempts=3)).call(failing(GONE, GONE, VenueUnreachable("third")), sleep=clock.sleep)
    assert clock.pauses == [1.0, 2.0]


@pytest.mark.parametrize("error", [VenueRefused("no"), UnknownSymbol("no"), KeyError("no")])
def test_what_is_not_retryable_is_raised_at_once(error: Exception) -> None:
    clock = Clock()
    with pytest.raises(type(error)):
        Retry(backoff=Backoff(first_s=1.0)).call(failing(error), sleep=clock.sleep)
    assert clock.pauses == []


def test_the_predicate_decides_what_is_retryable() -> None:
    clock = Clock()
    retry = Retry(backoff=Backoff(first_s=1.0), retryable=lambda error: isinstance(error, KeyError))
    assert retry.call(failing(KeyError("x")), sleep=clock.sleep) == "answer"
    with pytest.raises(VenueUnreachable):
        retry.call(failing(GONE), sleep=clock.sleep)


def test_a_venue_that_names_a_time_is_given_at_least_that() -> None:
    clock = Clock()
    retry = Retry(backoff=Backoff(first_s=1.0, longest_s=30.0))
    assert retry.call(
        failing(VenueBusy("full", 7.0), VenueBusy("full", 0.0), VenueBusy("full"), VenueBusy("full", 90.0)), sleep=clock.sleep
    )
    assert clock.pauses == [7.0, 2.0, 4.0, 30.0]


def test_the_last_pause_is_cut_to_the_deadline_and_then_the_error_is_raised() -> None:
    clock = Clock()
    with pytest.raises(VenueUnreachable):
        Retry(backoff=Backoff(first_s=1.0, within_s=8.0), clock=clock).call(failing(*[GONE] * 9), sleep=clock.sleep)
    assert clock.pauses == [1.0, 2.0, 4.0, 1.0]


def test_a_call_that_takes_longer_than_the_deadline_is_not_repeated() -> None:
    clock = Clock()

    def slow() -> None:
        clock.now += 9.0
        raise GONE

    with pytest.raises(VenueUnreachable):
        Retry(backoff=Backoff(first_s=1.0, within_s=8.0), clock=clock).call(slow, sleep=clock.sleep)
    assert clock.pauses == []


def test_each_call_starts_its_own_count() -> None:
    clock = Clock()
    retry = Retry(backoff=Backoff(first_s=1.0, attempts=2))
    for _ in range(2):
        assert retry.call(failing(GONE), sleep=clock.sleep) == "answer"
    assert clock.pauses == [1.0, 1.0]


def test_a_coroutine_is_retried_by_the_same_policy() -> None:
    clock, call = Clock(), failing(GONE, GONE)

    async def work() -> str:
        return call()

    retry = Retry(backoff=Backoff(first_s=0.5, attempts=3))
    assert asyncio.run(retry.call_async(work, sleep=clock.sleep_async)) == "answer"
    assert clock.pauses == [0.5, 1.0]
    call = failing(GONE, GONE, GONE)
    with pytest.raises(VenueUnreachable):
        asyncio.run(retry.call_async(work, sleep=clock.sleep_async))


def test_a_cancelled_coroutine_is_not_retried() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(Retry(backoff=Backoff(first_s=1.0), retryable=lambda _error: True).call_async(work))


def test_requests_wait_until_the_cooldown_has_passed() -> None:
    clock = Clock()
    cooldown = Cooldown(clock)
    asyncio.run(cooldown.wait(sleep=clock.sleep_async))
    assert clock.pauses == []
    cooldown.extend(5.0)
    cooldown.extend(2.0)  # does not shorten it
    asyncio.run(cooldown.wait(sleep=clock.sleep_async))
    assert clock.pauses == [5.0]


def test_a_cooldown_that_is_extended_while_a_request_waits_holds_it_longer() -> None:
    clock = Clock()
    cooldown = Cooldown(clock)

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.pauses) == 1:
            cooldown.extend(3.0)

    cooldown.extend(5.0)
    asyncio.run(cooldown.wait(sleep=sleep))
    assert clock.pauses == [5.0, 3.0]
