"""Requests of a client are translated, retried where that is safe, and held back after a rate limit."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ccxt
import pytest

from forwardtrader.core.errors import VenueBusy, VenueRefused, VenueUnreachable
from forwardtrader.feeds.venues.retry import VenueRequests


class Client:
    """What a request needs of a ccxt client."""

    id = "binance"
    last_response_headers: dict[str, str] = {}  # noqa: RUF012 - as ccxt has it


class Answers:
    """A request that raises or returns one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self.left = list(answers)
        self.calls = 0

    async def __call__(self) -> Any:
        self.calls += 1
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_read_is_retried_until_the_venue_answers() -> None:
    request = Answers(ccxt.NetworkError("gone"), ccxt.RequestTimeout("slow"), 7)
    assert asyncio.run(VenueRequests(Client()).retried(request)) == 7
    assert request.calls == 3


def test_retries_end_with_the_translated_error() -> None:
    request = Answers(*[ccxt.NetworkError("gone")] * 9)
    with pytest.raises(VenueUnreachable, match="binance does not answer"):
        asyncio.run(VenueRequests(Client()).retried(request))
    assert request.calls == 4


def test_a_refusal_is_not_retried() -> None:
    request = Answers(ccxt.AuthenticationError("no"), 7)
    with pytest.raises(VenueRefused):
        asyncio.run(VenueRequests(Client()).retried(request))
    assert request.calls == 1


def test_a_single_attempt_is_not_retried() -> None:
    request = Answers(ccxt.NetworkError("gone"), 7)
    with pytest.raises(VenueUnreachable):
        asyncio.run(VenueRequests(Client()).once(request))
    assert request.calls == 1


@pytest.mark.parametrize("error", [KeyError("t"), TypeError(), ValueError(), OSError()])
def test_an_unreadable_answer_counts_as_none(error: Exception) -> None:
    with pytest.raises(VenueUnreachable, match="cannot be read"):
        asyncio.run(VenueRequests(Client()).once(Answers(error)))


def test_after_a_rate_limit_every_request_of_the_client_waits() -> None:
    class Limited(Client):
        last_response_headers = {"Retry-After": "0.3"}  # noqa: RUF012 - as ccxt has it

    async def script() -> float:
        requests = VenueRequests(Limited())
        with pytest.raises(VenueBusy):
            await requests.once(Answers(ccxt.DDoSProtection("429")))
        began = time.monotonic()
        assert await requests.once(Answers(7)) == 7
        return time.monotonic() - began

    assert asyncio.run(script()) > 0.25
