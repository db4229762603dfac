"""Time windows, weights, limits and the exact messages of Binance's errors, as a raw client sees them."""

from __future__ import annotations

from typing import Any

import pytest

from forwardtrader.sandbox.server import SandboxServer
from tests.sandbox.binance.raw_client import Ask, play

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "20000.00"}
ILLEGAL = "Illegal characters found in parameter '%s'; legal range is '%s'."
WORDS: list[tuple[dict[str, Any], int, int, str]] = [
    ({"late_ms": 6000}, 400, -1021, "Timestamp for this request is outside of the recvWindow."),
    ({"late_ms": -1500}, 400, -1021, "Timestamp for this request was 1000ms ahead of the server's time."),
    ({"late_ms": 9000, "recvWindow": 10000}, 200, 0, ""),
    ({"recvWindow": 60001}, 400, -1131, "recvWindow must be less than 60000"),
    ({"key": "x" * 64}, 401, -2015, "Invalid API-key, IP, or permissions for action."),
    ({"key": ""}, 401, -2014, "API-key format invalid."),
    ({"sign": False, "timestamp": 1, "signature": "00"}, 400, -1022, "Signature for this request is not valid."),
    ({"symbol": "NOSUCH"}, 400, -1121, "Invalid symbol."),
    ({"side": "HOLD"}, 400, -1117, "Invalid side."),
    ({"type": "WISH"}, 400, -1116, "Invalid orderType."),
    ({"timeInForce": "DAY"}, 400, -1115, "Invalid timeInForce."),
    ({"quantity": ""}, 400, -1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed."),
    ({"quantity": "1e3"}, 400, -1100, ILLEGAL % ("quantity", r"^([0-9]{1,20})(\.[0-9]{1,20})?$")),
    ({"stopPrice": "1"}, 400, -1106, "Parameter 'stopPrice' sent when not required."),
    ({"bogus": "1"}, 400, -1104, "Not all sent parameters were read; read '6' parameter(s) but was sent '7'."),
    ({"quantity": "0.000001"}, 400, -1013, "Filter failure: LOT_SIZE"),
    ({"price": "20000.001"}, 400, -1013, "Filter failure: PRICE_FILTER"),
    ({"quantity": "0.0001"}, 400, -1013, "Filter failure: NOTIONAL"),
    ({"quantity": "5"}, 400, -2010, "Account has insufficient balance for requested action."),
    ({"newClientOrderId": "a b"}, 400, -1100, ILLEGAL % ("newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$")),
]  # fmt: skip


@pytest.mark.parametrize(("change", "status", "code", "words"), WORDS, ids=lambda v: str(v)[:30])
def test_an_order_is_refused_with_binances_code_and_words(change: dict[str, Any], status: int, code: int, words: str) -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        got, body, _ = await ask("POST", "order", **{**ORDER, **change})
        assert got == status
        if code:
            assert body == {"code": code, "msg": words}

    play(script)


def test_cancel_and_query_of_an_unknown_order_have_codes_of_their_own() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        gone = {"symbol": "BTCUSDT", "orderId": 7}
        assert (await ask("DELETE", "order", **gone))[1] == {"code": -2011, "msg": "Unknown order sent."}
        assert (await ask("GET", "order", **gone))[1] == {"code": -2013, "msg": "Order does not exist."}

    play(script)


def test_used_weight_is_reported_and_its_limit_enforced() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        _, _, headers = await ask("GET", "exchangeInfo", sign=False)
        assert headers["X-MBX-USED-WEIGHT-1M"] == "20"
        status = 200
        while status == 200:
            status, body, headers = await ask("GET", "exchangeInfo", sign=False)
        assert (status, body["code"]) == (429, -1003)
        assert 1 <= int(headers["Retry-After"]) <= 60

    play(script, limits="on", weight_per_minute=100)


def test_too_many_orders_are_refused() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        for _ in range(3):
            status, _, headers = await ask("POST", "order", **ORDER)
        assert (status, headers["X-MBX-ORDER-COUNT-10S"]) == (200, "3")
        status, body, _ = await ask("POST", "order", **ORDER)
        assert (status, body["code"], body["msg"]) == (429, -1015, "Too many new orders; current limit is 3 orders per 10 SECOND.")

    play(script, limits="on", orders_per_10s=3)


def test_candles_are_paged_from_the_start_or_from_the_end() -> None:
    async def script(server: SandboxServer, ask: Ask) -> None:
        async def starts(**params: Any) -> list[int]:
            _, rows, _ = await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="1m", **params)
            return [(row[0] - first) // 60_000 for row in rows]

        first = 0
        first = (await starts(limit=1000))[0] * 60_000
        assert await starts(limit=3) == [48, 49, 50]  # the last ones, the running one with them
        assert await starts(limit=3, startTime=first) == [0, 1, 2]
        assert await starts(limit=3, endTime=first + 10 * 60_000) == [8, 9, 10]
        _, hourly, _ = await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="1h")
        assert all(row[0] % 3_600_000 == 0 for row in hourly)
        assert (await ask("GET", "klines", sign=False, symbol="BTCUSDT", interval="7m"))[1] == {"code": -1120, "msg": "Invalid interval."}

    play(script, history=50)
