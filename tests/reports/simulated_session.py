"""A session in the middle of its life, as the live room would leave it on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import CANDLES, write_table
from forwardtrader.reports.pages.session_status import Alert, OpenOrderRow, PositionRow, Process, SessionStatus, Source, write_status
from tests.reports import simulated


def status(last: pd.Timestamp, **changes: Any) -> SessionStatus:
    hour = pd.Timedelta(hours=1)
    told: dict[str, Any] = {
        "name": "paper-btc",
        "exchanges": ["binance", "kraken"],
        "symbols": ["BTC/USDT"],
        "started": last - 40 * 24 * hour,
        "updated": last + hour + pd.Timedelta(seconds=7),
        "command": "python run_live.py --paper --session paper-btc",
        "bars": 960,
        "last_bar": last,
        "next_bar": last + 2 * hour,
        "next_retrain": last + 9 * 24 * hour,
        "start_equity": 10_000.0,
        "equity": 10_412.37,
        "cash": 4_120.0,
        "positions": [PositionRow(symbol="BTC/USDT", size=0.1342, price=46_102.4, value=6_292.37, profit=107.1)],
        "model_id": "lstm-034",
        "model_since": last - 19 * 24 * hour,
        "open_orders": [
            OpenOrderRow(client_id="ft-8f2c11", symbol="BTC/USDT", side="sell", size=0.05, price=47_900.0, state="unknown", at=last)
        ],
        "sources": [
            Source(name="binance", state="ok", age_s=7.0, detail="closed bar 14:00"),
            Source(name="kraken", state="late", age_s=3_912.0, detail="no bar since 13:00"),
        ],
        "process": Process(pid=4711, memory_mb=612.0, cpu_percent=2.4, uptime_s=3_456_000.0),
        "alerts": [
            Alert(at=last - hour, level="warning", text="kraken is late: one source left"),
            Alert(at=last, level="error", text="order ft-8f2c11 is unresolved"),
        ],
    }
    return SessionStatus.model_validate(told | changes)


def write(folder: Path, *, bars: int = 960, forecasts: bool = True, trades: bool = True, **changes: Any) -> SessionStatus:
    """Write a whole session to `folder` and return its status."""
    run = simulated.run(max(bars, 2), trades=trades)
    market = simulated.candles(max(bars, 2))
    told = status(market.index[-1], **changes)
    write_status(folder, told)
    if bars:
        write_table(folder / CANDLES, market.reset_index().assign(symbol="BTC/USDT"))
        write_table(folder / artefacts.EQUITY, run.equity[artefacts.EQUITY_COLUMNS])
        write_table(folder / artefacts.FILLS, run.fills)
        if forecasts:
            write_table(folder / artefacts.FORECASTS, run.forecasts)
    return told
