"""How a session stands now: read from its database, journal, lock and heartbeat, each fact with its age; never from an old status file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import RunUnreadable, TradingError
from forwardtrader.live import control
from forwardtrader.live.heartbeat import newest_beat
from forwardtrader.live.mailbox import run_started
from forwardtrader.live.output.store import SessionStore
from forwardtrader.reports.pages.session_status import SessionState, SessionStatus, read_status

_LOST_S: Final = 5.0  # without a heartbeat, which comes every second
_OPEN: Final = "('written', 'sent', 'unknown', 'acknowledged')"
_LIMIT_HALTS: Final = {"account_limits_halt": True, "account_limits_reduce": False, "account_limits_open_again": False}
_STRATEGY_HALTS: Final = {"drawdown_halt": True, "risk_limits_open_again": False}
_HALTS: Final = {"account_halted": True, "session_halted": True, "command_resume": False}


class Standing(StrEnum):
    """How a session stands. The first six run, the others do not."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STALE = "stale"
    HALTED = "halted"
    HUNG = "hung"
    KILLED = "killed"
    DIED = "died"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class Signs:
    """What a standing is judged by; ages in seconds, None for what is unknown.

    Attributes:
        halt: why the account or the session is halted; "" where it is not.
        last_state: what the session wrote of itself at its end, or last.
    """

    is_running: bool
    is_killed: bool
    is_paused: bool = False
    halt: str = ""
    beat_age_s: float | None = None
    turn_age_s: float | None = None
    bar_age_s: float | None = None
    longest_turn_s: float = 60.0
    longest_bar_age_s: float | None = None
    last_state: SessionState | None = None
    last_reason: str = ""


def judge(signs: Signs) -> tuple[Standing, str]:
    """The standing, and why; the gravest of those that apply."""
    if not signs.is_running:
        return _at_rest(signs)
    if signs.beat_age_s is not None and signs.beat_age_s > _LOST_S:
        return Standing.HUNG, f"no heartbeat for {signs.beat_age_s:.0f} s; --kill ends it"
    if signs.turn_age_s is not None and signs.turn_age_s > signs.longest_turn_s:
        return Standing.HUNG, f"its loop has not turned for {signs.turn_age_s:.0f} s; --kill ends it"
    if signs.is_killed:
        return Standing.KILLED, "no order leaves any more, and it ends"
    if signs.halt:
        return Standing.HALTED, signs.halt
    if signs.turn_age_s is None:
        return Standing.STARTING, "no bar was traded by this process yet"
    if signs.bar_age_s is not None and signs.longest_bar_age_s is not None and signs.bar_age_s > signs.longest_bar_age_s:
        return Standing.STALE, f"no closed bar for {signs.bar_age_s:.0f} s"
    return (Standing.PAUSED, "nothing adds to a position until --resume") if signs.is_paused else (Standing.RUNNING, "")


def _at_rest(signs: Signs) -> tuple[Standing, str]:
    if signs.is_killed:
        return Standing.KILLED, "it will not start until --resume"
    if signs.last_state is SessionState.HALTED:
        return Standing.HALTED, signs.last_reason
    if signs.last_state is SessionState.STOPPED:
        return Standing.STOPPED, signs.last_reason
    return Standing.DIED, "its process ended without a word; the next start looks up what it left"


def halt_of(notes: Iterable[Mapping[str, Any]], since: str) -> str:
    """Why a run of a session is halted, by the alerts recorded since it started (ISO time); "" where it is not."""
    of_account = of_strategy = of_limits = ""
    for note in notes:
        if note["at"] < since:
            continue
        reason = str(note["facts"].get("reason") or note["kind"].replace("_", " "))
        if (halts := _HALTS.get(note["kind"])) is not None:
            of_account = reason if halts else ""
        if (halts := _STRATEGY_HALTS.get(note["kind"])) is not None:
            of_strategy = reason if halts else ""
        if (halts := _LIMIT_HALTS.get(note["kind"])) is not None:
            of_limits = reason if halts else ""
    return of_account or of_limits or of_strategy


@dataclass(frozen=True, kw_only=True)
class SessionReport:
    """What `--status` shows; ages in seconds.

    Attributes:
        resting: client ids of orders that may be executed at the venue.
        status: what the session wrote last: its title, its model and what came of it; None where it has not written yet.
    """

    name: str
    standing: Standing
    why: str
    process: int | None
    heartbeat_age_s: float | None
    turn_age_s: float | None
    last_bar: datetime | None
    last_bar_age_s: float | None
    bars: int
    equity: float | None
    positions: dict[str, float] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    last_command: str = ""
    alerts: list[str] = field(default_factory=list)
    status: SessionStatus | None = None
    status_age_s: float | None = None


def report_on(folder: Path, clock: Clock, *, longest_turn_s: float, stale_after_bars: float) -> SessionReport:
    """Read everything now.

    Args:
        longest_turn_s: a turn of the loop that takes longer hangs.
        stale_after_bars: bars without a new one after which the feed is stale; at a practice exchange it never is.
    """
    status = None
    with suppress(RunUnreadable):
        status = read_status(folder)
    found = newest_beat(folder)
    facts = _recorded(folder)
    now = clock.now()
    bar_s = None if status is None else (status.next_bar - status.last_bar).total_seconds() if status.next_bar and status.last_bar else None
    is_practice = status is not None and any("practice" in name for name in status.exchanges)
    last = None if facts.last_bar is None else datetime.fromtimestamp(facts.last_bar / 1000, now.tzinfo)
    bar_age = None if last is None or bar_s is None or is_practice else (now - last).total_seconds() - bar_s
    running = control.is_running(folder)
    turn = None if found is None or not running else found[0].turn_age_s
    signs = Signs(
        is_running=running, is_killed=control.is_killed(folder), is_paused=facts.is_paused, halt=halt_of(facts.notes, run_started(folder)),
        beat_age_s=found[1] if found and running else None, turn_age_s=turn, bar_age_s=bar_age, longest_turn_s=longest_turn_s,
        longest_bar_age_s=None if bar_s is None else stale_after_bars * bar_s,
        last_state=None if status is None else status.state, last_reason="" if status is None else status.reason,
    )  # fmt: skip
    standing, why = judge(signs)
    return SessionReport(
        name=folder.name, standing=standing, why=why, process=found[0].pid if found and running else None,
        heartbeat_age_s=signs.beat_age_s, turn_age_s=turn, last_bar=last, last_bar_age_s=bar_age, bars=facts.bars, equity=facts.equity,
        positions=facts.positions, resting=facts.resting, last_command=facts.last_command,
        alerts=[f"{n['at']} {n['level']} {n['kind'].replace('_', ' ')}" for n in facts.notes[-3:]], status=status,
        status_age_s=None if status is None else max(0.0, (now - status.updated).total_seconds()),
    )  # fmt: skip


@dataclass
class _Recorded:
    last_bar: int | None = None
    bars: int = 0
    equity: float | None = None
    is_paused: bool = False
    last_command: str = ""
    positions: dict[str, float] = field(default_factory=dict)
    resting: list[str] = field(default_factory=list)
    notes: list[dict[str, Any]] = field(default_factory=list)


def _recorded(folder: Path) -> _Recorded:
    """What the session's own files hold; nothing where there are none, or they cannot be read."""
    found = _Recorded()
    with suppress(TradingError):
        store = SessionStore(folder / "session.db", reads=True)
        with closing(store):
            found.last_bar, found.bars, found.equity = store.last_bar(), store.bar_count(), store.last_equity()
            found.notes, found.positions = store.notes(200), store.positions()
            commands = store.commands()
            found.last_command = commands[-1][1] if commands else ""
            steering = [name for _, name in commands if name in ("pause", "flatten", "resume")]
            found.is_paused = bool(steering) and steering[-1] != "resume"
    journal = folder / "journal.db"
    if journal.is_file():
        with suppress(sqlite3.Error):
            found.positions, found.resting = _at_venue(journal)
    return found


def _at_venue(journal: Path) -> tuple[dict[str, float], list[str]]:
    """Position by symbol, and what rests, by the journal; of any version."""
    with closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
        resting = [str(row[0]) for row in db.execute(f"select client_id from intents where state in {_OPEN} order by rowid")]
        rows = db.execute("select symbol, side, size, fee, fee_currency from executions").fetchall()
    held: dict[str, float] = {}
    for symbol, side, size, fee, currency in rows:
        held[symbol] = held.get(symbol, 0.0) + (float(size) if side == "buy" else -float(size))
        held[symbol] -= float(fee) if currency == symbol.partition("/")[0] else 0.0
    return {symbol: round(size, 10) for symbol, size in held.items() if abs(size) > 1e-9}, resting


@dataclass(frozen=True, kw_only=True)
class RestingOrder:
    """An order that may be executed at the venue; `price` is that of its stop, where it is one."""

    symbol: str
    side: str
    size: float
    price: float | None
    is_stop: bool


def resting_orders(folder: Path) -> list[RestingOrder]:
    """The orders that may be executed at the venue, by the journal, oldest first; none where it has none, or is of an early version."""
    journal = folder / "journal.db"
    if not journal.is_file():
        return []
    sql = f"select symbol, side, size, stop_price, limit_price from intents where state in {_OPEN} order by rowid"
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{journal.resolve().as_uri()}?mode=ro", uri=True, timeout=2.0)) as db:
        return [
            RestingOrder(
                symbol=symbol, side=side, size=float(size), price=float(stop or limit) if stop or limit else None, is_stop=bool(stop)
            )
            for symbol, side, size, stop, limit in db.execute(sql)
        ]
    return []
