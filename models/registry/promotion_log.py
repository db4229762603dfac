"""Promotion log: every promotion, refusal and rollback of a model with its reason, in one append-only file.

A market is a list of symbols and a timeframe. An operator's command holds in every session of the market, or in the one that is named;
what a calendar, a drift alarm or a contest decides holds in its own session.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from filelock import FileLock
from pydantic import AliasChoices, AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from forwardtrader.core.atomic import write_text
from forwardtrader.core.errors import FingerprintMismatch

FILE_NAME: Final = "appointments.json"
_LOCK_S: Final = 30.0


class PromotionAction(StrEnum):
    PROMOTED = "promoted"
    KEPT = "kept"
    ROLLED_BACK = "rolled back"


class Author(StrEnum):
    CALENDAR = "calendar"
    DRIFT = "drift"
    GUARD = "guard"
    PERSON = "person"


class PromotionRecord(BaseModel):
    """One decision.

    Attributes:
        at: when it was made (UTC, wall clock).
        session: where it holds; empty for every session of the market.
        model_id: the model in force after it; empty where that is the calendar's own.
        other: the model that gave way (promoted, rolled back), or the challenger that was refused (kept).
        since: open time of the first bar it holds for; None for a command that no session has applied yet.
        boundary: of the model that was decided upon.
        changed: when the market seems to have changed, as known from then on.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=(), serialize_by_alias=True)

    at: AwareDatetime
    market: str
    action: PromotionAction = Field(validation_alias=AliasChoices("action", "deed"), serialization_alias="deed")  # the name in the file
    by: Author
    model_id: str
    other: str = ""
    reason: str
    session: str = ""
    since: AwareDatetime | None = None
    boundary: AwareDatetime | None = None
    changed: AwareDatetime | None = None


_MANY: Final = TypeAdapter(list[PromotionRecord])


def market_of(symbols: Iterable[str], timeframe: str) -> str:
    """`BTC/USDT,ETH/USDT 1h`, whatever the order of the symbols."""
    return f"{','.join(sorted(symbols))} {timeframe}"


def promotion_stack(entries: Iterable[PromotionRecord]) -> tuple[str, ...]:
    """The stack of promoted models after these decisions, the one in force last; empty where nothing was promoted.

    A promotion is put on top, a rollback takes its model out wherever it stands, a refusal changes nothing.
    """
    stack: list[str] = []
    for entry in entries:
        if entry.action is PromotionAction.PROMOTED:
            stack.append(entry.model_id)
        elif entry.action is PromotionAction.ROLLED_BACK and entry.other in stack:
            del stack[len(stack) - 1 - stack[::-1].index(entry.other)]
    return tuple(stack)


def in_force(entries: Iterable[PromotionRecord]) -> str | None:
    """The model in force after these decisions; None where it is the calendar's own."""
    stack = promotion_stack(entries)
    return stack[-1] if stack else None


def visible(entries: Sequence[PromotionRecord], market: str, session: str = "") -> list[PromotionRecord]:
    """What holds in one session of a market; for no session, what holds in all of them."""
    return [e for e in entries if e.market == market and e.session in ("", session)]


class PromotionLog:
    """The log file. Several processes may write to it; each entry is written whole or not at all.

    Raises (from every method):
        FingerprintMismatch: the file cannot be read; the message says what to do.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME

    def entries(self) -> list[PromotionRecord]:
        """All decisions, oldest first."""
        try:
            return _MANY.validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except (ValidationError, UnicodeDecodeError) as error:
            raise FingerprintMismatch(f"{self.path} cannot be read; move it away to begin a new record of promotions") from error

    def add(self, entry: PromotionRecord) -> None:
        """Append one decision."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_S):
            records = [e.model_dump(mode="json") for e in [*self.entries(), entry]]
            write_text(self.path, json.dumps(records, indent=1) + "\n")

    def orders_after(self, moment: datetime, market: str, session: str) -> list[PromotionRecord]:
        """What persons ordered for this session after `moment` (wall clock)."""
        return [e for e in visible(self.entries(), market, session) if e.by is Author.PERSON and e.since is None and e.at > moment]
