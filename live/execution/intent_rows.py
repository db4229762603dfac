"""Intents as rows of SQLite and as records of the write-ahead log, and the states that they pass through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from typing import Final

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Intent
from forwardtrader.live.sqlite_file import Row

COLUMNS: Final = "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, parent, oco, expires, triggered, replaces"
_REASON: Final = 200  # characters of it in the write-ahead log, whose slots are small


class IntentState(StrEnum):
    """The state of an intent. One that is held waits on our side, one that is dropped did, and was not sent; the next four are open."""

    HELD = "held"
    DROPPED = "dropped"
    WRITTEN = "written"
    SENT = "sent"
    UNKNOWN = "unknown"
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    DONE = "done"


OPEN: Final = (IntentState.WRITTEN, IntentState.SENT, IntentState.UNKNOWN, IntentState.ACKNOWLEDGED)


def intent_of(row: Row) -> Intent:
    request = OrderRequest(
        symbol=row[1], side=Side(row[2]), size=Decimal(row[3]), limit_price=_number(row[4]), stop_price=_number(row[5]), reason=row[6]
    )
    return Intent(
        client_id=row[0], request=request, role=row[7], bar=row[8], parent=row[9], group=row[10], expires=row[11], triggered=bool(row[12]),
        replaces=row[13],
    )  # fmt: skip


def row_of(intent: Intent) -> Row:
    request = intent.request
    return (
        intent.client_id, request.symbol, str(request.side), str(request.size), _text(request.limit_price), _text(request.stop_price),
        request.reason, intent.role, intent.bar, intent.parent, intent.group, intent.expires, intent.triggered,
        intent.replaces,
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


_NAMES: Final = (
    "client_id", "symbol", "side", "size", "limit", "stop", "reason", "role", "bar", "parent", "group", "expires", "triggered", "replaces",
)  # fmt: skip
_LATER: Final = {"parent": "", "group": "", "expires": 0, "triggered": False, "replaces": ""}  # records of earlier versions lack these


def record_of(intent: Intent, state: IntentState) -> dict[str, object]:
    short = replace(intent, request=replace(intent.request, reason=intent.request.reason[:_REASON]))
    return {**dict(zip(_NAMES, row_of(short), strict=True)), "state": str(state)}


def intent_in(record: Mapping[str, object]) -> Intent:
    found = {**_LATER, **record}
    return intent_of(tuple(found[name] for name in _NAMES))


def state_in(record: Mapping[str, object]) -> IntentState:
    return IntentState(str(record.get("state", IntentState.WRITTEN)))


def beside(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    held = record.get("held", [])
    return held if isinstance(held, list) else []
