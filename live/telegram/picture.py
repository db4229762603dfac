"""The picture of a summary: `python -m forwardtrader.live.telegram.picture` reads one JSON object and writes a PNG, without a display."""

from __future__ import annotations

import json
import sys

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date
from matplotlib.figure import Figure

_UNIX: float = 719163.0  # Backtrader's number of 1970-01-01


def main() -> None:
    """Draw the equity by time."""
    task = json.load(sys.stdin)
    figure = Figure(figsize=(8, 4), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot([num2date(number - _UNIX) for number in task["times"]], task["equity"], linewidth=1.2)
    axes.set_title(f"{task['name']}: equity", loc="left")
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(alpha=0.3)
    canvas.print_png(sys.stdout.buffer)


if __name__ == "__main__":
    main()
