"""Rows of the journal and records of the write-ahead log: intents and executions as plain values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.sqlite_file import Row

COLUMNS: Final = "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, parent, oco, expires, triggered, replaces"
_REASON: Final = 200  # characters of it in the write-ahead log, whose slots are small


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


def execution_row(e: Execution) -> Row:
    return (e.symbol, e.trade_id, e.client_id, e.venue_id, e.side, str(e.size), str(e.price), str(e.fee), e.fee_currency, e.at)


def execution_of(row: Row) -> Execution:
    symbol, trade_id, client_id, venue_id, side, size, price, fee, fee_currency, at = row
    return Execution(
        symbol=symbol, trade_id=trade_id, client_id=client_id, venue_id=venue_id, side=side, size=Decimal(size), price=Decimal(price),
        fee=Decimal(fee), fee_currency=fee_currency, at=int(at),
    )  # fmt: skip


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


_NAMES: Final = (
    "client_id", "symbol", "side", "size", "limit", "stop", "reason", "role", "bar", "parent", "group", "expires", "triggered", "replaces",
)  # fmt: skip
_LATER: Final = {"parent": "", "group": "", "expires": 0, "triggered": False, "replaces": ""}  # records of earlier versions lack these


def record_of(intent: Intent, state: str) -> dict[str, object]:
    short = replace(intent, request=replace(intent.request, reason=intent.request.reason[:_REASON]))
    return {**dict(zip(_NAMES, row_of(short), strict=True)), "state": str(state)}


def intent_in(record: Mapping[str, object]) -> Intent:
    found = {**_LATER, **record}
    return intent_of(tuple(found[name] for name in _NAMES))


def held_in(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    held = record.get("held", [])
    return held if isinstance(held, list) else []
