"""The control endpoint moves market, account and faults, and refuses malformed and foreign requests."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from forwardtrader.core.errors import ConfigError
from forwardtrader.sandbox.process import start_sandbox
from forwardtrader.sandbox.server import SandboxServer
from tests import PATIENCE_S
from tests.sandbox.ccxt_clients import running


def test_commands_move_the_market_and_the_account() -> None:
    with start_sandbox(speed="lockstep") as venue:
        last = float(venue.state()["symbols"]["BTC/USDT"]["last"])
        venue.control("price", symbol="BTC/USDT", price=f"{last * 1.1:.2f}")
        assert float(venue.state()["symbols"]["BTC/USDT"]["last"]) == pytest.approx(last * 1.1, abs=0.01)
        start = venue.state()["market_time"] + 60_000
        start -= start % 60_000
        bar = {"open": "100", "high": "120", "low": "90", "close": "110", "volume": "5"}
        venue.control("push", start=start, **bar)
        venue.advance()
        assert venue.state()["symbols"]["BTC/USDT"]["last"] == "100"
        shown = [venue.control("approach") for _ in range(5)]
        assert [(print_["prices"].get("BTC/USDT"), print_["printed"]) for print_ in shown] == [
            *((price, True) for price in ("100", "90", "120", "110")), (None, False),
        ]  # fmt: skip
        assert venue.control("deposit", asset="BTC", amount="1")["BTC"]["free"] == "1"
        with pytest.raises(ConfigError, match="insufficient"):
            venue.control("deposit", asset="BTC", amount="-5")
        with pytest.raises(ConfigError, match="price is missing"):
            venue.control("price")


def test_the_control_endpoint_arms_and_clears_a_fault() -> None:
    with start_sandbox(speed="lockstep") as venue:
        assert venue.arm("F1", count=3)["F1"]["left"] == 3
        assert venue.disarm("F1") == {}
        with pytest.raises(ConfigError, match="no such fault"):
            venue.arm("F77")
        venue.admin_token = "wrong"
        with pytest.raises(ConfigError, match="token"):
            venue.state()


async def still_serves(server: SandboxServer, session: aiohttp.ClientSession) -> bool:
    async with session.get(server.described()["url"] + "/api/v3/time") as answer:
        return answer.status == 200


def play(script: Any) -> None:
    async def whole() -> None:
        async with running() as server, aiohttp.ClientSession() as session:
            await script(server, session)
            assert await still_serves(server, session)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


CONTROLS = [b"{", b"[]", b"\xff", b'{"bars":"x"}', b'{"bars":[]}', b'{"bars":1e99}']


@pytest.mark.parametrize("body", CONTROLS, ids=str)
def test_a_malformed_command_is_refused_with_its_reason(body: bytes) -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        described = server.described()
        headers = {"Authorization": f"Bearer {described['admin_token']}"}
        for command in ("advance", "push", "price", "fill", "fault", "deposit", "fill_cap", "drop", "nothing"):
            async with session.post(f"{described['admin_url']}/{command}", data=body, headers=headers) as answer:
                assert answer.status in (400, 404) or command in ("drop", "fill_cap"), command
                assert isinstance(await answer.json(), dict)

    play(script)


HOSTILE = [{"Host": "example.org"}, {"Authorization": "Bearer é"}, {"Authorization": ""}]


@pytest.mark.parametrize("headers", HOSTILE, ids=str)
def test_the_control_endpoint_is_shut_to_others(headers: dict[str, str]) -> None:
    async def script(server: SandboxServer, session: aiohttp.ClientSession) -> None:
        described = server.described()
        full = {"Authorization": f"Bearer {described['admin_token']}"} | headers
        async with session.get(f"{described['admin_url']}/state", headers=full) as answer:
            assert answer.status == 403

    play(script)
