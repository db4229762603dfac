"""Binance's WebSocket API: signed requests over a socket, and the account's own events."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from sandbox import binance_auth as auth
from sandbox import binance_errors as errors
from sandbox import binance_format as form
from sandbox.binance_desk import Action
from sandbox.binance_errors import ApiError
from sandbox.binance_limits import Limits
from sandbox.binance_rest import answered
from sandbox.events import BalanceMoved, BalancesChanged, Event, OrderChanged
from sandbox.outbox import Outbox
from sandbox.request_log import RequestLog
from sandbox.venue import Venue

SUBSCRIBE = "userDataStream.subscribe.signature"
UNSUBSCRIBE = "userDataStream.unsubscribe"
LARGEST_MESSAGE = 4 * 1024 * 1024


class ApiSocket:
    """One connection with its user data subscriptions."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.subscriptions: set[int] = set()
        self._next = 0

    def subscribe(self) -> int:
        number, self._next = self._next, self._next + 1
        self.subscriptions.add(number)
        return number

    def deliver(self, payload: form.Payload) -> None:
        for number in self.subscriptions:
            self.outbox.put({"subscriptionId": number, "event": payload})


class WsApiDoor:
    """All connections to the WebSocket API."""

    def __init__(self, venue: Venue, actions: Mapping[str, Action], limits: Limits, log: RequestLog) -> None:
        self.sockets: set[ApiSocket] = set()
        self._venue = venue
        self._actions = actions
        self._limits = limits
        self._log = log
        venue.exchange.listen(self.on_event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        response = web.WebSocketResponse(max_msg_size=LARGEST_MESSAGE, heartbeat=20, compress=False)
        await response.prepare(request)
        socket = ApiSocket(Outbox(response))
        self.sockets.add(socket)
        writer = asyncio.create_task(socket.outbox.write())
        try:
            async for message in response:
                if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                    socket.outbox.put(self._reply(socket, message.data))
        finally:
            self.sockets.discard(socket)
            writer.cancel()
        return response

    def on_event(self, fact: Event) -> None:
        payload = user_event(self._venue, fact)
        if payload is None or not self.sockets:
            return
        for socket in list(self.sockets):
            socket.deliver(payload)
        self._log.add("user event", payload["e"], {k: payload[k] for k in ("i", "c", "x", "X", "z") if k in payload})

    def _reply(self, socket: ApiSocket, raw: str | bytes) -> form.Payload:
        try:
            number, method, sent = _read(raw)
        except ApiError as error:
            return {"id": None, "status": error.status, "error": error.body}
        entry = self._log.add("ws api", method, sent)
        counted = self._actions[method].is_order if method in self._actions else False
        try:
            result = self._answer(socket, method, sent)
            reply: form.Payload = {"id": number, "status": 200, "result": result}
        except ApiError as error:
            reply = {"id": number, "status": error.status, "error": error.body}
        entry["status"] = reply["status"]
        if sent.get("returnRateLimits") != "false":
            reply["rateLimits"] = self._limits.described(orders=counted, counts=True)
        return reply

    def _answer(self, socket: ApiSocket, method: str, sent: dict[str, str]) -> Any:
        now = self._venue.wall_ms()
        if method == SUBSCRIBE:
            self._limits.spend(2, now)
            self._check(sent, now)
            return {"subscriptionId": socket.subscribe()}
        if method == UNSUBSCRIBE:
            return self._unsubscribe(socket, sent)
        action = self._actions.get(method)
        if action is None:
            raise ApiError(-1100, f"Unknown method '{method[:80]}'.")
        self._limits.spend(action.weight, now)
        if action.signed:
            self._check(sent, now)
        if action.is_order:
            self._limits.count_order(now)
        return answered(action, sent)

    def _check(self, sent: Mapping[str, str], now: int) -> None:
        auth.check_key(sent.get("apiKey"), self._venue.keys)
        auth.check_signature(auth.socket_payload(sent), sent.get("signature"), self._venue.keys)
        auth.check_time(sent, now)

    @staticmethod
    def _unsubscribe(socket: ApiSocket, sent: Mapping[str, str]) -> Any:
        wanted = sent.get("subscriptionId")
        if wanted is None:
            socket.subscriptions.clear()
        elif wanted.isdecimal() and int(wanted) in socket.subscriptions:
            socket.subscriptions.discard(int(wanted))
        else:
            raise errors.invalid_data("subscriptionId")
        return {}


def user_event(venue: Venue, fact: Event) -> form.Payload | None:
    """The user data event that tells a fact, or nothing where it is none of the account's."""
    if isinstance(fact, OrderChanged):
        return form.execution_report(fact)
    if isinstance(fact, BalancesChanged):
        return form.account_position(venue.exchange.accounts[fact.account], fact.assets, fact.at)
    if isinstance(fact, BalanceMoved):
        return {"e": "balanceUpdate", "E": fact.at, "a": fact.asset, "d": form.number(fact.amount), "T": fact.at}
    return None


def _read(raw: str | bytes) -> tuple[Any, str, dict[str, str]]:
    """Id, method and parameters as text. Raises -1135 where the message is not a request."""
    try:
        message = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise ApiError(-1135, "Invalid JSON Request") from error
    method = message.get("method") if isinstance(message, dict) else None
    params = message.get("params", {}) if isinstance(message, dict) else None
    if not isinstance(method, str) or not isinstance(params, dict):
        raise ApiError(-1135, "Invalid JSON Request")
    number = message.get("id")
    if isinstance(number, dict | list | float | bool):
        raise ApiError(-1135, "Invalid JSON Request")
    return number, method, {name: _text(value) for name, value in params.items()}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
