"""Bybit's socket frames, and what a connection has said so far."""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from forwardtrader.sandbox.transport.send_queue import SendQueue

FRAME = dict[str, Any]


class Connection:
    """One socket: what it follows, and whether it has shown who it is."""

    def __init__(self, queue: SendQueue) -> None:
        self.queue = queue
        self.id = secrets.token_hex(8)
        self.topics: set[str] = set()
        self.known = False


def read_frame(raw: str | bytes) -> FRAME | None:
    """The message as an object, or nothing where it is none."""
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
