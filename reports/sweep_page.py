"""The page of a sweep: the chosen point first, then the surface it stands on. Made from the files in its folder and from nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pandas as pd

from reports import sweep_manifest
from reports.artefacts import read_table
from reports.charts import Chart, figure
from reports.pages import write_page
from reports.plateau import is_ordered
from reports.run_page import TONES
from reports.sweep_manifest import POINTS, SweepManifest

FILE_NAME: Final = "index.html"
MEASURES: Final = (("sharpe", "Net Sharpe ratio"), ("score", "Score among neighbours"))
SHOWN_POINTS: Final = 200
COLUMNS: Final = ("score", "sharpe", "total_return", "max_drawdown", "trades", "turnover", "exposure")
_SCALE: Final = [[0.0, "$bad"], [0.5, "$paper"], [1.0, "$accent"]]


def render_sweep_page(folder: Path) -> Path:
    """Write `folder/index.html` and return its path.

    Raises:
        RunUnreadable: the folder holds no readable sweep.
    """
    sweep = sweep_manifest.read(folder)
    points = read_table(folder / POINTS, pd.DataFrame())
    charts = surface(points, sweep)
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
    return [_parallel(points, keys)]


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
    cells = [[None if pd.isna(value) else round(float(value), 4) for value in row] for row in grid.to_numpy()]
    heat = {
        "type": "heatmap", "x": x, "y": y, "z": cells, "zmid": 0, "colorscale": _SCALE, "xgap": 2, "ygap": 2, "showscale": False,
        "texttemplate": "%{z:.2f}", "hovertemplate": f"{keys[0]} %{{x}}<br>{keys[1]} %{{y}}<br>{label} %{{z:.2f}}<extra></extra>",
    }  # fmt: skip
    chosen = points.iloc[[sweep.number]]
    frame = _mark(_labels(chosen[keys[0]]), _labels(chosen[keys[1]]), symbol="square-open", size=30)
    return _two_keys(f"surface-{column}", f"{label} by {keys[0]} and {keys[1]}", [heat, frame], keys, "category")


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


def _parallel(points: pd.DataFrame, keys: list[str]) -> Chart:
    dimensions: list[dict[str, Any]] = []
    for name in (*keys, "sharpe", "score"):
        if is_ordered(points[name].tolist()):
            dimensions.append({"label": name, "values": [float(v) for v in points[name].fillna(0.0)]})
            continue
        labels = _labels(points[name])
        known = list(dict.fromkeys(labels))
        ticks = {"tickvals": list(range(len(known))), "ticktext": known}
        dimensions.append({"label": name, "values": [known.index(label) for label in labels], **ticks})
    scores = [float(v) for v in points["score"].fillna(0.0)]
    line = {"color": scores, "colorscale": [[0.0, "$line"], [1.0, "$accent"]]}
    # Names of settings are long: slanted, they do not run into each other.
    trace = {"type": "parcoords", "dimensions": dimensions, "line": line, "labelangle": 12, "labelfont": {"size": 11}}
    return figure(
        "surface", "Every point as one line across its settings and its scores", [trace], margin={"l": 60, "r": 60, "t": 70, "b": 24}
    )


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
        "sweep": sweep,
        "tone": TONES[sweep.verdict],
        "charts": {chart["id"]: chart for chart in charts},
        "rows": rows,
        "spread": points["sharpe"].fillna(0.0).quantile([0.0, 0.5, 1.0]).tolist() if len(points) else None,
        "run_exists": (folder.parent / sweep.run / "index.html").is_file(),
        "files": [name for name in (sweep_manifest.FILE_NAME, POINTS) if (folder / name).is_file()],
    }
