"""Queries of an account: retried where there is no answer, held back while the venue is over its rate limit."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import ccxt
import pytest

from forwardtrader.core.errors import UnknownSymbol, VenueBusy, VenueUnreachable
from forwardtrader.live.venue.retry import VenueQueries


class Client:
    """A client whose answers are prepared: an error is raised, anything else returned."""

    id = "binance"
    last_response_headers: dict[str, str] | None = None

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.corrections = 0

    async def fetch(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def load_time_difference(self) -> None:
        self.corrections += 1


def ask(client: Any) -> Any:
    return asyncio.run(VenueQueries(client, 0.001).ask(client.fetch))


def test_a_query_without_an_answer_is_retried_and_a_refused_one_is_not() -> None:
    assert ask(Client(ccxt.RequestTimeout("-1007"), KeyError("orderId"), 7)) == 7
    client = Client(ccxt.BadSymbol("no"), 7)
    with pytest.raises(UnknownSymbol):
        ask(client)
    assert client.answers == [7]


def test_retries_end() -> None:
    client = Client(*[ccxt.NetworkError("reset")] * 9)
    with pytest.raises(VenueUnreachable):
        ask(client)
    assert len(client.answers) == 4


def test_a_clock_that_jumped_is_corrected_before_the_retry() -> None:
    client = Client(ccxt.InvalidNonce("-1021 Timestamp"), 7)
    assert (ask(client), client.corrections) == (7, 1)


def test_a_venue_over_its_rate_limit_is_left_alone_for_as_long_as_it_asks() -> None:
    client = Client(ccxt.DDoSProtection("418"), 7)
    client.last_response_headers = {"Retry-After": "0.2"}
    queries = VenueQueries(client, 0.001)  # type: ignore[arg-type]

    async def busy_then_turn() -> float:
        with pytest.raises(VenueBusy):
            await queries.once(client.fetch)
        began = time.monotonic()
        assert await queries.once(client.fetch) == 7
        return time.monotonic() - began

    assert asyncio.run(busy_then_turn()) >= 0.19


def test_a_symbol_that_the_venue_lists_no_more_keeps_its_last_rules() -> None:
    symbol = "BTC/USDT:USDT"
    client: Any = Client()
    client.precisionMode = 4
    client.markets = {symbol: {"symbol": symbol, "base": "BTC", "quote": "USDT", "precision": {"price": 0.1, "amount": 0.001}}}
    queries = VenueQueries(client, 0.001)
    before = queries.rules([symbol])
    client.markets = {}
    assert queries.rules([symbol]) == before and before[0].is_perpetual
