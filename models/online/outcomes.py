"""Outcomes: forecasts scored bar by bar and per model, and joined with the trades they caused.

The loss is the mean pinball loss of the five quantiles in units of the usual move: a proper score of the whole distribution (Gneiting and
Raftery 2007) that two models of one bar can be compared by. `skill` is how much of it the centre takes away: the loss of the same
spread around zero, minus the loss.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import QUANTILES
from forwardtrader.models.features.bars import Bars
from forwardtrader.models.features.sequences import realised, unit

Floats = NDArray[np.float64]
BANDS: Final = ("q05", "q25", "q50", "q75", "q95")
COLUMNS: Final = ("model_id", "location", "p_up", "realised", "loss", "skill", "covered", "hit", "known_at")


def pinball(quantiles: Floats, outcome: Floats) -> Floats:
    """Mean over the five levels of the pinball loss: quantiles [n, 5], outcomes [n] in the same unit; [n]."""
    miss = outcome[:, None] - quantiles
    levels = np.asarray(QUANTILES)
    return np.asarray(np.maximum(levels * miss, (levels - 1.0) * miss).mean(axis=1))


def outcomes(forecasts: pd.DataFrame, candles: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """`COLUMNS` for each forecast, indexed by its bar-open time (UTC); numbers are NaN and `known_at` NaT while the outcome is not known.

    Args:
        forecasts: the columns of `models.forecaster`, indexed by bar-open time.
        candles: of the same symbol, from 168 bars before the first forecast on; their last bar is the last that is known.
        horizon: of the forecasts, in bars.

    `known_at` is the open time of the bar at whose close the outcome is known; `covered` says whether it fell between the 5 % and the 95 %
    quantile, `hit` whether it had the location's sign.
    """
    made = forecasts.loc[forecasts["location"].notna()]
    rows = np.asarray(pd.DatetimeIndex(candles.index).get_indexer(pd.DatetimeIndex(made.index)), dtype=np.int64)
    made, rows = made.loc[rows >= 0], rows[rows >= 0]
    bars = Bars.of(candles)
    happened, usual = realised(bars, horizon)[rows], unit(bars, horizon)[rows]
    quantiles = made[list(BANDS)].to_numpy(dtype=np.float64)
    location = made["location"].to_numpy(dtype=np.float64)
    loss = pinball(quantiles, happened) / usual
    known = np.isfinite(happened)
    table = {
        "model_id": made["model_id"].to_numpy(),
        "location": location,
        "p_up": made["p_up"].to_numpy(dtype=np.float64),
        "realised": happened,
        "loss": loss,
        "skill": pinball(quantiles - quantiles[:, 2:3], happened) / usual - loss,
        "covered": np.where(known, (quantiles[:, 0] <= happened) & (happened <= quantiles[:, 4]), np.nan),
        "hit": np.where(known & (location != 0.0), np.sign(location) == np.sign(happened), np.nan),
        "known_at": _known_at(pd.DatetimeIndex(candles.index), rows + horizon),
    }
    return pd.DataFrame(table, index=made.index, columns=list(COLUMNS))


def _known_at(index: pd.DatetimeIndex, rows: NDArray[np.int64]) -> pd.Series:
    there = rows < len(index)
    moments = pd.Series(pd.NaT, index=range(len(rows)), dtype=index.dtype)
    moments[there] = index[rows[there]]
    return moments.to_numpy()  # type: ignore[return-value]


def by_model(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each model, in order of their first forecast, over outcomes that are known.

    Columns: model_id, first, last, n, loss, skill (share of the loss that the centre takes away), coverage_90, hit_rate, correlation.
    """
    known = table.loc[table["loss"].notna()]
    rows = [{"model_id": model, **_scores(part)} for model, part in known.groupby("model_id", sort=False)]
    return pd.DataFrame(rows, columns=["model_id", "first", "last", "n", "loss", "skill", "coverage_90", "hit_rate", "correlation"])


def _scores(part: pd.DataFrame) -> dict[str, object]:
    both = part["location"].std() > 0 and part["realised"].std() > 0
    return {
        "first": part.index[0], "last": part.index[-1], "n": len(part), "loss": float(part["loss"].mean()),
        "skill": float(part["skill"].mean() / (part["loss"] + part["skill"]).mean()), "coverage_90": float(part["covered"].mean()),
        "hit_rate": float(part["hit"].mean()), "correlation": float(part["location"].corr(part["realised"])) if both else float("nan"),
    }  # fmt: skip


def caused(events: pd.DataFrame, forecasts: pd.DataFrame, *, at: str = "timestamp") -> pd.DataFrame:
    """Each fill or trade with the forecast it came from: the newest one of its symbol made before the bar it happened in.

    Args:
        events: with `symbol` and the bar-open time of the event in column `at`.
        forecasts: timestamp, symbol, model_id, location, p_up; one horizon.

    Returns:
        `events` in their order with `forecast_at`, `model_id`, `location` and `p_up`; absent where nothing was forecast before.
    """
    made = forecasts[["timestamp", "symbol", "model_id", "location", "p_up"]].rename(columns={"timestamp": "forecast_at"})
    made = made.sort_values("forecast_at", kind="stable").astype({"forecast_at": "datetime64[ns, UTC]", "symbol": str})
    left = events.assign(_row=np.arange(len(events)), **{at: pd.to_datetime(events[at], utc=True).astype("datetime64[ns, UTC]")})
    left = left.astype({"symbol": str}).sort_values(at, kind="stable")
    joined = pd.merge_asof(left, made, left_on=at, right_on="forecast_at", by="symbol", allow_exact_matches=False)
    return joined.sort_values("_row").drop(columns="_row").reset_index(drop=True)


def trades_by_model(trades: pd.DataFrame, forecasts: pd.DataFrame) -> pd.DataFrame:
    """What each model's trades came to: model_id, trades, won (share), profit, gain (mean, as a share of the money put in).

    Args:
        trades: closed round trips: symbol, opened (bar-open time of the fill that opened it), profit, gain.
        forecasts: as in `caused`; a trade belongs to the model whose forecast opened it.
    """
    joined = caused(trades, forecasts, at="opened")
    groups = joined.loc[joined["model_id"].notna()].groupby("model_id", sort=False)
    rows = [
        {
            "model_id": model, "trades": len(part), "won": float((part["profit"] > 0).mean()), "profit": float(part["profit"].sum()),
            "gain": float(part["gain"].mean()),
        }
        for model, part in groups
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["model_id", "trades", "won", "profit", "gain"])
