"""A practice exchange that was killed comes back at its address with everything that it ever acknowledged."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import ccxt
import pytest

from forwardtrader.core.errors import TradingError
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox
from tests.sandbox.ccxt_clients import BYBIT_OPTIONS, SPOT_ONLY, point_at_binance, point_at_bybit

SYMBOL = "BTC/USDT"

MONEY = 100_000_000  # more than the fastest machine spends before it is killed


@pytest.fixture
def begun() -> Iterator[ExitStack]:
    """Ends every exchange of a test, however the test ends."""
    with ExitStack() as stack:
        yield stack


def start(begun: ExitStack, **settings: Any) -> SandboxHandle:
    return begun.enter_context(start_sandbox(**settings))


def client_of(venue: SandboxHandle) -> Any:
    if venue.protocol == "binance":
        client = ccxt.binance({"apiKey": venue.api_key, "secret": venue.api_secret, "options": SPOT_ONLY, "enableRateLimit": False})
        return point_at_binance(client, venue.url, venue.ws_url)
    client = ccxt.bybit({"apiKey": venue.api_key, "secret": venue.api_secret, "options": BYBIT_OPTIONS, "enableRateLimit": False})
    client.has["fetchCurrencies"] = False
    return point_at_bybit(client, venue.url, venue.ws_url)


def trade_until_it_dies(client: Any) -> list[str]:
    """Market and limit orders, one after the other; the ids that were acknowledged."""
    acknowledged: list[str] = []
    try:
        while True:
            acknowledged.append(client.create_order(SYMBOL, "market", "buy", 0.001)["id"])
            acknowledged.append(client.create_order(SYMBOL, "limit", "buy", 0.001, 20_000.0)["id"])
            client.cancel_order(acknowledged[-1], SYMBOL)
    except ccxt.NetworkError:
        return acknowledged


@pytest.mark.parametrize("protocol", ["binance", "bybit"])
def test_no_acknowledged_order_is_forgotten_and_the_client_goes_on(begun: ExitStack, protocol: str, tmp_path: Path) -> None:
    settings = {
        "protocol": protocol,
        "speed": "lockstep",
        "limits": "off",
        "balances": {"USDT": str(MONEY)},
        "state": str(tmp_path / "state"),
    }
    venue = start(begun, **settings)
    client = client_of(venue)
    client.load_markets()
    acknowledged: list[str] = []
    for round_ in range(3):
        venue.advance(2)
        played = venue.state()["played"]
        killer = threading.Timer(0.3 + 0.07 * round_, venue.kill)
        killer.start()
        acknowledged += trade_until_it_dies(client)
        killer.join()
        again = start(begun, **settings)
        assert (again.url, again.api_key, again.admin_token) == (venue.url, venue.api_key, venue.admin_token)
        venue = again
        assert venue.state()["played"] == played
        orders = {order["id"]: order for order in venue.orders()}
        assert sorted(orders) == list(range(1, len(orders) + 1))
        assert {int(number) for number in acknowledged} <= orders.keys()
        assert all(order["status"] in ("filled", "new", "canceled") for order in orders.values())
        require_balanced(venue, orders)
    last = next(number for number in reversed(acknowledged) if orders[int(number)]["status"] == "filled")  # Bybit tells the last 500 alone
    assert client.fetch_order(last, SYMBOL, {"acknowledged": True})["status"] == "closed"


def require_balanced(venue: SandboxHandle, orders: dict[int, Any]) -> None:
    """Balances follow from the executions, and the executions from the orders: nothing is there in part."""
    trades = venue.trades()
    filled = [order for order in orders.values() if order["status"] == "filled"]
    assert sum(Decimal(t["size"]) for t in trades) == sum(Decimal(o["filled"]) for o in filled)
    account = venue.state()["accounts"]["main"]
    assert Decimal(account["BTC"]["free"]) == sum(Decimal(t["size"]) - Decimal(t["fee"]) for t in trades)
    spent = sum((Decimal(t["size"]) * Decimal(t["price"])).quantize(Decimal("1e-8")) for t in trades)
    assert Decimal(account["USDT"]["free"]) + Decimal(account["USDT"]["locked"]) == MONEY - spent


def test_a_market_by_the_clock_goes_on_at_the_bar_where_it_was(begun: ExitStack, tmp_path: Path) -> None:
    settings = {"speed": 600, "state": str(tmp_path / "state")}
    venue = start(begun, **settings)
    while venue.state()["played"] < 3:
        time.sleep(0.02)
    began, before = time.monotonic(), venue.state()
    venue.kill()
    asked = time.monotonic() - began  # a busy machine may take long for this
    time.sleep(0.5 + 2 * asked)
    venue = start(begun, **settings, waits=True)
    after = venue.state()
    # A step is written when it is made: at most the steps between the question and the kill lie between.
    assert 0 <= after["market_time"] - before["market_time"] < 60_000 + asked * 600_000
    assert after["played"] - before["played"] <= 1 + asked * 10
    venue.control("begin")
    while venue.state()["played"] < before["played"] + 3:
        time.sleep(0.02)
    client = client_of(venue)
    starts = [candle[0] for candle in client.fetch_ohlcv(SYMBOL, "1m", limit=20)]
    assert [b - a for a, b in itertools.pairwise(starts)] == [60_000] * 19


def test_an_armed_fault_is_still_armed_and_not_armed_twice(begun: ExitStack, tmp_path: Path) -> None:
    settings = {"speed": "lockstep", "state": str(tmp_path / "state"), "faults": {"F26": {"count": 2}}}
    venue = start(begun, **settings)
    client = client_of(venue)
    client.load_markets()
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SYMBOL, "market", "buy", 0.001)
    venue.kill()
    venue = start(begun, **settings)
    assert venue.state()["faults"]["F26"]["left"] == 1


def test_a_wrong_flag_at_the_restart_is_one_line(begun: ExitStack, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    start(begun, speed="lockstep", state=state).kill()
    with pytest.raises(TradingError, match="--protocol: the exchange in this state folder has 'binance', not 'bybit'"):
        start_sandbox(speed="lockstep", state=state, protocol="bybit")
