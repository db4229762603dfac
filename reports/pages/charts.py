"""Chart data of the pages; the page's own script draws it with plotly.js, without a network.

Long lines travel once, at the resolution of the bars (up to `MOST_POINTS`), as base64 of little-endian float32; the script thins them
out to what fits the screen, keeping every high and low, and shows more as one zooms in. Colours are names (`$accent`) that the page's
style sheet defines for light and dark.
"""

from __future__ import annotations

import base64
import itertools
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core import atomic, log

MOST_POINTS: Final = 60_000
PLOTLY: Final = "plotly.min.js"
LIQUIDATION: Final = "liquidation"  # a kind of stops

Array = np.ndarray[Any, np.dtype[Any]]
Chart = dict[str, Any]


def keep_extremes(columns: Sequence[Array], limit: int) -> Array:
    """Positions of at most about `limit` rows that hold the first, last, lowest and highest value of every column in every stretch.

    Args:
        columns: arrays of one length; NaN is passed over.
        limit: how many positions to keep; fewer rows than that are all kept.
    """
    n = len(columns[0]) if columns else 0
    if n <= limit:
        return np.arange(n)
    stretches = max(limit // (2 * len(columns)), 1)
    edges = np.linspace(0, n, stretches + 1).astype(int)
    kept = {0, n - 1}
    for column in columns:
        for low, high in itertools.pairwise(edges.tolist()):
            part = column[low:high]
            if high > low and not np.isnan(part).all():
                kept |= {low + int(np.nanargmin(part)), low + int(np.nanargmax(part))}
    return np.array(sorted(kept))


def packed(values: Array) -> str:
    """Base64 of little-endian float32."""
    return base64.b64encode(np.asarray(values, dtype="<f4").tobytes()).decode()


def packed_times(index: pd.DatetimeIndex) -> str:
    """Base64 of little-endian float64: milliseconds since 1970, as JavaScript counts."""
    milliseconds = index.as_unit("ms").asi8.astype("<f8")
    return base64.b64encode(milliseconds.tobytes()).decode()


def forecast_band(rows: pd.DataFrame, close: pd.Series, horizon: int) -> pd.DataFrame:
    """The prices between which the close was expected with 90 %: columns low, middle, high, at the bar they are about.

    Args:
        rows: forecasts of one symbol and one horizon, in plain log returns from the close of `timestamp`.
        close: closes of the symbol, indexed by bar open.
        horizon: bars ahead.
    """
    newest = rows.drop_duplicates("timestamp", keep="last").set_index("timestamp").reindex(close.index)
    names = {"low": "q05", "middle": "q50", "high": "q95"}
    return pd.DataFrame({name: close * np.exp(newest[q].astype(float)) for name, q in names.items()}).shift(horizon)


def fill_marks(fills: pd.DataFrame, symbol: str) -> dict[str, list[Any]]:
    """The fills of one symbol as marks on its price: times in milliseconds, prices, sides, texts."""
    rows = fills.loc[fills["symbol"] == symbol]
    times = pd.DatetimeIndex(rows["timestamp"]).as_unit("ms").asi8.tolist() if len(rows) else []
    texts = [
        f"{side} {size:g} at {price:,.2f}" + (f" · {reason}" if reason else "")
        for side, size, price, reason in zip(rows["side"], rows["size"], rows["price"], rows["reason"], strict=True)
    ]
    return {"time": times, "price": rows["price"].tolist(), "side": rows["side"].tolist(), "text": texts}


def stop_lines(stops: pd.DataFrame, symbol: str, end: pd.Timestamp) -> dict[str, dict[str, str]]:
    """The stops of one symbol by what the page calls them: since and until in milliseconds, and prices, packed; `end` is where those that
    rest on are drawn to."""
    own = stops.loc[stops["symbol"] == symbol]
    kinds = {"stops": own["kind"] != LIQUIDATION, "liquidation": own["kind"] == LIQUIDATION}
    return {
        name: {
            "since": packed_times(pd.DatetimeIndex(own.loc[rows, "since"])),
            "until": packed_times(pd.DatetimeIndex(own.loc[rows, "until"].fillna(end))),
            "price": packed(own.loc[rows, "price"].to_numpy()),
        }
        for name, rows in kinds.items()
        if rows.any()
    }


def line(column: str, name: str, color: str, **more: Any) -> dict[str, Any]:
    """One line of a time chart; `more` may hold dash, width, fill, derive."""
    return {"column": column, "name": name, "color": color, **more}


def time_chart(name: str, label: str, lines: list[dict[str, Any]], *, group: str, unit: str = "", **more: Any) -> Chart:
    """A chart over time; charts of one group zoom together. `unit` is `money`, `percent` or `price`."""
    return {"id": name, "kind": "time", "label": label, "lines": lines, "group": group, "unit": unit, **more}


def figure(name: str, label: str, traces: list[dict[str, Any]], **layout: Any) -> Chart:
    """Any other chart, as a plotly figure."""
    return {"id": name, "kind": "figure", "label": label, "traces": traces, "layout": layout}


def as_script(payload: dict[str, Any]) -> str:
    """JSON that may stand inside a script element, whatever text it holds; secrets are struck out."""
    text = log.redact_values(json.dumps(payload, separators=(",", ":"), allow_nan=False))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def place_plotly(folder: Path) -> Path:
    """Put plotly.js beside a page, so that the folder opens by itself; runs beside each other share one copy on the disk.

    Raises:
        StorageFull: there is no room for it.
    """
    target, source = folder / PLOTLY, bundle()
    size = source.stat().st_size
    if _is_whole(target, size):
        return target
    shared = folder.parent / "assets" / f"plotly-{size}.min.js"
    if not _is_whole(shared, size):
        _copy(source, shared)
    try:
        target.unlink(missing_ok=True)
        target.hardlink_to(shared)
    except OSError:
        # Another disk, one without links, or another process was faster: a copy is as good, only larger.
        _copy(source, target)
    return target


def bundle() -> Path:
    """plotly.js's own bundle for finance: scatter, bar and candlestick among a few others, a quarter of the whole library."""
    return Path(__file__).with_name("assets") / "plotly-finance.min.js"


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _copy(source: Path, target: Path) -> None:
    def fill(temporary: Path) -> None:
        shutil.copyfile(source, temporary)

    atomic.write_atomically(target, fill)
