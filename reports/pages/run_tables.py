"""Tables of a run page: rows of plain numbers, formatted in the template only."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.manifest import RunManifest, StrategySummary
from forwardtrader.reports.sections.forecasts import ForecastScores, SymbolForecast
from forwardtrader.reports.sections.section import Interval
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.calibration import calibration
from forwardtrader.reports.statistics.round_trips import RoundTrip, round_trips
from forwardtrader.reports.statistics.score_slices import by_fold, by_year

if TYPE_CHECKING:
    from markupsafe import Markup

NAMES: Final = {
    "buy_and_hold": "Buy and hold",
    "volatility_targeted": "Volatility-targeted",
    "random_entries": "Random entries",
    "shifted_forecasts": "Forecasts shifted in time",
    "lstm": "LSTM",
    "lightgbm": "LightGBM, Huber",
    "huber_linear": "Linear, Huber",
    "ridge": "Ridge",
    "momentum": "Momentum",
    "reversal": "Reversal",
    "zero": "Zero",
    "majority": "Majority class",
}
# Key of the summary, label, filter of the template.
ACCOUNT_ROWS: Final = (
    ("total_return", "Net return", "signed_percent"),
    ("cagr", "Return per year (CAGR)", "signed_percent"),
    ("volatility", "Volatility per year", "percent"),
    ("sharpe", "Sharpe ratio", "number"),
    ("sortino", "Sortino ratio", "number"),
    ("max_drawdown", "Maximum drawdown", "percent"),
    ("longest_drawdown_days", "Longest drawdown, days", "count"),
    ("exposure", "Mean exposure", "percent"),
    ("trades", "Round trips", "count"),
    ("turnover", "Turnover per year", "number"),
    ("fees", "Fees paid", "count"),
    ("slippage", "Slippage paid", "count"),
)
# What 215 strategies of a bank kept of their Sharpe ratio when they went live, at the median (Suhonen et al. 2017).
LIVE_SHARE: Final = 0.27
_SHOWN_TRIPS: Final = 5
# Fewer known outcomes than this draw no picture.
FEWEST_BARS: Final = 300


def nice(name: str) -> str:
    """The label of a name from run.json."""
    return NAMES.get(name, name if name != name.lower() else name.replace("_", " ").capitalize())


def accounts(manifest: RunManifest) -> list[tuple[str, StrategySummary]]:
    """The strategy and every benchmark, in the order of the columns."""
    own = [("Strategy", manifest.strategy)] if manifest.strategy else []
    known = [name for name in NAMES if name in manifest.benchmark]
    others = [name for name in manifest.benchmark if name not in known]
    return [*own, *((nice(name), manifest.benchmark[name]) for name in [*known, *others])]


def monthly(run: RunArtefacts) -> list[dict[str, Any]]:
    """One row a year: twelve shares (None without bars), the year's total, and how strongly each cell is coloured, 0..1."""
    if not len(run.equity):
        return []
    start = run.manifest.strategy.start_equity if run.manifest.strategy else None
    table = metrics.monthly_returns(run.equity["equity"], start)
    strongest = float(table.abs().max().max()) or 1.0
    rows = []
    for year, months in table.iterrows():
        cells = [None if math.isnan(value) else float(value) for value in months.tolist()]
        total = math.prod(1 + value for value in cells if value is not None) - 1
        rows.append({"year": year, "cells": [(value, abs(value or 0.0) / strongest) for value in cells], "total": total})
    return rows


def forecasters(forecast: SymbolForecast) -> list[dict[str, Any]]:
    """The one that is traded first, then the others from best to worst rank IC, each with its whisker and its Diebold-Mariano test."""
    entries = [(nice(forecast.name), "lstm", forecast.lstm)] if forecast.lstm else []
    ranked = sorted(forecast.baselines.items(), key=lambda item: -math.inf if item[1].rank_ic is None else item[1].rank_ic, reverse=True)
    entries += [(nice(name), name, scores) for name, scores in ranked]
    bounds = _bounds([scores for _, _, scores in entries])
    return [
        {
            "name": name,
            "ours": key == "lstm",
            "scores": scores,
            "test": forecast.diebold_mariano.get(key),
            "confidence": forecast.confidence_set.get(forecast.name if key == "lstm" else key),
            "whisker": whisker(scores.rank_ic, scores.rank_ic_ci, bounds),
        }
        for name, key, scores in entries
    ]


def _bounds(scores: list[ForecastScores]) -> tuple[float, float]:
    values = [0.0, *(value for s in scores for value in (s.rank_ic, *(s.rank_ic_ci or ())) if value is not None)]
    return min(values), max(values)


def whisker(value: float | None, ends: Interval, bounds: tuple[float, float], *, color: str = "accent", width: int = 120) -> Markup | str:
    """A line from the low to the high end of an interval with a dot at its value, on the scale of all rows; `color` is the style's."""
    from markupsafe import Markup

    low, high = bounds
    if value is None or high <= low:
        return ""

    def x(at: float) -> float:
        return round(6 + (at - low) / (high - low) * (width - 12), 1)

    known = [end for end in ends or () if end is not None]
    reach = (
        f'<line x1="{x(known[0])}" x2="{x(known[1])}" y1="8" y2="8" style="stroke:var(--{color});stroke-width:1.5"/>'
        if len(known) == 2
        else ""
    )
    # Made of numbers alone, so nothing needs escaping.
    return Markup(
        f'<svg class="whisker" width="{width}" height="16" viewBox="0 0 {width} 16" aria-hidden="true">'
        f'<line x1="{x(0.0)}" x2="{x(0.0)}" y1="0" y2="16" style="stroke:var(--rule)"/>{reach}'
        f'<circle cx="{x(value)}" cy="8" r="3.5" style="fill:var(--{color})"/></svg>'
    )


def horizon_of(run: RunArtefacts, symbol: str) -> int | None:
    """The horizon whose forecasts the page shows: the one that was scored, or else the shortest."""
    scored = getattr(run.manifest.forecast.get(symbol), "horizon", None)
    told = run.forecasts.loc[run.forecasts["symbol"] == symbol, "horizon"]
    if not len(told):
        return None
    return int(scored) if isinstance(scored, int) and (told == scored).any() else int(told.min())


def forecast_rows(run: RunArtefacts, symbol: str) -> pd.DataFrame:
    """The forecasts of the horizon the page shows."""
    return run.forecasts.loc[(run.forecasts["symbol"] == symbol) & (run.forecasts["horizon"] == horizon_of(run, symbol))]


def details_of(run: RunArtefacts, symbol: str) -> dict[str, Any]:
    """Calibration and slices of the LSTM's scores: those of run.json, or else counted from the forecasts here."""
    told = run.manifest.forecast.get(symbol)
    found = dict(told.model_extra or {}) if told else {}
    frame = forecast_rows(run, symbol).set_index("timestamp")
    if frame["realised"].notna().sum() < FEWEST_BARS:
        return {}
    if "calibration" not in found:
        unit = frame["scale"].to_numpy(dtype=float)
        found |= {"calibration": calibration(frame), "by_year": by_year(frame, unit), "by_fold": by_fold(frame, unit)}
    return found


def quantile_shares(pit: list[dict[str, float]]) -> list[tuple[float, float]]:
    """For each forecast quantile its level and the share of outcomes at or below it, from the shares between neighbours."""
    shares = itertools.accumulate(part["share"] for part in pit)
    return [(part["to"], share) for part, share in zip(pit, shares, strict=True)][:-1]


def luck_rows(summary: StrategySummary, years: float) -> list[tuple[str, float, str, str]]:
    """What else bears on luck, as label, number, filter and explanation; only what was computed."""
    extra = summary.model_extra or {}
    enough = f"to show this Sharpe ratio above zero; there are {years:.1f}"
    rows = [
        (
            "Shifted forecasts do as well",
            extra.get("shifted_forecasts_p"),
            "p_value",
            "p of the same strategy on the same forecasts shifted in time: what it earns there it earns without them",
        ),
        ("Random entries do as well", extra.get("random_entries_p"), "p_value", "p against random entries, as many, as long, as costly"),
        ("Best Sharpe of worthless trials", extra.get("expected_best_sharpe"), "number", "expected of as many trials without any edge"),
        ("Track record needed, years", extra.get("minimum_track_record_years"), "number", enough),
        (
            "Backtest needed, years",
            extra.get("minimum_backtest_years"),
            "number",
            "before the best of as many worthless trials shows less than 1",
        ),
        ("Bets", extra.get("bets"), "count", "how many times the position turned over"),
    ]
    for name, p in (extra.get("spa_p") or {}).items():
        rows.append((f"No better than {nice(name).lower()}", p, "p_value", "p of Hansen's test of superior predictive ability"))
    return [(label, value, form, text) for label, value, form, text in rows if isinstance(value, int | float)]


def trips(run: RunArtefacts) -> dict[str, list[RoundTrip]]:
    """The best and the worst round trips by net profit."""
    ranked = sorted(round_trips(run.fills), key=lambda trip: trip.profit)
    half = min(_SHOWN_TRIPS, len(ranked) // 2 or len(ranked))
    return {"best": ranked[::-1][:half], "worst": ranked[:half] if len(ranked) > 1 else []}


def trip_columns(run: RunArtefacts) -> dict[str, list[Any]]:
    """All round trips in the order of their opening, column by column, for the page's own table; times in milliseconds since 1970."""
    found = sorted(round_trips(run.fills), key=lambda trip: trip.opened)
    names = ("symbol", "side", "size", "entry", "exit", "profit", "gain")
    moments = {name: [int(getattr(trip, name).timestamp() * 1000) for trip in found] for name in ("opened", "closed")}
    return moments | {name: [_exact(getattr(trip, name)) for trip in found] for name in names}


def _exact(value: Any) -> Any:
    return value if isinstance(value, str) or math.isfinite(value) else None


def paid_bps(summary: StrategySummary) -> float | None:
    """What one side of a trade cost, in basis points of its value."""
    return ((summary.fees or 0.0) + (summary.slippage or 0.0)) / summary.notional * 1e4 if summary.notional else None


def settings_rows(config: dict[str, Any], room: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting as `room.key` and value."""
    for key, value in config.items():
        name = f"{room}.{key}" if room else str(key)
        if isinstance(value, dict):
            yield from settings_rows(value, name)
        else:
            yield name, value
