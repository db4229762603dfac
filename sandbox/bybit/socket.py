"""Bybit's private sockets: the account's stream, and order entry."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any

from forwardtrader.sandbox.bybit import errors
from forwardtrader.sandbox.bybit import format as form
from forwardtrader.sandbox.bybit.disconnection import TOPIC
from forwardtrader.sandbox.bybit.errors import BybitError
from forwardtrader.sandbox.bybit.frames import FRAME, Connection, acknowledged, read_frame, topics_of
from forwardtrader.sandbox.bybit.handlers import BybitAction, BybitHandlers
from forwardtrader.sandbox.bybit.positions import funding_execution
from forwardtrader.sandbox.bybit.rest import answered
from forwardtrader.sandbox.engine.events import BalanceMoved, BalancesChanged, EngineEvent, Funded, OrderChanged
from forwardtrader.sandbox.faults.request_faults import InjectedFault, ReportFaults, RequestFaults
from forwardtrader.sandbox.transport.request_log import RequestLog
from forwardtrader.sandbox.transport.sockets import USER, Conversation, MessageSink

PRIVATE_TOPICS = ("order", "execution", "wallet", "position", "stopOrder", "execution.fast", TOPIC)


class BybitPrivateStream:
    """The private stream: orders, executions, positions and the wallet."""

    which = USER

    def __init__(self, handlers: BybitHandlers, log: RequestLog, reports: ReportFaults) -> None:
        self._handlers = handlers
        self._log = log
        self._reports = reports
        self._open: dict[str, Connection] = {}
        handlers.venue.exchange.subscribe(self.on_event)

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        connection = Connection(sink, self._handlers.venue.host.token(8))
        self._open[connection.id] = connection
        return Conversation(partial(self._on_message, connection), partial(self._end, connection))

    def _end(self, connection: Connection) -> None:
        self._open.pop(connection.id, None)
        self._handlers.protection.leave(connection.id)

    def on_event(self, fact: EngineEvent) -> None:
        if isinstance(fact, OrderChanged):
            frames = self._frames(fact)
            for frame in (f for group in self._reports.shaped(frames, fact) for f in group):
                self._deliver(frame)
            self._log.add("user event", "order", {"id": fact.order.id, "status": form.order_status(fact.order)})
        elif isinstance(fact, Funded):
            self._deliver(self._frame("execution", funding_execution(fact), fact.at))
            self._deliver(self._frame("wallet", self._handlers.wallet_payload(), fact.at))
        elif isinstance(fact, BalancesChanged | BalanceMoved):
            self._deliver(self._frame("wallet", self._handlers.wallet_payload(), fact.at))

    def bar_ended(self) -> None:
        for frame in (f for group in self._reports.flushed() for f in group):
            self._deliver(frame)

    def terminate(self, how: str) -> None:
        """Close all private connections; Bybit sends no final message."""
        for connection in list(self._open.values()):
            connection.queue.close()

    def _frames(self, fact: OrderChanged) -> list[FRAME]:
        frames = [self._frame("order", form.order(fact.order), fact.at)]
        if fact.trade is not None:
            frames.append(self._frame("execution", form.execution(fact.trade, fact.order), fact.at))
            if form.category(fact.trade.symbol) == "linear":
                frames.append(self._frame("position", self._handlers.positions.payload(fact.trade.symbol), fact.at))
        return frames

    def _frame(self, topic: str, row: form.Payload, at: int) -> FRAME:
        return {"id": self._handlers.venue.host.token(8), "topic": topic, "creationTime": at, "data": [row]}

    def _deliver(self, frame: FRAME) -> None:
        for connection in list(self._open.values()):
            if connection.authenticated and any(t == frame["topic"] or t.startswith(f"{frame['topic']}.") for t in connection.topics):
                connection.queue.put(frame)

    def _on_message(self, connection: Connection, raw: str | bytes) -> None:
        frame = read_frame(raw)
        op = frame.get("op") if frame else None
        if frame is None or op not in ("auth", "ping", "subscribe", "unsubscribe"):
            connection.queue.put(acknowledged(frame, connection, wrong=f"error:invalid op {str(op)[:40]}"))
        elif op == "ping":
            connection.queue.put({"req_id": frame.get("req_id", ""), "op": "pong", "args": [str(self._handlers.venue.wall_ms())]})
        elif op == "auth":
            connection.authenticated = authenticated(self._handlers, frame)
            wrong = "" if connection.authenticated else "Params Error"
            connection.queue.put(acknowledged(frame, connection, wrong=wrong))
        else:
            connection.queue.put(self._follow(connection, frame))

    def _follow(self, connection: Connection, frame: FRAME) -> FRAME:
        topics = topics_of(frame)
        if not connection.authenticated:
            return acknowledged(frame, connection, wrong="Request not authorized")
        if wrong := [t for t in topics if t not in PRIVATE_TOPICS and t.split(".")[0] not in PRIVATE_TOPICS]:
            return acknowledged(frame, connection, wrong=f"error:handler not found,topic:{wrong[0][:60]}")
        self._log.add("private socket", str(frame["op"]), {"topics": topics[:50]})
        if frame["op"] == "subscribe":
            connection.topics.update(topics)
            self._handlers.protection.follow(connection.id, topics)
        else:
            connection.topics.difference_update(topics)
        return acknowledged(frame, connection)


class BybitTradeSocket:
    """Order entry over a socket: the actions of the REST API, answered with the request's id."""

    which = USER

    def __init__(
        self,
        handlers: BybitHandlers,
        actions: Mapping[tuple[str, str], BybitAction],
        log: RequestLog,
        faults: RequestFaults,
    ) -> None:
        self._handlers = handlers
        self._log = log
        self._faults = faults
        self._actions = {"order.create": actions["POST", "order/create"], "order.cancel": actions["POST", "order/cancel"]}

    def connect(self, sink: MessageSink, path: str, query: Mapping[str, str]) -> Conversation:
        connection = Connection(sink, self._handlers.venue.host.token(8))
        return Conversation(partial(self._on_message, connection), lambda: None)

    def _on_message(self, connection: Connection, raw: str | bytes) -> None:
        frame = read_frame(raw) or {}
        action, params = self._actions.get(str(frame.get("op"))), frame.get("args")
        symbol = self._handlers.find_symbol(params[0]) if isinstance(params, list) and params and isinstance(params[0], dict) else ""
        wait = self._faults.under_way_s(action.kind, symbol) if action else 0.0
        if wait:
            self._handlers.venue.host.later(wait, partial(self._handle, connection, frame))
        else:
            self._handle(connection, frame)

    def _handle(self, connection: Connection, frame: FRAME) -> None:
        op = frame.get("op")
        reply: FRAME = {"reqId": frame.get("reqId", ""), "op": op, "connId": connection.id, "retCode": 0, "retMsg": "OK"}
        injected: InjectedFault | None = None
        try:
            if op == "auth":
                connection.authenticated = authenticated(self._handlers, frame)
                if not connection.authenticated:
                    raise errors.BAD_SIGN
            elif op == "ping":
                reply |= {"op": "pong", "data": [str(self._handlers.venue.wall_ms())]}
            else:
                reply["data"], injected = self._answer(connection, frame)
        except BybitError as error:
            reply |= {"retCode": error.code, "retMsg": error.text, "data": {}}
        self._reply(connection, reply, injected)

    def _reply(self, connection: Connection, reply: FRAME, injected: InjectedFault | None) -> None:
        later = self._handlers.venue.host.later
        if injected is None:
            connection.queue.put(reply)
        elif injected.kind == "reset":
            connection.queue.reset()
        else:
            later(injected.seconds, partial(connection.queue.put, reply))

    def _answer(self, connection: Connection, frame: FRAME) -> tuple[Any, InjectedFault | None]:
        action, params = self._actions.get(str(frame.get("op"))), frame.get("args")
        if action is None:
            raise BybitError(10404, "op is not supported")
        if not connection.authenticated:
            raise errors.DENIED
        if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
            raise errors.bad("args must be a list with one object")
        entry = self._log.add("trade socket", str(frame["op"]), params[0])
        check_stamp(self._handlers, frame)
        symbol = self._handlers.find_symbol(params[0])
        before = self._faults.before(action.kind, symbol)
        if before is not None:
            raise errors.injected(before.what, before.seconds)
        result = answered(action, params[0])
        after = self._faults.after(action.kind, symbol)
        entry["status"] = 0 if after is None else after.kind
        if after is not None and after.kind == "error":
            raise errors.injected(after.what, after.seconds)
        return result, after


def authenticated(handlers: BybitHandlers, frame: FRAME) -> bool:
    """Whether `args` are key, expiry and the signature over `GET/realtime<expiry>`."""
    params = frame.get("args")
    if not isinstance(params, list) or len(params) != 3:
        return False
    key, expires, signature = (str(a) for a in params)
    if not expires.isdecimal() or len(expires) > 18 or int(expires) <= handlers.venue.wall_ms():
        return False
    secret = handlers.venue.secret_of(key)
    if secret is None:
        return False
    expected = hmac.new(secret.encode(), f"GET/realtime{expires}".encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature.encode(), expected.encode())


def check_stamp(handlers: BybitHandlers, frame: FRAME) -> None:
    """Raises 10002 if the frame's time stamp is outside its window; the signature was checked at login."""
    header = frame.get("header")
    stamp = str(header.get("X-BAPI-TIMESTAMP", "")) if isinstance(header, dict) else ""
    now = handlers.venue.wall_ms()
    if not stamp.isdecimal() or len(stamp) > 18 or not now - 60_000 <= int(stamp) < now + 1000:
        raise errors.bad_time(int(stamp) if stamp.isdecimal() and len(stamp) < 18 else 0, now, 5000)
