"""Tables of the journal, its rows, and records of the write-ahead log: intents and executions as plain values, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, replace
from decimal import Decimal
from typing import Final

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import NEVER_ARRIVED, REPORTED, Execution, Intent, Trail
from forwardtrader.live.sqlite_file import Row
from forwardtrader.live.venue.perpetuals import FundingPayment

VERSION: Final = 6
UPGRADES: Final = {
    1: """
alter table intents add column parent text not null default '';
alter table intents add column oco text not null default '';
alter table intents add column expires integer not null default 0;
alter table intents add column triggered integer not null default 0;
alter table intents add column replaces text not null default '';
""",
    2: "alter table intents add column trail text not null default '';",
    3: "",  # payments came, in a table of their own
    # Whatever has ended until now, its run has dealt with: only of later ones a start knows that nobody has.
    4: f"update intents set note = '{REPORTED}' || note where state in ('refused', 'done') and note <> '{NEVER_ARRIVED}';",
    5: "alter table intents add column post_only text not null default '';",
}
SCHEMA: Final = """
create table if not exists intents (
    client_id text primary key, symbol text not null, side text not null, size text not null, limit_price text, stop_price text,
    reason text not null, role text not null, bar integer not null, state text not null, venue_id text not null default '',
    note text not null default '', parent text not null default '', oco text not null default '', expires integer not null default 0,
    triggered integer not null default 0, replaces text not null default '', trail text not null default '',
    post_only text not null default '');
create index if not exists held_intents on intents (state) where state = 'held';
create index if not exists open_intents on intents (state) where state in ('written', 'sent', 'unknown', 'acknowledged');
create table if not exists executions (
    symbol text not null, trade_id text not null, client_id text not null, venue_id text not null, side text not null,
    size text not null, price text not null, fee text not null, fee_currency text not null, at integer not null,
    primary key (symbol, trade_id)) without rowid;
create index if not exists executions_of on executions (client_id);
create table if not exists replacements (
    symbol text not null, trade_id text not null, stand_in text not null, primary key (symbol, trade_id)) without rowid;
create table if not exists payments (
    id text primary key, symbol text not null, currency text not null, amount text not null, at integer not null) without rowid;
create table if not exists marks (name text primary key, value text not null) without rowid;
"""
COLUMNS: Final = (
    "client_id, symbol, side, size, limit_price, stop_price, reason, role, bar, parent, oco, expires, triggered, replaces, trail, post_only"
)
_REASON: Final = 200  # characters of it in the write-ahead log, whose slots are small


def intent_of(row: Row) -> Intent:
    request = OrderRequest(
        symbol=row[1], side=Side(row[2]), size=Decimal(row[3]), limit_price=_number(row[4]), stop_price=_number(row[5]), reason=row[6]
    )
    return Intent(
        client_id=row[0], request=request, role=row[7], bar=row[8], parent=row[9], group=row[10], expires=row[11], triggered=bool(row[12]),
        replaces=row[13], trail=_trail(row[14]), post_only=row[15],
    )  # fmt: skip


def row_of(intent: Intent) -> Row:
    request = intent.request
    return (
        intent.client_id, request.symbol, str(request.side), str(request.size), _text(request.limit_price), _text(request.stop_price),
        request.reason, intent.role, intent.bar, intent.parent, intent.group, intent.expires, intent.triggered,
        intent.replaces, json.dumps(astuple(intent.trail)) if intent.trail is not None else "", intent.post_only,
    )  # fmt: skip


def execution_row(e: Execution) -> Row:
    return (e.symbol, e.trade_id, e.client_id, e.venue_id, e.side, str(e.size), str(e.price), str(e.fee), e.fee_currency, e.at)


def execution_of(row: Row) -> Execution:
    symbol, trade_id, client_id, venue_id, side, size, price, fee, fee_currency, at = row
    return Execution(
        symbol=symbol, trade_id=trade_id, client_id=client_id, venue_id=venue_id, side=side, size=Decimal(size), price=Decimal(price),
        fee=Decimal(fee), fee_currency=fee_currency, at=int(at),
    )  # fmt: skip


def payment_row(payment: FundingPayment) -> Row:
    return (payment.id, payment.symbol, payment.currency, str(payment.amount), payment.at)


def payment_of(row: Row) -> FundingPayment:
    return FundingPayment(id=row[0], symbol=row[1], currency=row[2], amount=Decimal(row[3]), at=int(row[4]))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _trail(value: str) -> Trail | None:
    if not value:
        return None
    amount, percent, offset, since = json.loads(value)
    return Trail(amount=amount, percent=percent, offset=offset, since=since)


def _number(value: str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


_NAMES: Final = (
    "client_id", "symbol", "side", "size", "limit", "stop", "reason", "role", "bar", "parent", "group", "expires", "triggered", "replaces",
    "trail", "post_only",
)  # fmt: skip
_LATER: Final = {
    "parent": "",
    "group": "",
    "expires": 0,
    "triggered": False,
    "replaces": "",
    "trail": "",
    "post_only": "",
}  # records of earlier versions lack these


def record_of(intent: Intent, state: str) -> dict[str, object]:
    short = replace(intent, request=replace(intent.request, reason=intent.request.reason[:_REASON]))
    return {**dict(zip(_NAMES, row_of(short), strict=True)), "state": str(state)}


def intent_in(record: Mapping[str, object]) -> Intent:
    found = {**_LATER, **record}
    return intent_of(tuple(found[name] for name in _NAMES))


def held_in(record: Mapping[str, object]) -> list[Mapping[str, object]]:
    held = record.get("held", [])
    return held if isinstance(held, list) else []
