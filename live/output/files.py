"""The files of a session's folder: tables and page, rewritten as a whole while it runs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core import atomic, log
from forwardtrader.live.output.tables import SessionTables
from forwardtrader.reports.pages.session_status import FILE_NAME as STATUS
from forwardtrader.strategies.backtrader.recorders.stop_recorder import stops_frame

_LOG: Final = log.logger("live")
FORECASTS, FILLS, EQUITY, CANDLES = "forecasts.parquet", "fills.parquet", "equity.parquet", "candles.parquet"
ORDERS, STOPS, HISTORY = "orders.parquet", "stops.parquet", "history.parquet"
PAGE: Final = "index.html"  # as in `reports.pages.session_page`, which a session imports at its end only
WRITTEN: Final = (FILLS, EQUITY, FORECASTS, ORDERS, STOPS, CANDLES, STATUS, PAGE)  # again and again, while the session runs

_KEPT: Final = ("log.jsonl", "session.lock", "session.pid", "killed", "commands")  # of a session that never came to be


def write_tables(folder: Path, tables: SessionTables, forecasts: pd.DataFrame, candles: dict[str, pd.DataFrame]) -> None:
    """Write fills, equity, orders, stops, all forecasts, and the session's own candles as one long table."""
    for name, frame in (
        (FILLS, tables.fills), (EQUITY, tables.equity), (FORECASTS, forecasts), (ORDERS, tables.orders),
        (STOPS, stops_frame(tables.stops)), (CANDLES, long_table(candles)),
    ):  # fmt: skip
        _write(folder / name, frame)


def long_table(candles: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Candles of all symbols as one table: timestamp, symbol, open, high, low, close, volume."""
    parts = [frame.reset_index(names="timestamp").assign(symbol=symbol) for symbol, frame in candles.items()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def split_table(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The inverse of `long_table`."""
    names = list(dict.fromkeys(table["symbol"]))
    return {str(s): table[table["symbol"] == s].drop(columns="symbol").set_index("timestamp") for s in names}


def render_page(folder: Path) -> None:
    """Render the session's page from the files in its folder; a failure is logged and ends nothing."""
    from forwardtrader.reports.pages.session_page import render_session_page

    try:
        render_session_page(folder)
    except Exception:  # noqa: BLE001 - whatever fails in a page, the session goes on
        _LOG.error("page not written", exc_info=True)


def _write(path: Path, frame: pd.DataFrame) -> None:
    atomic.write_atomically(path, frame.to_parquet)


def remove_half_made(folder: Path) -> None:
    """Leave of a session whose very first start failed only its log, which says why, and its lock: no order was sent, no bar was seen."""
    for path in folder.iterdir():
        if path.name in _KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
