"""The page of a live or paper session, rewritten while it runs; it reloads itself in the browser."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import CLOSE, read_table
from forwardtrader.reports.pages import run_charts
from forwardtrader.reports.pages.render import environment, write_page
from forwardtrader.reports.pages.session_status import SessionState, SessionStatus, read_status

FILE_NAME: Final = "index.html"
TONES: Final = {
    SessionState.STARTING: "wait",
    SessionState.RUNNING: "good",
    SessionState.PAUSED: "wait",
    SessionState.HALTED: "none",
    SessionState.STOPPED: "plain",
}
_TEMPLATE: Final = "session_page.html.j2"
_MOST_BARS: Final = 3000
_SHOWN_FILLS: Final = 20
_SHOWN_ALERTS: Final = 20
_SHOWN_MODELS: Final = 20
_FILES: Final = (
    "parity.html", "session.json", artefacts.CANDLES, artefacts.FORECASTS, artefacts.FILLS, artefacts.EQUITY, artefacts.STOPS, "log.jsonl",
)  # fmt: skip


@dataclass(frozen=True)
class SessionArtefacts:
    """What a session keeps in its folder; tables as in `artefacts`, closes joined from the candles where equity lacks them."""

    status: SessionStatus
    forecasts: pd.DataFrame
    fills: pd.DataFrame
    equity: pd.DataFrame
    stops: pd.DataFrame

    @property
    def symbols(self) -> list[str]:
        return [str(name).removeprefix(CLOSE) for name in self.equity.columns if str(name).startswith(CLOSE)]


@dataclass(frozen=True)
class LatestForecast:
    """The newest forecast of one symbol and horizon, as prices: where the close is expected with 90 %, and its middle."""

    symbol: str
    horizon: int
    made_at: datetime
    low: float
    middle: float
    high: float
    p_up: float
    model_id: str


def render_session_page(session_dir: Path) -> Path:
    """Write `session_dir/index.html` from the files beside it and return its path.

    Raises:
        RunUnreadable: there is no readable `session.json`, or a table is damaged.
    """
    session = load_session(session_dir)
    horizons = session.forecasts["horizon"]
    payload = run_charts.time_payload(session, int(horizons.min()) if len(horizons) else None, artefacts.load_candles(session_dir))
    return write_page(session_dir / FILE_NAME, _TEMPLATE, _context(session, session_dir, payload["charts"]), payload)


def prepare() -> None:
    """Read in what a page is drawn with, so that drawing one takes less."""
    environment().get_template(_TEMPLATE)


def load_session(session_dir: Path) -> SessionArtefacts:
    """Read a session's folder; tables that do not exist yet come back empty, long ones as their newest 3,000 bars.

    Raises:
        RunUnreadable: there is no readable `session.json`, or a table is damaged.
    """
    equity = read_table(session_dir / artefacts.EQUITY, artefacts.empty_equity())
    candles = read_table(session_dir / artefacts.CANDLES, pd.DataFrame())
    status = read_status(session_dir)
    return SessionArtefacts(
        status=status,
        forecasts=read_table(session_dir / artefacts.FORECASTS, artefacts.empty_forecasts()),
        fills=read_table(session_dir / artefacts.FILLS, artefacts.empty_fills()),
        equity=with_closes(equity, candles, status.symbols).tail(_MOST_BARS),
        stops=read_table(session_dir / artefacts.STOPS, artefacts.empty_stops()),
    )


def with_closes(equity: pd.DataFrame, candles: pd.DataFrame, symbols: list[str]) -> pd.DataFrame:
    """Equity with a `close:<SYMBOL>` column for each symbol; candles are long (timestamp, symbol, ...) or indexed by time alone."""
    if candles.empty:
        return equity
    table = candles.reset_index() if "timestamp" not in candles.columns else candles
    if "symbol" not in table.columns:
        table = table.assign(symbol=symbols[0] if symbols else "")
    closes = table.pivot_table(index="timestamp", columns="symbol", values="close", aggfunc="last")
    closes.columns = [f"{CLOSE}{symbol}" for symbol in closes.columns]
    missing = closes[[name for name in closes.columns if name not in equity.columns]]
    # Candles of the history before the session's first bar would stretch the account's chart: only the session's own are joined.
    return equity.join(missing) if len(equity) else missing.assign(equity=math.nan, cash=math.nan, exposure=0.0)


def latest_forecasts(session: SessionArtefacts) -> list[LatestForecast]:
    """The newest forecast of each symbol and horizon that has a close to start from."""
    newest = session.forecasts.sort_values("timestamp", kind="stable").groupby(["symbol", "horizon"], sort=True).tail(1)
    found = []
    for row in newest.sort_values(["symbol", "horizon"]).to_dict("records"):
        name = f"{CLOSE}{row['symbol']}"
        close = session.equity[name].get(row["timestamp"], math.nan) if name in session.equity else math.nan
        low, middle, high = (close * math.exp(row[q]) for q in ("q05", "q50", "q95"))
        found.append(
            LatestForecast(
                row["symbol"], int(row["horizon"]), row["timestamp"], low, middle, high, float(row["p_up"]), str(row["model_id"])
            )
        )
    return found


def _context(session: SessionArtefacts, session_dir: Path, charts: list[dict[str, Any]]) -> dict[str, Any]:
    status = session.status
    symbols = status.symbols or session.symbols
    return {
        "session": status,
        "tone": TONES[status.state],
        "quote": symbols[0].partition("/")[2].partition(":")[0] if symbols else "",
        "latest_forecasts": latest_forecasts(session),
        "charts": {chart["id"]: chart for chart in charts},
        "symbols": session.symbols,
        "fills": session.fills.tail(_SHOWN_FILLS).iloc[::-1].to_dict("records"),
        "fill_count": len(session.fills),
        "outcomes": status.outcomes[-_SHOWN_MODELS:][::-1],
        "decisions": status.decisions[-_SHOWN_MODELS:][::-1],
        "alerts": status.alerts[-_SHOWN_ALERTS:][::-1],
        "files": [name for name in _FILES if (session_dir / name).is_file()],
        "reloads": status.state is not SessionState.STOPPED,
        # Written at each refresh; a session that misses several of them is not well.
        "stale_after_s": max(5 * status.refresh_s, 60),
    }
