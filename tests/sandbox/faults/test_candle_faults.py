"""Faults of closed candles do what they say, as a raw socket and the unmodified ccxt client see them."""

from __future__ import annotations

from typing import Any

import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.faults.ccxt_script import arm, closes_seen, play


@pytest.mark.parametrize("how", ["late", "revised", "duplicate", "out of order", "malformed", "missing"])
def test_a_closed_candle_is_spoilt_on_its_way(how: str) -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        first = server.venue.exchange.listings["BTC/USDT"].bar.start // 60_000 % 1000

        async def act() -> None:
            if how == "missing":
                arm(server, "F21")
                server.venue.driver.advance()
            else:
                arm(server, "F22", how=how, seconds=0.2)
            server.venue.driver.advance()
            server.venue.driver.advance()

        seen = await closes_seen(server, act)
        starts = [s if s == "broken" else s[0] - first for s in seen]
        expected = {
            "late": [1, 0], "revised": [0, 1, 0], "duplicate": [0, 0, 1], "out of order": [1, 0], "malformed": ["broken", 0, 1],
            "missing": [0, 2],
        }  # fmt: skip
        assert starts == expected[how]
        if how == "revised":
            assert seen[0][1] != seen[2][1]

    play(script)


def test_the_candle_request_lags_behind_the_socket() -> None:
    async def script(server: SandboxServer, client: Any) -> None:
        whole = await client.fetch_ohlcv("BTC/USDT", "1m", limit=5)
        arm(server, "F23", bars=1)
        assert (await client.fetch_ohlcv("BTC/USDT", "1m", limit=3)) == whole[:-2]

    play(script)
