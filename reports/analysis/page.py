"""The page of a time-series analysis: what one symbol's prices are like, and what those of others say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.reports.pages.charts import MOST_POINTS, Chart, figure, keep_extremes, line, packed, packed_times, time_chart
from forwardtrader.reports.pages.formats import p_value
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.statistics.series.dependence import Correlogram
from forwardtrader.reports.statistics.series.regimes import Regimes
from forwardtrader.reports.statistics.series.seasonality import Season
from forwardtrader.reports.statistics.series.stationarity import Stationarity
from forwardtrader.reports.statistics.series.volatility_model import VolatilityModel

FILE_NAME: Final = "index.html"


@dataclass(frozen=True, kw_only=True)
class SeriesAnalysis:
    """Everything the page shows; None for what could not be computed.

    Attributes:
        bars: open, high, low, close and volume by bar.
        daily: daily log returns.
        others: cross-correlation of this symbol's returns with those of others, by symbol.
        bars_per_year: for volatilities.
    """

    symbol: str
    timeframe: str
    source: str
    made: datetime
    bars: pd.DataFrame
    daily: pd.Series
    bars_per_year: float
    stationarity: Mapping[str, Stationarity | None]
    returns: Correlogram | None
    sizes: Correlogram | None
    hours: list[Season]
    weekdays: list[Season]
    volatility: VolatilityModel | None
    regimes: Regimes | None
    others: Mapping[str, Correlogram | None]
    is_sample: bool = False


def write_analysis(folder: Path, found: SeriesAnalysis) -> Path:
    """Write `folder/index.html` and return its path."""
    payload = _over_time(found)
    payload["charts"] += _figures(found)
    context = {"found": found, "charts": {chart["id"]: chart for chart in payload["charts"]}, "findings": findings(found)}
    return write_page(folder / FILE_NAME, "analysis_page.html.j2", context, payload)


def findings(found: SeriesAnalysis) -> list[str]:
    """What was found, a sentence each."""
    told = []
    for name, test in found.stationarity.items():
        if test is not None:
            told.append(f"{name}: {test.says}.")
    if found.returns is not None:
        told.append(_dependence("Returns", found.returns))
    if found.sizes is not None:
        told.append(_dependence("Sizes of returns", found.sizes))
    if found.volatility is not None:
        lasts = found.volatility.half_life
        told.append(
            f"Half of a shock to the variance is gone after {lasts:,.0f} bars." if np.isfinite(lasts) else "Shocks to the variance stay."
        )
    if found.regimes is not None:
        calm, wild = found.regimes.calm, found.regimes.wild
        told.append(
            f"Wild days are {wild.volatility / calm.volatility:.1f} times as volatile as calm ones, in spells of {wild.days:.0f} days."
        )
    for symbol, other in found.others.items():
        if other is not None and other.p < 0.05 and other.strongest > 0:
            told.append(f"{symbol} leads by {other.strongest} bars (p {p_value(other.p)}).")
    return told


def _dependence(what: str, found: Correlogram) -> str:
    if found.p >= 0.05:
        return f"{what} do not depend on their past beyond chance (p {p_value(found.p)})."
    value = found.values[found.lags.index(found.strongest)]
    return f"{what} depend on their past, most at lag {found.strongest} ({value:+.3f}, p {p_value(found.p)})."


def _over_time(found: SeriesAnalysis) -> dict[str, Any]:
    table = pd.DataFrame({"close": found.bars["close"]})
    charts = [time_chart("price", f"Close of {found.symbol}", [line("close", "close", "$accent")], group="time", unit="price")]
    if found.volatility is not None:
        table["sigma"] = found.volatility.sigma * np.sqrt(found.bars_per_year)
        charts.append(time_chart("sigma", "Volatility of a bar, a year", [line("sigma", "model", "$accent")], group="time", unit="percent"))
    if found.regimes is not None:
        wild = pd.Series(found.regimes.wild_probability, index=found.daily.index)
        table["wild"] = wild.shift(1).reindex(table.index, method="ffill")
        charts.append(time_chart("wild", "Probability of the wild regime", [line("wild", "wild", "$bad")], group="time", unit="percent"))
    kept = keep_extremes([table[name].to_numpy(float) for name in table.columns], MOST_POINTS)
    columns = {str(name): packed(table[name].to_numpy(float)[kept]) for name in table.columns}
    return {"times": packed_times(pd.DatetimeIndex(table.index)[kept]), "columns": columns, "charts": charts}


def _figures(found: SeriesAnalysis) -> list[Chart]:
    drawn = [
        _correlogram("acf", "Autocorrelation of returns", found.returns),
        _correlogram("acf-size", "Autocorrelation of their sizes", found.sizes),
        *(_correlogram(f"ccf:{symbol}", f"Returns against those of {symbol}", other) for symbol, other in found.others.items()),
        _seasons("hours", "Size of returns by hour, UTC", found.hours),
        _seasons("weekdays", "Size of returns by weekday, UTC", found.weekdays),
    ]  # fmt: skip
    return [chart for chart in drawn if chart is not None]


def _correlogram(name: str, label: str, found: Correlogram | None) -> Chart | None:
    if found is None:
        return None
    bars = {
        "type": "bar",
        "x": list(found.lags),
        "y": list(found.values),
        "marker": {"color": "$accent"},
        "hovertemplate": "lag %{x}: %{y:.3f}<extra></extra>",
    }
    edges = [
        {
            "type": "scatter", "mode": "lines", "x": list(found.lags), "y": [sign * bound for bound in found.bounds], "hoverinfo": "skip",
            "line": {"color": "$rule", "width": 1, "dash": "dash"},
        }
        for sign in (1.0, -1.0)
    ]  # fmt: skip
    return figure(name, label, [bars, *edges], showlegend=False, xaxis={"title": {"text": "bars before"}}, yaxis={"tickformat": ".2f"})


def _seasons(name: str, label: str, found: list[Season]) -> Chart | None:
    if not found:
        return None
    bars = {
        "type": "bar", "x": [each.name for each in found], "y": [each.size for each in found], "marker": {"color": "$accent"},
        "hovertemplate": "%{x}: %{y:.2f} times the usual size<extra></extra>",
    }  # fmt: skip
    return figure(name, label, [bars], xaxis={"type": "category"}, yaxis={"tickformat": ".1f"})
