"""Model outcomes of a session: forecast scores and trades of each model, and promotions with their reasons."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

import pandas as pd

from forwardtrader.live.output.files import HISTORY, split_table
from forwardtrader.models.online.outcomes import by_model, outcomes, trades_by_model
from forwardtrader.models.registry.promotion_log import PromotionLog
from forwardtrader.reports.pages.session_status import ModelDecision, ModelOutcome, SessionStatus
from forwardtrader.reports.statistics.round_trips import RoundTrip, round_trips

_BEFORE: Final = 200  # bars of history from which the usual move at the first forecast is estimated
_TRIP: Final = ("symbol", "opened", "closed", "profit", "gain")


def with_learning(
    status: SessionStatus, folder: Path, forecasts: pd.DataFrame, candles: dict[str, pd.DataFrame], fills: pd.DataFrame
) -> SessionStatus:
    """The status completed by decisions and outcomes.

    Args:
        forecasts: all forecasts of the session: timestamp, symbol, horizon, the numbers, model_id.
        candles: the session's own bars of each symbol.
        fills: all fills of the session.
    """
    return status.model_copy(update={"decisions": decisions(folder), "outcomes": model_outcomes(folder, forecasts, candles, fills)})


def decisions(folder: Path) -> list[ModelDecision]:
    """Promotions, refusals and rollbacks, oldest first."""
    return [
        ModelDecision(since=e.since or e.at, deed=str(e.action), by=str(e.by), model_id=e.model_id, other=e.other, reason=e.reason)
        for e in PromotionLog(folder).entries()
    ]


def model_outcomes(folder: Path, forecasts: pd.DataFrame, candles: dict[str, pd.DataFrame], fills: pd.DataFrame) -> list[ModelOutcome]:
    """One row for each model that made forecasts, in order."""
    tables = [_scored(folder, forecasts[forecasts["symbol"] == symbol], symbol, frame) for symbol, frame in candles.items()]
    scored = [table for table in tables if len(table)]
    if not scored:
        return []
    scores = by_model(pd.concat(scored).sort_index(kind="stable"))
    trips = pd.DataFrame([_row(trip) for trip in round_trips(fills)], columns=list(_TRIP))
    traded = trades_by_model(trips, forecasts).set_index("model_id") if len(trips) else pd.DataFrame()
    found = []
    for row in scores.to_dict("records"):
        model = row["model_id"]
        trades: dict[str, Any] = traded.loc[model].to_dict() if model in traded.index else {"trades": 0, "won": None, "profit": 0.0}
        found.append(
            ModelOutcome(
                model_id=str(model), first=row["first"], last=row["last"], forecasts=int(row["n"]), loss=float(row["loss"]),
                skill=float(row["skill"]), coverage_90=float(row["coverage_90"]), hit_rate=float(row["hit_rate"]),
                trades=int(trades["trades"]), won=trades["won"], profit=float(trades["profit"]),
            )
        )  # fmt: skip
    return found


def _scored(folder: Path, forecasts: pd.DataFrame, symbol: str, candles: pd.DataFrame) -> pd.DataFrame:
    if forecasts.empty or candles.empty:
        return pd.DataFrame()
    whole = pd.concat([_history(folder).get(symbol, candles.iloc[:0]), candles])
    return outcomes(forecasts.set_index("timestamp"), whole, int(forecasts["horizon"].iloc[0]))


@functools.lru_cache(maxsize=2)
def _history(folder: Path) -> dict[str, pd.DataFrame]:
    """The newest bars before the session's first one."""
    path = folder / HISTORY
    return {s: frame.iloc[-_BEFORE:] for s, frame in split_table(pd.read_parquet(path)).items()} if path.is_file() else {}


def _row(trip: RoundTrip) -> tuple[object, ...]:
    return tuple(getattr(trip, name) for name in _TRIP)
