"""A session's folder as hours of it would leave it, made in a moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import psutil

from forwardtrader.core.types import Forecast
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.bar import Bar
from forwardtrader.live import control
from forwardtrader.live.bridge.data import as_number
from forwardtrader.live.output.job import WriteJob
from forwardtrader.live.output.store import SessionStore
from forwardtrader.live.output.tables import Rows, fresh_rows
from forwardtrader.live.session.candles import write_history
from forwardtrader.reports.pages.session_status import SessionStatus
from tests import PATIENCE_S

SYMBOLS: Final = ("BTC/USDT", "ETH/USDT")
BARS: Final = 120
STEP: Final = 300_000
BEGAN: Final = 1_700_000_100_000
_TRADED: Final = 10  # bars from one fill to the next


@dataclass(frozen=True)
class RecordedSession:
    """A session's folder, its open file, and the write jobs that the session would make."""

    folder: Path
    store: SessionStore
    symbols: tuple[str, ...]
    strategy: Any

    def status(self) -> SessionStatus:
        return SessionStatus(name=self.folder.name, symbols=list(self.symbols), timeframe="5m", started=moment(0), updated=moment(1))

    def job(self) -> WriteJob:
        """With what the recorders still hold."""
        return self.writing(fresh_rows(self.strategy))

    def writing(self, fresh: Rows | None = None, owner: int | None = None) -> WriteJob:
        return WriteJob(
            folder=self.folder, owner=owner or os.getpid(), symbols=self.symbols, since=moment(0), marks=self.store.marks(),
            fresh=fresh or Rows(self.symbols, [], [], []), status=self.status(),
        )  # fmt: skip


def moment(bar: int) -> datetime:
    return datetime.fromtimestamp((BEGAN + bar * STEP) / 1000, UTC)


def fill(bar: int, symbol: str = SYMBOLS[0], **changed: Any) -> tuple[Any, ...]:
    """As `FillRecorder` has it; every other one sells."""
    side = "buy" if bar // _TRADED % 2 == 0 else "sell"
    told = {"number": as_number(BEGAN + bar * STEP), "symbol": symbol, "side": side, "size": 0.1, "price": 100.0 + bar % 7, "fee": 0.01}
    return tuple((told | {"fee_currency": "USDT", "order_ref": str(bar), "reason": "edge", "slippage": 0.0} | changed).values())


def rows(bars: range, symbols: tuple[str, ...], fills: int = _TRADED) -> Rows:
    """What the recorders collected in these bars."""
    numbers = [as_number(BEGAN + bar * STEP) for bar in bars]
    made = [fill(bar, symbols[0]) for bar in bars if bar % fills == 0]
    orders = [(at, symbols[0], "buy", 0.1, "Market", 100.0, 0.0, "edge", "") for at in numbers[::fills]]
    return Rows(symbols, made, orders, [(at, 10_000.0 + at % 1, 1_000.0, *(100.0 for _ in symbols)) for at in numbers])


@contextmanager
def recorded(folder: Path, bars: int, symbols: tuple[str, ...] = SYMBOLS, *, fresh: Rows | None = None) -> Iterator[RecordedSession]:
    """A session of this process, with its lock held; its recorders still have the rows of `fresh`."""
    folder.mkdir(parents=True)
    close = 100.0 + np.sin(np.arange(bars) / 50.0)
    path = [(symbol, Bar(BEGAN + bar * STEP, p, p + 0.1, p - 0.1, p, 1.0)) for symbol in symbols for bar, p in enumerate(close.tolist())]
    told = Forecast(
        at=moment(0), horizon=24, location=0.001, scale=0.02, quantiles=(-0.03, -0.01, 0.0, 0.01, 0.03), p_up=0.5, model_id="momentum"
    )
    forecasts = [(symbol, replace(told, at=moment(bar))) for symbol in symbols for bar in range(bars)]
    before = np.arange(BEGAN - 300 * STEP, BEGAN, STEP)
    write_history(folder, {symbol: candles.from_arrays(before, *(np.full(300, 100.0) for _ in range(5))) for symbol in symbols})
    left = fresh or Rows(symbols, [], [], [])
    told_of = {name: SimpleNamespace(rows=lambda kept=kept: kept) for name, kept in vars(left).items()}
    strategy = SimpleNamespace(datas=[SimpleNamespace(_name=s) for s in symbols], analyzers=SimpleNamespace(**told_of))
    with control.held(control.lock_of(folder), "the session"), closing(SessionStore(folder / "session.db")) as store:
        store.record(path, forecasts, rows=rows(range(bars), symbols))
        yield RecordedSession(folder, store, symbols, strategy)


def wait_for(what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
    until = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)
    return found


def children_of(pid: int | None) -> list[psutil.Process]:
    try:
        return [] if pid is None else psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
