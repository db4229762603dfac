"""How each session stands, as one page shows it: every fact with the time that it is of, and an honest line for what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from forwardtrader.core.clock import Clock
from forwardtrader.core.errors import RunUnreadable, TradingError
from forwardtrader.core.settings import Settings
from forwardtrader.core.types import Forecast, Timeframe
from forwardtrader.live import control
from forwardtrader.live.heartbeat import newest_beat
from forwardtrader.live.monitoring.standing import SessionReport, Standing, report_on, resting_orders
from forwardtrader.live.output.store import SessionStore
from forwardtrader.reports.artefacts import EQUITY, empty_equity, read_table
from forwardtrader.reports.pages.charts import LIQUIDATION, keep_extremes
from forwardtrader.reports.pages.parity_page import Parity, read_parity
from forwardtrader.reports.pages.session_status import SessionStatus

# What changes when a session has something new to tell.
_WATCHED: Final = (
    "session.db", "session.db-wal", "session.json", "session.lock", "killed", "run.json", "parity.json", "journal.db-wal", "index.html",
)  # fmt: skip
_POINTS: Final = 160  # of the curve on a card
_STOPS: Final = {3: "stop", 4: "stop-limit", 5: "trailing stop", 6: "trailing stop-limit"}  # as Backtrader numbers them


@dataclass(frozen=True, kw_only=True)
class Held:
    """A position: base units, entry price, and worth and profit in quote currency, where the session has told them."""

    symbol: str
    size: float
    price: float | None = None
    value: float | None = None
    profit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Resting:
    """An order that waits to be filled; `kind` is `stop` or how else it waits."""

    symbol: str
    side: str
    size: float | None
    price: float | None
    kind: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a session trades, where, and whether its orders leave; told from its first moment on, before it has told how it does.

    Attributes:
        venue: the exchange, with `(practice)` behind it where it is the practice exchange.
    """

    mode: str = ""
    symbols: tuple[str, ...] = ()
    timeframe: str = ""
    venue: str = ""
    is_sample: bool = False

    @property
    def sends_orders(self) -> bool:
        """Whether orders go to a venue."""
        return self.mode == "live"


@dataclass(frozen=True, kw_only=True)
class SessionFacts:
    """One session.

    Attributes:
        words: the standing as it is shown.
        bar_told: when the newest bar was written down, by the machine's clock; `told` is the same of `session.json`.
        next_closes: when the next bar is to close, in the market's own time.
        own_time: whether that is the machine's; a practice market has its own.
        curve: equity over the bars that are written down, thinned out with all highs and lows.
        trouble: why nothing can be read; then nothing else is known.
    """

    name: str
    standing: str = ""
    why: str = ""
    is_running: bool = False
    plan: Plan = Plan()
    status: SessionStatus | None = None
    told: datetime | None = None
    last_bar: datetime | None = None
    bar_told: datetime | None = None
    next_closes: datetime | None = None
    own_time: bool = True
    bars: int = 0
    equity: float | None = None
    held: tuple[Held, ...] = ()
    resting: tuple[Resting, ...] = ()
    forecasts: tuple[tuple[str, Forecast], ...] = ()
    parity: Parity | None = None
    beat: datetime | None = None
    curve: tuple[float, ...] = ()
    commands: tuple[str, ...] = ()
    last_command: str = ""
    has_page: bool = False
    trouble: str = ""

    @property
    def gain(self) -> float | None:
        """Equity at the last bar against what the session started with, as a share."""
        start = None if self.status is None else self.status.start_equity
        return None if self.equity is None or not start else self.equity / start - 1.0

    @property
    def model_id(self) -> str:
        """The model that made the newest forecast, or else the one that was told last."""
        newest = [forecast.model_id for _, forecast in self.forecasts]
        return newest[0] if newest else "" if self.status is None else self.status.model_id


def session_names(sessions: Path) -> list[str]:
    """The folders below another that are sessions, or were to become some."""
    found = [*sessions.glob("*/session.lock"), *sessions.glob("*/session.json")]
    return sorted({path.parent.name for path in found if not path.parent.is_symlink()})


def marks_of(folder: Path) -> tuple[object, ...]:
    """What changes whenever a session has something new to tell. Cheap: the files are not opened."""
    return tuple(_mark(folder / name) for name in _WATCHED)


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def facts_of(folder: Path, clock: Clock, settings: Settings) -> SessionFacts:
    """Read one session; whatever is wrong with its folder is told as its trouble."""
    try:
        return _facts(folder, clock, settings)
    except TradingError as error:
        return SessionFacts(name=folder.name, trouble=str(error))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return SessionFacts(name=folder.name, trouble=f"its files cannot be read ({type(error).__name__}: {error})")


def _facts(folder: Path, clock: Clock, settings: Settings) -> SessionFacts:
    report = report_on(folder, clock, longest_turn_s=settings.risk.max_stall_s, stale_after_bars=settings.live.stale_after_bars)
    running, status, found = control.is_running(folder), report.status, newest_beat(folder)
    if report.bars == 0 and status is None and not running:
        trouble = "" if (folder / "session.json").is_file() else "it ended before its first bar; log.jsonl in its folder says why"
        return SessionFacts(name=folder.name, standing=_words(report.standing), trouble=trouble or "session.json cannot be read")
    plan = _plan(folder, status)
    snapshot, forecasts, stops = _stored(folder, report, plan.symbols)
    step = Timeframe.parse(plan.timeframe).delta if plan.timeframe else None
    return SessionFacts(
        name=folder.name, standing=_words(report.standing), why=report.why.replace("--resume", "Resume").replace("--kill", "Kill"),
        is_running=running, plan=plan, status=status, told=None if status is None else status.updated, last_bar=report.last_bar,
        bar_told=_written(folder), next_closes=None if report.last_bar is None or step is None else report.last_bar + 2 * step,
        own_time=report.last_bar_age_s is not None, bars=report.bars, equity=report.equity,
        held=tuple(_held(report, snapshot)), resting=tuple(_resting(folder, snapshot, stops)), forecasts=tuple(forecasts),
        curve=_curve(folder / EQUITY, _mark(folder / EQUITY)), parity=_parity(folder),
        beat=datetime.fromisoformat(found[0].at) if found and running else None,
        commands=possible_commands(report.standing, running=running), last_command=report.last_command,
        has_page=(folder / "index.html").is_file(),
    )  # fmt: skip


def possible_commands(standing: Standing, *, running: bool) -> tuple[str, ...]:
    """What a session in this standing can be told."""
    if standing is Standing.KILLED:
        return ("kill",) if running else ("resume",)
    if standing in (Standing.HUNG, Standing.DIED):
        return ("kill",)
    if not running:
        return ()
    first = "resume" if standing in (Standing.PAUSED, Standing.HALTED) else "pause"
    return (first, "flatten", "kill")


def _words(standing: Standing) -> str:
    return "ended" if standing is Standing.STOPPED else str(standing)


def _written(folder: Path) -> datetime | None:
    """When the database was written last."""
    marks = [_mark(folder / name) for name in ("session.db", "session.db-wal")]
    times = [mark[0] for mark in marks if mark is not None and mark[1]]
    return datetime.fromtimestamp(max(times) / 1e9, UTC) if times else None


def _plan(folder: Path, status: SessionStatus | None) -> Plan:
    """By what the session told last, or else by what it was started with."""
    if status is not None:
        venue = ", ".join(status.exchanges)
        return Plan(
            mode=status.mode, symbols=tuple(status.symbols), timeframe=status.timeframe, venue=venue, is_sample=status.kind == "sample"
        )
    try:
        found = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        practice = " (practice)" if (folder / "practice.json").is_file() else ""
        symbols = tuple(map(str, found["symbols"]))
        return Plan(
            mode=str(found["mode"]),
            symbols=symbols,
            timeframe=str(found["timeframe"]),
            venue=f"{found['exchange']}{practice}",
            is_sample=found.get("market") == "sample",
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Plan()


def _stored(
    folder: Path, report: SessionReport, symbols: Sequence[str]
) -> tuple[Mapping[str, Any], list[tuple[str, Forecast]], list[Resting]]:
    """The newest snapshot, the forecast of each symbol at the newest bar, and the stops that rest; empty where there are none, or they
    cannot be read."""
    snapshot: Mapping[str, Any] = {}
    forecasts: list[tuple[str, Forecast]] = []
    stops: list[Resting] = []
    with suppress(TradingError):
        store = SessionStore(folder / "session.db", reads=True)
        with closing(store):
            found = store.snapshot()
            if found is not None and isinstance(found[1], dict):
                snapshot = found[1]
            if report.last_bar is not None:
                asked = [(symbol, store.forecast(symbol, report.last_bar)) for symbol in symbols]
                forecasts = [(symbol, forecast) for symbol, forecast in asked if forecast is not None]
            for symbol, levels in store.resting_stops().items():
                stops += [Resting(symbol=symbol, side=side, size=None, price=price, kind=kind) for side, kind, price in levels]
    return snapshot, forecasts, [stop for stop in stops if stop.kind != LIQUIDATION]


def _held(report: SessionReport, snapshot: Mapping[str, Any]) -> Iterator[Held]:
    """The positions at the newest bar; what they are worth only where that was told of the very same position."""
    told = {} if report.status is None else {row.symbol: row for row in report.status.positions}
    entered = {str(symbol): float(price) for symbol, _, price in snapshot.get("positions", ())}
    for symbol, size in report.positions.items():
        row = told.get(symbol)
        is_same = row is not None and row.size is not None and abs(row.size - size) < 1e-9
        price = entered.get(symbol) or (row.price if row is not None and is_same else None)
        value, profit = (row.value, row.profit) if row is not None and is_same else (None, None)
        yield Held(symbol=symbol, size=size, price=price, value=value, profit=profit)


def _resting(folder: Path, snapshot: Mapping[str, Any], stops: Sequence[Resting]) -> Iterator[Resting]:
    """What rests at the newest bar; with real orders, what may still be executed at the venue; of a strategy whose state no snapshot holds,
    its stops."""
    if "orders" in snapshot:
        open_now = {*snapshot.get("pending", ()), *snapshot.get("submitted", ())}
        for order in snapshot.get("orders", ()):
            if order["ref"] in open_now:
                kind = _STOPS.get(order["kind"], "order")
                yield Resting(
                    symbol=order["symbol"], side="buy" if order["buys"] else "sell", size=order["size"], price=order["price"], kind=kind
                )
        return
    if not (folder / "journal.db").is_file():
        yield from stops
    for order in resting_orders(folder):
        kind = "stop" if order.is_stop else "order"
        yield Resting(symbol=order.symbol, side=order.side, size=order.size, price=order.price, kind=kind)


@lru_cache(maxsize=64)
def _curve(path: Path, _changed: tuple[int, int] | None) -> tuple[float, ...]:
    """The equity of a session's table, read again when it has changed; empty where there is none."""
    with suppress(RunUnreadable, KeyError):
        values = read_table(path, empty_equity())["equity"].dropna().to_numpy(dtype=np.float64)
        return tuple(values[keep_extremes([values], _POINTS)].tolist())
    return ()


def _parity(folder: Path) -> Parity | None:
    with suppress(RunUnreadable):
        return read_parity(folder)
    return None
