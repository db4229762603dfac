"""A long day of everything going wrong: a client that asks before it acts again ends with the same books as the venue."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from typing import Any

import ccxt
import pytest

from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import SPOT_ONLY, point_at_binance

pytestmark = pytest.mark.slow
SYMBOL = "BTC/USDT"
MOST_QUESTIONS = 200


def settled(client: Any, name: str) -> float:
    """What became of an order whose answer did not come: asked for until it is found, or not found for longer than the venue hides it."""
    missing_since, unanswered = None, 0
    for _ in range(MOST_QUESTIONS):
        try:
            return float(client.fetch_order(None, SYMBOL, {"origClientOrderId": name})["filled"])
        except ccxt.OrderNotFound:
            missing_since = missing_since or time.monotonic()
            if time.monotonic() - missing_since > 0.8:
                return 0.0
        except ccxt.BaseError:
            unanswered += 1
        time.sleep(0.05)
    raise AssertionError(f"{name}: {unanswered} of {MOST_QUESTIONS} questions found no answer")


def traded(client: Any, venue: SandboxHandle, bars: int) -> float:
    held = 0.0
    for number in range(bars):
        venue.advance()
        side, name = ("buy", f"d{number}") if number % 2 == 0 else ("sell", f"d{number}")
        try:
            filled = float(client.create_order(SYMBOL, "market", side, 0.001, None, {"newClientOrderId": name})["filled"])
        except ccxt.BaseError:
            filled = settled(client, name)
        held += filled if side == "buy" else -filled
    return held


@pytest.mark.parametrize("seed", [1, 2])
def test_a_client_that_looks_before_it_acts_again_agrees_with_the_venue(seed: int) -> None:
    # The venue hides orders for less long than the client waits; everything else is as it comes.
    faults = {"F40": {"probability": 0.03}}
    with start_sandbox(speed="lockstep", seed=seed, faults=faults, fee_asset="quote", balances={"USDT": 10**6, "BTC": 1}) as venue:
        venue.arm("F6", count=0, probability=0.03, seconds=0.3)
        client = ccxt.binance({"apiKey": venue.api_key, "secret": venue.api_secret, "options": SPOT_ONLY, "timeout": 1500})
        point_at_binance(client, venue.url, venue.ws_url)
        while client.markets is None:
            with contextlib.suppress(ccxt.BaseError):
                client.load_markets()
        client.enableRateLimit = False
        held = traded(client, venue, 400)
        state = venue.state()
        coins = float(state["accounts"]["main"]["BTC"]["free"]) + float(state["accounts"]["main"]["BTC"]["locked"])
        fired = {name for name, switch in state["faults"].items() if switch["fired"]}
    assert coins == pytest.approx(1 + held, abs=1e-9)
    assert {"F1", "F2", "F4", "F5"} <= fired


def test_the_market_goes_on_while_sockets_break(tmp_path: Any) -> None:
    """Every closed candle can be had by asking, whatever happened to the sockets."""
    from tests.sandbox.ccxt_clients import binance_on, running

    async def script() -> None:
        async with running(seed=3) as server, binance_on(server, timeout=2000) as client:
            server.exchange.faults.arm("F40", {"probability": 0.1})
            server.board.disarm("F21")
            for _ in range(200):
                server.venue.driver.advance()
                await asyncio.sleep(0)
            server.board.disarm()
            rows = await client.fetch_ohlcv(SYMBOL, "1m", limit=300)
            assert {b[0] - a[0] for a, b in itertools.pairwise(rows)} == {60_000}

    asyncio.run(asyncio.wait_for(script(), PATIENCE_S))
