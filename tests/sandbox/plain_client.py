"""A client that calls a practice exchange directly: no network, no event loop, and time that stands still unless it is moved."""

from __future__ import annotations

import hashlib
import hmac
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from forwardtrader.sandbox.orders.settings import SandboxSettings
from forwardtrader.sandbox.practice import PracticeExchange, no_outage
from forwardtrader.sandbox.state.state_file import StateFile
from forwardtrader.sandbox.transport.host import Act, Host
from forwardtrader.sandbox.transport.http import HttpAnswer, HttpRequest
from forwardtrader.sandbox.transport.sockets import GOING_AWAY, Conversation


class StoppedClock:
    """Wall and monotonic time, and timers: all of it moves with `pass_time` only."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)
        self.timers: list[tuple[datetime, Act]] = []

    def now(self) -> datetime:
        return self.moment

    def seconds(self) -> float:
        return self.moment.timestamp()

    def later(self, seconds: float, act: Act) -> None:
        self.timers.append((self.moment + timedelta(seconds=seconds), act))

    def pass_time(self, seconds: float) -> None:
        end = self.moment + timedelta(seconds=seconds)
        while due := [timer for timer in self.timers if timer[0] <= end]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.moment = max(self.moment, first[0])
            first[1]()
        self.moment = end


@dataclass
class Received:
    """A sink that keeps what the venue sends."""

    messages: list[Any] = field(default_factory=list)
    ended: str = ""
    silent: bool = False

    def put(self, message: Any) -> None:
        self.put_bytes(orjson.dumps(message))

    def put_bytes(self, message: bytes) -> None:
        if not self.silent and not self.ended:
            self.messages.append(orjson.loads(message))

    def reset(self) -> None:
        self.ended = "reset"

    def close(self, code: int = GOING_AWAY) -> None:
        self.ended = str(code)


class PlainClient:
    """Signs requests of either protocol and hands them to the exchange."""

    def __init__(self, chance: int = 1, state: StateFile | None = None, **settings: Any) -> None:
        self.clock = StoppedClock()
        self.key = "k"
        host = Host(self.clock, self.clock.seconds, lambda: 0, self.clock.later, random.Random(chance))
        given = {"speed": "lockstep", "limits": "off", "api_key": "k", "api_secret": "s", "admin_token": "t", "history": 20} | settings
        self.settings = SandboxSettings.model_validate(given)
        self.exchange = PracticeExchange(self.settings, host, no_outage, state)
        self.exchange.arm_faults()
        self.venue = self.exchange.venue

    def ask(self, method: str, path: str, **params: Any) -> Any:
        """The answer's body as JSON."""
        return orjson.loads(self.send(method, path, **params).body)

    def send(self, method: str, path: str, **params: Any) -> HttpAnswer:
        return self.exchange.answer(self.request(method, path, **params))

    def request(self, method: str, path: str, **params: Any) -> HttpRequest:
        stamp = str(self.venue.wall_ms())
        if path.startswith("/v5/"):
            query = urlencode(params) if method == "GET" else ""
            body = orjson.dumps(params) if method != "GET" else b""
            signature = self._signed(f"{stamp}{self.key}5000{query}{body.decode()}")
            headers = {"X-BAPI-API-KEY": self.key, "X-BAPI-TIMESTAMP": stamp, "X-BAPI-RECV-WINDOW": "5000", "X-BAPI-SIGN": signature}
            return HttpRequest(method, path, query, headers, body)
        query = urlencode(params | {"timestamp": stamp})
        return HttpRequest(method, path, f"{query}&signature={self._signed(query)}", {"x-mbx-apikey": self.key})

    def connect(self, path: str, **query: str) -> tuple[Received, Conversation]:
        """A socket at `path`, as its client sees it."""
        sink, endpoint = Received(), self.exchange.endpoint(path)
        assert endpoint is not None
        self.exchange.sockets.add(endpoint.which, sink)
        return sink, endpoint.connect(sink, path, query)

    def user_stream(self) -> Received:
        """The account's private stream."""
        if self.settings.protocol == "bybit":
            sink, talk = self.connect("/v5/private")
            expires = str(self.venue.wall_ms() + 10_000)
            talk.receive(orjson.dumps({"op": "auth", "args": ["k", expires, self._signed(f"GET/realtime{expires}")]}))
            talk.receive(orjson.dumps({"op": "subscribe", "args": ["order", "execution", "wallet"]}))
            return sink
        sink, talk = self.connect("/ws-api/v3")
        params = {"apiKey": "k", "timestamp": str(self.venue.wall_ms())}
        signature = self._signed("&".join(f"{name}={params[name]}" for name in sorted(params)))
        request = {"id": 1, "method": "userDataStream.subscribe.signature", "params": params | {"signature": signature}}
        talk.receive(orjson.dumps(request))
        return sink

    @staticmethod
    def _signed(text: str) -> str:
        return hmac.new(b"s", text.encode(), hashlib.sha256).hexdigest()
