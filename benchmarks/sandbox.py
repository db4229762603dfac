"""How much the practice exchange bears: order round trips over its WebSocket API, and many symbols at many times real time.

`python -m benchmarks.sandbox` prints one line per measurement. The exchange runs in a process of its own, held to one core.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import itertools
import json
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import aiohttp
import orjson
import psutil

from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.process import SandboxHandle, start_sandbox

SYMBOL = "BTCUSDT"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sandbox", description=__doc__)
    parser.add_argument("--orders", type=int, default=5000)
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--speed", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    asked = parser.parse_args()
    for in_flight in (1, 16):
        print(json.dumps(round_trips(asked.orders, in_flight)))
    print(json.dumps(candles(asked.symbols, asked.speed, asked.seconds)))


def round_trips(orders: int, in_flight: int) -> dict[str, Any]:
    """Place `orders` market orders over one socket, `in_flight` at a time, user data subscribed; from send to reply."""
    settings = SandboxSettings(speed="lockstep", limits="off", balances={"USDT": 10**9, "BTC": 10**4})  # type: ignore[dict-item]
    with start_sandbox(settings) as venue:
        hold_to_one_core(venue)
        before = sum(psutil.Process(venue.pid).cpu_times()[:2])
        took, waits = asyncio.run(_place(venue, orders, in_flight))
        busy = sum(psutil.Process(venue.pid).cpu_times()[:2]) - before
    waits.sort()
    return {
        "what": "order round trips over the WS API",
        "in_flight": in_flight,
        "orders": orders,
        "per_second": round(orders / took),
        "per_core_second": round(orders / busy),  # of the exchange's own time: what an idle machine would give
        "p50_ms": round(statistics.median(waits) * 1000, 2),
        "p99_ms": round(waits[int(len(waits) * 0.99)] * 1000, 2),
    }


def candles(symbols: int, speed: float, seconds: float) -> dict[str, Any]:
    """Follow the one-minute candles of many symbols; how far behind its clock does the market fall?"""
    names = tuple(f"C{number:02d}/USDT" for number in range(symbols))
    with start_sandbox(SandboxSettings(speed=speed, symbols=names, limits="off", history=50)) as venue:
        hold_to_one_core(venue)
        closes, messages = asyncio.run(_follow(venue, seconds))
    bar_s = 60 / speed
    first, last = min(closes.values(), key=lambda c: c[0][1])[0], max(c[-1] for c in closes.values())
    expected = (last[0] - first[0]) / 60_000 * bar_s
    return {
        "what": "candles at speed",
        "symbols": symbols,
        "speed": speed,
        "messages_per_second": round(messages / seconds),
        "closed_per_symbol": min(len(c) for c in closes.values()),
        "expected_per_symbol": int(seconds / bar_s) - 1,
        "behind_ms": round((last[1] - first[1] - expected) * 1000, 1),
        "missed": sum((c[-1][0] - c[0][0]) // 60_000 + 1 - len(c) for c in closes.values()),
    }


def hold_to_one_core(venue: SandboxHandle) -> None:
    """Pin the exchange to one core, and this process to another where there is one."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(venue.pid, {cores[-1]})


def signed(venue: SandboxHandle, params: dict[str, str]) -> dict[str, str]:
    full = {**params, "apiKey": venue.api_key, "timestamp": str(int(time.time() * 1000))}
    payload = "&".join(f"{name}={full[name]}" for name in sorted(full))
    return full | {"signature": hmac.new(venue.api_secret.encode(), payload.encode(), hashlib.sha256).hexdigest()}


async def _place(venue: SandboxHandle, orders: int, in_flight: int) -> tuple[float, list[float]]:
    sent: dict[int, float] = {}
    waits: list[float] = []
    numbers = iter(range(1, orders + 1))
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.ws_url}/ws-api/v3") as socket:
        subscribe = {"id": 0, "method": "userDataStream.subscribe.signature", "params": signed(venue, {})}
        await socket.send_bytes(orjson.dumps(subscribe))
        await socket.receive()
        begun = time.perf_counter()
        for number in itertools.islice(numbers, in_flight):
            await _send(socket, venue, number, sent)
        while len(waits) < orders:
            reply = orjson.loads((await socket.receive()).data)
            if "id" not in reply:
                continue
            assert reply["status"] == 200, reply
            waits.append(time.perf_counter() - sent.pop(reply["id"]))
            await _next(socket, venue, numbers, sent)
        return time.perf_counter() - begun, waits


async def _next(socket: Any, venue: SandboxHandle, numbers: Iterator[int], sent: dict[int, float]) -> None:
    number = next(numbers, None)
    if number is not None:
        await _send(socket, venue, number, sent)


async def _send(socket: Any, venue: SandboxHandle, number: int, sent: dict[int, float]) -> None:
    side = "BUY" if number % 2 else "SELL"
    order = {"symbol": SYMBOL, "side": side, "type": "MARKET", "quantity": "0.001", "newClientOrderId": f"b{number}"}
    message = orjson.dumps({"id": number, "method": "order.place", "params": signed(venue, order)})
    sent[number] = time.perf_counter()
    await socket.send_bytes(message)


async def _follow(venue: SandboxHandle, seconds: float) -> tuple[dict[str, list[tuple[int, float]]], int]:
    closes: dict[str, list[tuple[int, float]]] = {}
    messages = 0
    streams = [f"{symbol.replace('/', '').lower()}@kline_1m" for symbol in venue.symbols]
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{venue.ws_url}/ws") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": streams, "id": 1})
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            event = orjson.loads((await socket.receive()).data)
            messages += 1
            if "k" in event and event["k"]["x"]:
                closes.setdefault(event["s"], []).append((event["k"]["t"], time.perf_counter()))
    return closes, messages


if __name__ == "__main__":
    main()
