"""The charts of a run page, from the run's tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import pandas as pd

from forwardtrader.reports.artefacts import CANDLE_COLUMNS, CLOSE
from forwardtrader.reports.pages.charts import (
    MOST_POINTS,
    Chart,
    figure,
    fill_marks,
    forecast_band,
    keep_extremes,
    line,
    packed,
    packed_times,
    stop_lines,
    time_chart,
)
from forwardtrader.reports.sections.optimisation import ChosenPoint


class ChartTables(Protocol):
    """What is drawn over time: a run's tables or a session's, columns as in `artefacts`."""

    @property
    def forecasts(self) -> pd.DataFrame: ...
    @property
    def fills(self) -> pd.DataFrame: ...
    @property
    def equity(self) -> pd.DataFrame: ...
    @property
    def stops(self) -> pd.DataFrame: ...
    @property
    def symbols(self) -> list[str]: ...


PRICE_SPANS: Final = (7, 30, 90, 365, 730)
_PRICE_BARS: Final = 600
ACCOUNT_LINES: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("equity", "Strategy", {"color": "$accent", "width": 2}),
    ("buy_and_hold", "Buy and hold", {"color": "$third", "width": 1.2}),
    ("volatility_targeted", "Volatility-targeted", {"color": "$second", "width": 1.2}),
)


def time_payload(run: ChartTables, horizon: int | None, candles: Mapping[str, pd.DataFrame] | None = None) -> dict[str, Any]:
    """Everything drawn over time: the columns, their times and the charts made of them.

    Args:
        run: the tables; an empty equity table gives no charts.
        horizon: bars ahead of the forecasts whose band goes round the price; None for no band.
        candles: by symbol, drawn in place of the closes where few bars are in view; left out where bars have to be thinned out.
    """
    if not len(run.equity):
        return {"times": "", "columns": {}, "charts": []}
    table = _columns(run, horizon)
    if candles and len(table) <= MOST_POINTS:
        table = table.assign(**_candle_columns(run, candles))
    kept = keep_extremes([table[name].to_numpy(float) for name in table.columns], MOST_POINTS)
    columns = {str(name): packed(table[name].to_numpy()[kept]) for name in table.columns}
    charts = [*_account_charts(table), *(_price_chart(run, table, symbol) for symbol in run.symbols)]
    return {"times": packed_times(pd.DatetimeIndex(table.index)[kept]), "columns": columns, "charts": charts}


def _columns(run: ChartTables, horizon: int | None) -> pd.DataFrame:
    table = {name: run.equity[name] for name, _, _ in ACCOUNT_LINES if name in run.equity}
    if "exposure" in run.equity:
        table["exposure"] = run.equity["exposure"]
    for symbol in run.symbols:
        close = table[f"{CLOSE}{symbol}"] = run.equity[f"{CLOSE}{symbol}"]
        rows = run.forecasts.loc[(run.forecasts["symbol"] == symbol) & (run.forecasts["horizon"] == horizon)]
        if len(rows):
            band = forecast_band(rows, close, int(rows["horizon"].iloc[0]))
            table |= {f"{name}:{symbol}": band[name] for name in band}
    return pd.DataFrame(table, index=run.equity.index)


def _candle_columns(run: ChartTables, candles: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    known = {symbol: candles[symbol].reindex(run.equity.index) for symbol in run.symbols if symbol in candles}
    return {_candle(name, symbol): frame[name] for symbol, frame in known.items() for name in CANDLE_COLUMNS if name != "close"}


def _candle(name: str, symbol: str) -> str:
    return f"{CLOSE}{symbol}" if name == "close" else f"candle-{name}:{symbol}"


def _account_charts(table: pd.DataFrame) -> list[Chart]:
    lines = [line(column, name, **style) for column, name, style in ACCOUNT_LINES if column in table]
    values = table[[entry["column"] for entry in lines]]
    # On a linear scale a curve that multiplies itself hides its own early years.
    log = bool(values.min().min() > 0 and values.max().max() / values.min().min() > 4)
    charts = [time_chart("equity", "Account value over time", lines, group="account", unit="money", log=log)]
    falls = [
        line("equity", "Strategy", "$accent", derive="drawdown", fill="tozeroy", fillcolor="$band", width=1.3),
        *(line("buy_and_hold", "Buy and hold", "$third", derive="drawdown", width=1) for _ in [0] if "buy_and_hold" in table),
    ]
    charts.append(time_chart("drawdown", "Drawdown over time", falls, group="account", unit="percent"))
    if "exposure" in table:
        share = line("exposure", "Exposure", "$accent", fill="tozeroy", fillcolor="$band", width=0.6, shape="hv")
        charts.append(time_chart("exposure", "Share of the account in the market", [share], group="account", unit="percent"))
    return charts


def _price_chart(run: ChartTables, table: pd.DataFrame, symbol: str) -> Chart:
    band = [
        line(f"high:{symbol}", "95 % forecast", "$band", width=0),
        line(f"low:{symbol}", "5 % forecast", "$band", width=0, fill="tonexty", fillcolor="$band"),
    ]
    lines = [*(band if f"high:{symbol}" in table else []), line(f"{CLOSE}{symbol}", "Close", "$ink", width=1.2)]
    marks = fill_marks(run.fills, symbol)
    days = price_days(pd.DatetimeIndex(table.index))
    drawn = {name: _candle(name, symbol) for name in CANDLE_COLUMNS} if _candle("open", symbol) in table else None
    label, stops = f"Price of {symbol} with fills and stops", stop_lines(run.stops, symbol, table.index[-1])
    return time_chart(f"price:{symbol}", label, lines, group="price", unit="price", marks=marks, days=days, candles=drawn, stops=stops)


def price_days(index: pd.DatetimeIndex) -> int:
    """How many days of price to show at first: few enough to distinguish the band from the line, out of those that have a button."""
    bar = (index[-1] - index[0]) / max(len(index) - 1, 1)
    return next((days for days in PRICE_SPANS if bar * _PRICE_BARS <= pd.Timedelta(days=days)), PRICE_SPANS[-1])


def loss_chart(folds: list[dict[str, Any]], symbol: str) -> Chart:
    """Training and validation loss of each model over the day it took effect."""
    own = [fold for fold in folds if fold["symbol"] == symbol]
    at = [f"{fold['effective_from']:%Y-%m-%d}" for fold in own]
    styles = (("train_loss", "training", "$third", "dot"), ("valid_loss", "unseen bars", "$accent", "solid"))
    traces = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": at, "y": [fold[key] for fold in own],
            "line": {"color": color, "width": 1.6, "dash": dash}, "marker": {"size": 5, "color": color},
            "text": [fold["model_id"] for fold in own], "hovertemplate": "%{text}: %{y:.4f}",
        }
        for key, name, color, dash in styles
    ]  # fmt: skip
    return figure(f"loss:{symbol}", f"Loss of each model on {symbol}", traces, hovermode="x unified", yaxis={"tickformat": ".3~f"})


def parameter_chart(choices: Sequence[ChosenPoint], key: str) -> Chart:
    """The value of one parameter from each boundary to the next; numbers to scale, others by name."""
    values = [choice.settings.get(key) for choice in choices]
    plain = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    trace = {
        "type": "scatter", "mode": "lines+markers", "name": key, "x": [f"{choice.since:%Y-%m-%d %H:%M}" for choice in choices],
        "y": values if plain else [str(value) for value in values], "line": {"color": "$accent", "width": 1.6, "shape": "hv"},
        "marker": {"size": 5, "color": "$accent"}, "hovertemplate": "from %{x}: %{y}<extra></extra>",
    }  # fmt: skip
    return figure(f"parameter:{key}", f"{key} over time", [trace], yaxis={"type": "linear" if plain else "category"})


def fold_score_chart(slices: list[dict[str, Any]], symbol: str) -> Chart:
    """Rank correlation of each model's forecasts with what happened, as bars at the first bar it forecast."""
    known = [part for part in slices if part.get("rank_ic") is not None and math.isfinite(part["rank_ic"])]
    values = [part["rank_ic"] for part in known]
    bars = {
        "type": "bar", "x": [part["from"][:10] for part in known], "y": values, "text": [part["model_id"] for part in known],
        "marker": {"color": ["$accent" if value >= 0 else "$bad" for value in values]}, "textposition": "none",
        "hovertemplate": "%{text}, from %{x}: %{y:.3f}<extra></extra>",
    }  # fmt: skip
    return figure(
        f"fold-ic:{symbol}", f"Rank IC of each model on {symbol}", [bars], yaxis={"tickformat": ".2f", "zeroline": True}, bargap=0.3
    )


def reliability_chart(curve: list[dict[str, Any]], symbol: str) -> Chart:
    """Predicted probability of a rise against how often prices rose, with the diagonal of perfect honesty."""
    predicted, observed = [point["p"] for point in curve], [point["share"] for point in curve]
    lows, highs = [point["ci"][0] for point in curve], [point["ci"][1] for point in curve]
    bounds = [min(predicted + lows), max(predicted + highs)]
    diagonal = {
        "type": "scatter", "mode": "lines", "x": bounds, "y": bounds, "hoverinfo": "skip",
        "line": {"color": "$rule", "width": 1, "dash": "dash"},
    }  # fmt: skip
    error = {
        "type": "data", "symmetric": False, "array": [high - share for high, share in zip(highs, observed, strict=True)],
        "arrayminus": [share - low for low, share in zip(lows, observed, strict=True)], "color": "$accent", "thickness": 1, "width": 3,
    }  # fmt: skip
    points = {
        "type": "scatter", "mode": "markers", "x": predicted, "y": observed, "error_y": error, "marker": {"size": 8, "color": "$accent"},
        "text": [f"{point['n']:,} bars" for point in curve], "hovertemplate": "predicted %{x:.1%}, rose %{y:.1%}<br>%{text}<extra></extra>",
    }  # fmt: skip
    axes = {"xaxis": _titled("predicted probability", ".0%"), "yaxis": _titled("share that rose", ".0%")}
    return figure(f"reliability:{symbol}", f"Reliability of the probability of a rise on {symbol}", [diagonal, points], **axes)


def transform_chart(pit: list[dict[str, float]], symbol: str) -> Chart:
    """How often outcomes fell between neighbouring quantiles; flat at 1 is calibrated, a hump is too wide a forecast, a bowl too narrow."""
    bars = {
        "type": "bar", "x": [(part["from"] + part["to"]) / 2 for part in pit], "y": [part["share"] / part["expected"] for part in pit],
        "width": [part["to"] - part["from"] - 0.006 for part in pit], "marker": {"color": "$accent"},
        "text": [f"{part['from']:.0%} to {part['to']:.0%}: {part['share']:.1%}, not {part['expected']:.0%}" for part in pit],
        "textposition": "none", "hovertemplate": "%{text}<extra></extra>",
    }  # fmt: skip
    ideal = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": "$rule", "width": 1, "dash": "dash"}}
    levels = [part["to"] for part in pit[:-1]]
    axes = {
        "xaxis": _titled("place in the forecast distribution", ".0%") | {"range": [0, 1], "tickvals": levels, "tickangle": 0},
        "yaxis": _titled("frequency, 1 is expected", ".1f"),
    }
    return figure(f"pit:{symbol}", f"Calibration of the forecast distribution on {symbol}", [bars], shapes=[ideal], **axes)


def _titled(text: str, tickformat: str) -> dict[str, Any]:
    return {"title": {"text": text}, "tickformat": tickformat}
