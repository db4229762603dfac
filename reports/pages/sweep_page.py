"""The page of a sweep: the chosen point first, then its surroundings; made from the files in its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.reports import sweep_manifest
from forwardtrader.reports.artefacts import read_table
from forwardtrader.reports.pages.charts import Chart, figure
from forwardtrader.reports.pages.glossary import GATES
from forwardtrader.reports.pages.render import write_page
from forwardtrader.reports.pages.run_page import TONES
from forwardtrader.reports.sections.optimisation import PathSharpes
from forwardtrader.reports.statistics.plateau import is_ordered
from forwardtrader.reports.sweep_manifest import POINTS, SweepManifest

FILE_NAME: Final = "index.html"
MEASURES: Final = (("sharpe", "Net Sharpe ratio"), ("score", "Score among neighbours"))
SHOWN_POINTS: Final = 200
SHADES: Final = 5
COLUMNS: Final = ("score", "sharpe", "total_return", "max_drawdown", "trades", "turnover", "exposure")
_SCALE: Final = [[0.0, "$bad"], [0.5, "$paper"], [1.0, "$accent"]]


def render_sweep_page(folder: Path) -> Path:
    """Write `folder/index.html` and return its path.

    Raises:
        RunUnreadable: the folder holds no readable sweep.
    """
    sweep = sweep_manifest.read(folder)
    points = read_table(folder / POINTS, pd.DataFrame())
    charts = surface(points, sweep) + ([_paths(sweep.paths)] if sweep.paths else [])
    return write_page(folder / FILE_NAME, "sweep_page.html.j2", _context(folder, sweep, points, charts), {"charts": charts})


def surface(points: pd.DataFrame, sweep: SweepManifest) -> list[Chart]:
    """What the points look like side by side: lines for one key, heat maps for two, parallel axes for more."""
    keys = sweep.keys
    if not len(points):
        return []
    if len(keys) == 1:
        return [_lines(points, keys[0], sweep)]
    if len(keys) == 2:
        draw = _dots if sweep.search else _heat
        return [draw(points, keys, column, label, sweep) for column, label in MEASURES]
    return [_parallel(points, keys, sweep)]


def _paths(paths: PathSharpes) -> Chart:
    counts, edges = np.histogram(paths.sharpes, bins=min(20, max(5, len(set(paths.sharpes)) // 4)))
    middles = [round(float(value), 4) for value in (edges[:-1] + edges[1:]) / 2.0]
    bars = {"type": "bar", "name": "paths", "x": middles, "y": counts.tolist(), "marker": {"color": "$accent"}}
    bars["hovertemplate"] = "Sharpe %{x:.2f}: %{y} paths<extra></extra>"
    title = {"title": {"text": "Sharpe ratio of a path"}}
    return figure("paths", "Sharpe ratios of the purged paths", [bars], xaxis=title, yaxis={"title": {"text": "paths"}})


def _lines(points: pd.DataFrame, key: str, sweep: SweepManifest) -> Chart:
    table = points.sort_values(key, kind="stable") if is_ordered(points[key].tolist()) else points
    x = _labels(table[key])
    colors = {"sharpe": ("$third", "dot"), "score": ("$accent", "solid")}
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines+markers", "name": label, "x": x, "y": table[column].tolist(), "connectgaps": False,
            "line": {"color": colors[column][0], "width": 1.8, "dash": colors[column][1]},
            "marker": {"size": 6, "color": colors[column][0]}, "hovertemplate": "%{x}: %{y:.2f}",
        }
        for column, label in MEASURES
    ]  # fmt: skip
    traces.append(_mark([_labels(points[key])[sweep.number]], [points["score"].iloc[sweep.number]]))
    return figure("surface", f"Sharpe ratio over {key}", traces, xaxis={"title": {"text": key}}, yaxis={"tickformat": ".2f"})


def _heat(points: pd.DataFrame, keys: list[str], column: str, label: str, sweep: SweepManifest) -> Chart:
    grid = points.pivot_table(index=keys[1], columns=keys[0], values=column, aggfunc="first", sort=True)
    x, y = _labels(grid.columns.to_series()), _labels(grid.index.to_series())
    table = grid.to_numpy(dtype=np.float64)
    cells = [(int(row), int(column), round(float(table[row, column]), 4)) for row, column in np.argwhere(~np.isnan(table))]
    size = max(14, min(44, 420 // max(len(x), 1), 260 // max(len(y), 1)))  # pixels: squares that stand side by side on a phone too
    heat = {
        "type": "scatter", "mode": "markers+text" if size >= 30 else "markers",
        "x": [x[column] for _, column, _ in cells], "y": [y[row] for row, _, _ in cells], "text": [f"{value:.2f}" for _, _, value in cells],
        "textposition": "bottom center", "textfont": {"size": 11},  # below: no colour of text can be read on all of the cells
        "marker": {
            "symbol": "square", "size": size, "color": [value for _, _, value in cells], "colorscale": _SCALE, "cmid": 0,
            "showscale": False, "opacity": 1,
        },
        "hovertemplate": f"{keys[0]} %{{x}}<br>{keys[1]} %{{y}}<br>{label} %{{text}}<extra></extra>",
    }  # fmt: skip
    chosen = points.iloc[[sweep.number]]
    frame = _mark(_labels(chosen[keys[0]]), _labels(chosen[keys[1]]), symbol="square-open", size=size)
    chart = _two_keys(f"surface-{column}", f"{label} by {keys[0]} and {keys[1]}", [heat, frame], keys, "category")
    for axis, names in (("xaxis", x), ("yaxis", y)):
        chart["layout"][axis] |= {"categoryorder": "array", "categoryarray": names}  # also where a point of the first row is missing
    return chart


def _dots(points: pd.DataFrame, keys: list[str], column: str, label: str, sweep: SweepManifest) -> Chart:
    x, y = (_plain(points[key]) for key in keys)
    values = [round(float(value), 4) for value in points[column].fillna(0.0)]
    dots = {
        "type": "scatter", "mode": "markers", "x": x, "y": y, "text": [f"{value:.2f}" for value in values],
        "marker": {
            "size": 13, "color": values, "colorscale": _SCALE, "cmid": 0, "showscale": False, "line": {"width": 1, "color": "$rule"}
        },
        "hovertemplate": f"{keys[0]} %{{x}}<br>{keys[1]} %{{y}}<br>{label} %{{text}}<extra></extra>",
    }  # fmt: skip
    mark = _mark([x[sweep.number]], [y[sweep.number]], symbol="square-open", size=20)
    return _two_keys(f"surface-{column}", f"{label} by {keys[0]} and {keys[1]}", [dots, mark], keys, None)


def _two_keys(name: str, label: str, traces: list[dict[str, Any]], keys: list[str], kind: str | None) -> Chart:
    axes = [{"title": {"text": key}, "showgrid": False, **({"type": kind} if kind else {})} for key in keys]
    return figure(name, label, traces, xaxis=axes[0], yaxis=axes[1])


def _parallel(points: pd.DataFrame, keys: list[str], sweep: SweepManifest) -> Chart:
    """Each point as a line across one axis per key and two for its scores, every axis from its lowest to its highest value."""
    axes = [(name, *_heights(points[name])) for name in (*keys, "sharpe", "score")]
    fifth = points["score"].rank(method="average", pct=True).mul(SHADES).apply(np.ceil).clip(1, SHADES)
    traces = [
        _strands(axes, np.flatnonzero(fifth == n), f"fifth {n:.0f} of {SHADES}", "$accent", 0.12 + 0.16 * n) for n in range(1, SHADES + 1)
    ]
    traces.append(_strands(axes, np.array([sweep.number]), "chosen", "$ink", 1.0))
    labels = [f"{name.partition('.')[2] or name}<br>{ends[0]} .. {ends[1]}" for name, _, ends in axes]
    ticks = {"tickvals": list(range(len(axes))), "ticktext": labels, "range": [-0.3, len(axes) - 0.7]}
    bare = {"showticklabels": False, "showgrid": False, "range": [-0.05, 1.05]}
    return figure("surface", "Every point as one line across its settings and its scores", traces, xaxis=ticks, yaxis=bare)


def _heights(values: pd.Series) -> tuple[list[float], tuple[str, str]]:
    """Where each value stands on an axis from 0 to 1, and what its two ends are called."""
    labels = _labels(values)
    ordered = is_ordered(values.tolist())
    known = list(dict.fromkeys(labels))
    plain = values.fillna(0.0).astype(float).tolist() if ordered else [float(known.index(label)) for label in labels]
    low, high = min(plain), max(plain)
    ends = (f"{low:.3g}", f"{high:.3g}") if ordered else (known[0], known[-1])
    return [(value - low) / (high - low) if high > low else 0.5 for value in plain], ends


def _strands(axes: list[Any], rows: NDArray[np.intp], name: str, color: str, opacity: float) -> dict[str, Any]:
    """Some points as one trace, a gap between one and the next."""
    x: list[float | None] = []
    y: list[float | None] = []
    for row in rows.tolist():
        x += [*range(len(axes)), None]
        y += [*(round(heights[row], 4) for _, heights, _ in axes), None]
    line = {"color": color, "width": 3 if name == "chosen" else 1.3}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, "opacity": opacity, "hoverinfo": "skip"}


def _mark(x: list[Any], y: list[Any], *, symbol: str = "circle-open", size: int = 16) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "markers", "name": "chosen", "x": x, "y": y, "hoverinfo": "skip",
        "marker": {"symbol": symbol, "size": size, "color": "$ink", "line": {"width": 2, "color": "$ink"}},
    }  # fmt: skip


def _labels(values: pd.Series) -> list[str]:
    return [f"{value:g}" if is_ordered([value]) else str(value) for value in values.tolist()]


def _plain(values: pd.Series) -> list[Any]:
    return values.tolist() if is_ordered(values.tolist()) else _labels(values)


def _context(folder: Path, sweep: SweepManifest, points: pd.DataFrame, charts: list[Chart]) -> dict[str, Any]:
    table = points.assign(number=range(len(points)))
    ranked = table.sort_values(["score", "sharpe"], ascending=False, kind="stable") if len(table) else table
    labels = {key: _labels(ranked[key]) for key in sweep.keys} if len(ranked) else {}
    rows = [
        {"values": [labels[key][n] for key in sweep.keys], "chosen": row["number"] == sweep.number, **{c: row[c] for c in COLUMNS}}
        for n, row in enumerate(ranked.head(SHOWN_POINTS).to_dict("records"))
    ]
    return {
        "gate_meanings": GATES,
        "sweep": sweep,
        "tone": TONES[sweep.verdict],
        "charts": {chart["id"]: chart for chart in charts},
        "rows": rows,
        "spread": points["sharpe"].fillna(0.0).quantile([0.0, 0.5, 1.0]).tolist() if len(points) else None,
        "run_exists": (folder.parent / sweep.run / "index.html").is_file(),
        "files": [name for name in (sweep_manifest.FILE_NAME, POINTS) if (folder / name).is_file()],
    }
