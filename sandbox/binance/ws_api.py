"""Binance's WebSocket API: signed requests, and the user data stream."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from forwardtrader.sandbox.binance import auth, errors
from forwardtrader.sandbox.binance import format as form
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.binance.handlers import BinanceAction
from forwardtrader.sandbox.binance.limits import Limits
from forwardtrader.sandbox.binance.lists import list_status
from forwardtrader.sandbox.binance.rest import answered
from forwardtrader.sandbox.engine.events import BalanceMoved, BalancesChanged, EngineEvent, ListChanged, OrderChanged
from forwardtrader.sandbox.faults.request_faults import InjectedFault, ReportFaults, RequestFaults
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import USER, Conversation, MessageSink
from forwardtrader.sandbox.venue import SandboxVenue

SUBSCRIBE = "userDataStream.subscribe.signature"
UNSUBSCRIBE = "userDataStream.unsubscribe"


class ApiSocket:
    """One connection with its user data subscriptions."""

    def __init__(self, queue: MessageSink) -> None:
        self.queue = queue
        self.subscriptions: dict[int, None] = {}
        self._next = 0

    def subscribe(self) -> int:
        number, self._next = self._next, self._next + 1
        self.subscriptions[number] = None
        return number

    def deliver(self, payload: form.Payload) -> None:
        for number in self.subscriptions:
            self.queue.put({"subscriptionId": number, "event": payload})


class BinanceWebSocketApi:
    """All connections to the WebSocket API."""

    which = USER

    def __init__(
        self,
        venue: SandboxVenue,
        actions: Mapping[str, BinanceAction],
        limits: Limits,
        log: RequestLog,
        faults: RequestFaults,
        reports: ReportFaults,
    ) -> None:
        self._users: dict[int, ApiSocket] = {}
        self._venue = venue
        self._actions = actions
        self._limits = limits
        self._log = log
        self._faults = faults
        self._reports = reports
        self._symbols = form.idents(venue.exchange.listings)
        venue.exchange.subscribe(self.on_event)

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        socket = ApiSocket(sink)
        self._users[id(socket)] = socket
        return Conversation(partial(self._on_message, socket), partial(self._users.pop, id(socket), None))

    def on_event(self, fact: EngineEvent) -> None:
        payload = user_event(self._venue, fact)
        if payload is None:
            return
        shaped = self._reports.shaped(payload, fact) if isinstance(fact, OrderChanged) else [payload]
        for report in shaped:
            self._deliver(report)
        self._log.add("user event", payload["e"], {k: payload[k] for k in ("i", "c", "x", "X", "z") if k in payload}, sent=len(shaped))

    def bar_ended(self) -> None:
        for report in self._reports.flushed():
            self._deliver(report)

    def terminate(self, how: str) -> None:
        """End all user data streams with the message that Binance sends."""
        at = self._venue.market_clock()
        for socket in list(self._users.values()):
            if how == "shutdown":
                socket.queue.put({"event": {"e": "serverShutdown", "E": at}})
                socket.queue.close()
            else:
                socket.deliver({"e": "eventStreamTerminated", "E": at})
                socket.subscriptions.clear()

    def _deliver(self, report: form.Payload) -> None:
        for socket in list(self._users.values()):
            socket.deliver(report)

    def _on_message(self, socket: ApiSocket, raw: str | bytes) -> None:
        try:
            number, method, sent = _read(raw)
        except ApiError as error:
            socket.queue.put({"id": None, "status": error.status, "error": error.body})
            return
        action = self._actions.get(method)
        wait = self._faults.under_way_s(action.kind, self._symbols.get(sent.get("symbol", ""), "")) if action else 0.0
        if wait:
            self._venue.host.later(wait, partial(self._handle, socket, number, method, sent))
        else:
            self._handle(socket, number, method, sent)

    def _handle(self, socket: ApiSocket, number: Any, method: str, sent: dict[str, str]) -> None:
        entry = self._log.add("ws api", method, sent)
        reply, injected = self._reply(socket, number, method, sent)
        entry["status"] = reply["status"] if injected is None else injected.kind
        if injected is None or injected.kind == "error":
            socket.queue.put(reply)
        elif injected.kind == "reset":
            socket.queue.reset()
        else:
            self._venue.host.later(injected.seconds, partial(socket.queue.put, reply))

    def _reply(self, socket: ApiSocket, number: Any, method: str, sent: dict[str, str]) -> tuple[form.Payload, InjectedFault | None]:
        action = self._actions.get(method)
        injected = None
        try:
            result = self._answer(socket, method, sent)
            reply: form.Payload = {"id": number, "status": 200, "result": result}
            injected = self._faults.after(action.kind if action else "subscribe", self._symbols.get(sent.get("symbol", ""), ""))
            if injected is not None and injected.kind == "error":
                raise errors.injected(injected.what, injected.seconds, self._venue.wall_ms())
        except ApiError as error:
            reply = {"id": number, "status": error.status, "error": error.body}
        if sent.get("returnRateLimits") != "false":
            reply["rateLimits"] = self._limits.described(orders=bool(action and action.is_order), counts=True)
        return reply, injected

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
        injected = self._faults.before(action.kind, self._symbols.get(sent.get("symbol", ""), ""))
        if injected is not None:
            raise errors.injected(injected.what, injected.seconds, now)
        if action.is_order:
            self._limits.count_order(now)
        return answered(action, sent)

    def _check(self, sent: Mapping[str, str], now: int) -> None:
        secret = auth.check_key(sent.get("apiKey"), self._venue)
        auth.check_signature(auth.socket_payload(sent), sent.get("signature"), secret)
        auth.check_time(sent, now)

    @staticmethod
    def _unsubscribe(socket: ApiSocket, sent: Mapping[str, str]) -> Any:
        wanted = sent.get("subscriptionId")
        if wanted is None:
            socket.subscriptions.clear()
        elif wanted.isdecimal() and int(wanted) in socket.subscriptions:
            socket.subscriptions.pop(int(wanted), None)
        else:
            raise errors.invalid_data("subscriptionId")
        return {}


def user_event(venue: SandboxVenue, fact: EngineEvent) -> form.Payload | None:
    """The user data event for an engine event, or None if it does not concern the account."""
    if isinstance(fact, OrderChanged):
        return None if ":" in fact.order.request.symbol else form.execution_report(fact)
    if isinstance(fact, BalancesChanged):
        return form.account_position(venue.exchange.accounts[fact.account], fact.assets, fact.at)
    if isinstance(fact, BalanceMoved):
        return {"e": "balanceUpdate", "E": fact.at, "a": fact.asset, "d": form.number(fact.amount), "T": fact.at}
    if isinstance(fact, ListChanged):
        return list_status(venue.exchange.lists[fact.list_id], fact.at)
    return None


def _read(raw: str | bytes) -> tuple[Any, str, dict[str, str]]:
    """Id, method and parameters as text. Raises -1135 if the message is not a request."""
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
