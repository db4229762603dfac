"""Bybit's socket frames, and the state of a connection."""

from __future__ import annotations

from typing import Any

import orjson

from forwardtrader.sandbox.transport.sockets import MessageSink

FRAME = dict[str, Any]


class Connection:
    """One socket connection: its subscribed topics, and whether it is authenticated."""

    def __init__(self, queue: MessageSink, number: str) -> None:
        self.queue = queue
        self.id = number
        self.topics: set[str] = set()
        self.authenticated = False


def read_frame(raw: str | bytes) -> FRAME | None:
    """The message as a JSON object, or None if it is not one."""
    try:
        frame = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return frame if isinstance(frame, dict) else None


def topics_of(frame: FRAME) -> list[str]:
    params = frame.get("args")
    return [t for t in params if isinstance(t, str)] if isinstance(params, list) else []


def acknowledged(frame: FRAME | None, connection: Connection, *, wrong: str = "") -> FRAME:
    sent = frame or {}
    return {
        "success": not wrong, "ret_msg": wrong, "conn_id": connection.id, "req_id": sent.get("req_id", ""), "op": sent.get("op", ""),
    }  # fmt: skip
