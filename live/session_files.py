"""The files of a session's folder, rewritten whole while it runs, and its page."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Final

import pandas as pd

from core import atomic, log
from reports.session_status import SessionStatus, write_status
from strategies.assembly import record_of

_LOG: Final = log.logger("live")
FORECASTS, FILLS, EQUITY, CANDLES = "forecasts.parquet", "fills.parquet", "equity.parquet", "candles.parquet"
ORDERS, HISTORY = "orders.parquet", "history.parquet"


def write_tables(folder: Path, strategy: Any, forecasts: pd.DataFrame, candles: dict[str, pd.DataFrame], first_live: pd.Timestamp) -> None:
    """Fills and equity since the first live bar, all forecasts, and the session's own candles as one long table."""
    record = record_of(strategy)
    fills = record.fills.loc[record.fills["timestamp"] >= first_live]
    equity = record.equity.loc[record.equity.index >= first_live]
    orders = strategy.analyzers.orders.frame()
    orders = orders.loc[orders["timestamp"] >= first_live].reset_index(drop=True)
    for name, frame in (
        (FILLS, fills.reset_index(drop=True)), (EQUITY, equity), (FORECASTS, forecasts), (ORDERS, orders),
        (CANDLES, long_table(candles)),
    ):  # fmt: skip
        _write(folder / name, frame)


def write_history(folder: Path, histories: dict[str, pd.DataFrame]) -> None:
    """What the models and indicators knew before the first live bar; written once."""
    if not (folder / HISTORY).is_file():
        _write(folder / HISTORY, long_table(histories))


def long_table(candles: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """timestamp, symbol, open, high, low, close, volume."""
    parts = [frame.reset_index(names="timestamp").assign(symbol=symbol) for symbol, frame in candles.items()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def split_table(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The opposite of `long_table`."""
    names = list(dict.fromkeys(table["symbol"]))
    return {str(s): table[table["symbol"] == s].drop(columns="symbol").set_index("timestamp") for s in names}


class PageWriter:
    """Renders the session's page in a thread of its own, never twice at a time and never so often that it costs the session much."""

    def __init__(self, folder: Path, least_s: float = 10.0) -> None:
        self._folder = folder
        self._least_s = least_s
        self._thread: threading.Thread | None = None
        self._next = 0.0

    def refresh(self, status: SessionStatus) -> None:
        """Write `session.json`; the page follows when it is due."""
        write_status(self._folder, status)
        busy = self._thread is not None and self._thread.is_alive()
        if not busy and time.monotonic() >= self._next:
            self._thread = threading.Thread(target=self._render, name="page", daemon=True)
            self._thread.start()

    def finish(self, status: SessionStatus) -> None:
        """Write both, and wait for it."""
        if self._thread is not None:
            self._thread.join(60)
        write_status(self._folder, status)
        self._render()

    def _render(self) -> None:
        from reports.session_page import render_session_page

        began = time.monotonic()
        try:
            render_session_page(self._folder)
        except Exception:  # noqa: BLE001 - a page that cannot be drawn must not stop a session
            _LOG.error("page not written", exc_info=True)
        took = time.monotonic() - began
        self._next = time.monotonic() + max(self._least_s, 20 * took)


def _write(path: Path, frame: pd.DataFrame) -> None:
    atomic.write_atomically(path, frame.to_parquet)
