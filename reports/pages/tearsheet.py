"""The QuantStats tearsheet of a run; the only file that imports quantstats.

Importing quantstats takes over a second, reaches for a download library and changes matplotlib's settings for the whole process. So a
command keeps it in a process of its own, started early and fed late:

    with TearsheetProcess() as tearsheet:   # imports while the run is being made
        ...
        tearsheet.submit(run_dir)           # draws while the run page is being written
        ...
        path = tearsheet.wait()
"""

from __future__ import annotations

import contextlib
import gc
import html
import io
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import pandas as pd

from forwardtrader.core import atomic, log
from forwardtrader.core.command.child import child_command, child_environment
from forwardtrader.reports import artefacts
from forwardtrader.reports.artefacts import RunArtefacts
from forwardtrader.reports.statistics import metrics

FILE_NAME: Final = "tearsheet.html"
_NONE: Final = re.compile(r"<p>No tearsheet: (.*?)\.</p>", re.DOTALL)
_TEMPLATE: Final = Path(__file__).with_name("templates") / "tearsheet.html"
_FEWEST_DAYS: Final = 10
_LOG: Final = log.logger("reports")


def render_tearsheet(run_dir: Path) -> Path:
    """Write `run_dir/tearsheet.html` from the run's artefacts, in this process; no network, nothing on stderr.

    Returns are daily. Where QuantStats cannot make one (an account that never moved, a run of a few days) the page gives the reason.

    Raises:
        RunUnreadable: the folder holds no readable run.
    """
    run = artefacts.load(run_dir, forecasts=False)
    reason = _unfit(run)
    if reason is None:
        try:
            page = _quantstats_page(run)
        except Exception as error:  # noqa: BLE001 - quantstats raises whatever it stumbles over; the page names it and the log keeps it
            _LOG.exception("tearsheet_failed")
            reason = log.redact(f"QuantStats stopped with {type(error).__name__}: {error}")
    if reason is not None:
        page = _page_without(run, reason)
    atomic.write_text(run_dir / FILE_NAME, page)
    return run_dir / FILE_NAME


def trouble_with(run_dir: Path) -> str:
    """Why the run in `run_dir` has no tearsheet; nothing where it has one."""
    path = run_dir / FILE_NAME
    if not path.is_file():
        return "it was not made; python -m reports with this folder makes it"
    found = _NONE.search(path.read_text(encoding="utf-8", errors="replace"))
    return html.unescape(found[1]) if found else ""


class TearsheetProcess:
    """Renders one run's tearsheet beside the caller; `start`, `submit`, `wait`, in this order."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._run_dir: Path | None = None

    def start(self) -> Self:
        """Begin importing; costs the caller a few milliseconds."""
        command = child_command("reports.pages.tearsheet")
        # A session of its own: Ctrl-C is the caller's to handle, who ends this process too.
        self._process = subprocess.Popen(
            command, env=child_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        return self

    def submit(self, run_dir: Path) -> None:
        """Begin drawing; the run's artefacts must be saved by now."""
        self._run_dir = run_dir.resolve()
        if self._process is None or self._process.stdin is None:
            self.start()
        assert self._process is not None and self._process.stdin is not None
        # A process that died before its job is noticed in `wait`, which has the remedy.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(str(self._run_dir)) + "\n")
            self._process.stdin.flush()

    def wait(self, timeout_s: float = 120.0) -> Path:
        """The finished page; a page that names the reason where the process died or took too long."""
        assert self._process is not None and self._run_dir is not None
        try:
            answer, _ = self._process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            answer = ""
        path = self._run_dir / FILE_NAME
        if not answer.strip() or not path.is_file():
            log.event(_LOG, "tearsheet_process_lost", returncode=self._process.poll())
            atomic.write_text(
                path, _page_without(artefacts.load(self._run_dir, forecasts=False), "the process that draws it did not finish")
            )
        return path

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is None:
            return
        self._process.kill()
        self._process.communicate()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def _unfit(run: RunArtefacts) -> str | None:
    days = metrics.daily(run.equity["equity"])
    if len(days) < _FEWEST_DAYS:
        return f"the run has {len(days)} days; QuantStats needs {_FEWEST_DAYS}"
    if days.nunique() < 2:
        return "the account never traded, so its equity never moved"
    return None


def _quantstats_page(run: RunArtefacts) -> str:
    title = html.escape(run.manifest.title)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        template, page = Path(folder) / "template.html", Path(folder) / "page.html"
        template.write_text(_template(run), encoding="utf-8")
        quantstats = _import_quantstats()
        quantstats.reports.html(
            _daily_returns(run, "equity").rename("Strategy"),
            _benchmark(run),
            rf=0.0,
            title=title,
            output=str(page),
            periods_per_year=run.manifest.data.periods_per_year,
            template_path=str(template),
            benchmark_title="Buy and hold",
            # Matching would cut the flat days at the start off, and every ratio would be of another period than ours.
            match_dates=False,
        )
        return page.read_text(encoding="utf-8").replace("CAGR﹪", "CAGR %")


def _daily_returns(run: RunArtefacts, column: str) -> pd.Series:
    days = metrics.daily(run.equity[column])
    start = run.manifest.strategy.start_equity if run.manifest.strategy else None
    returns = metrics.returns_of(days, start)
    returns.index = pd.DatetimeIndex(returns.index).tz_localize(None)
    return returns


def _benchmark(run: RunArtefacts) -> pd.Series | None:
    """Always a series: a name would make QuantStats download it."""
    return _daily_returns(run, "buy_and_hold").rename("Buy and hold") if "buy_and_hold" in run.equity else None


def _template(run: RunArtefacts) -> str:
    text = _TEMPLATE.read_text(encoding="utf-8")
    banner = '<p class="sample">SAMPLE: simulated market, not real prices</p>' if run.manifest.is_sample else ""
    return text.replace("[[banner]]", banner).replace("[[page_title]]", html.escape(f"{run.manifest.title} · tearsheet"))


def _page_without(run: RunArtefacts, reason: str) -> str:
    text = _template(run).replace("{{title}}", html.escape(run.manifest.title))
    text = text.replace("{{metrics}}", f"<p>No tearsheet: {html.escape(reason)}.</p>")
    head, _, _ = text.partition("<!-- charts -->")
    for name in ("date_range", "matched_dates", "params", "v", "eoy_title", "eoy_table", "dd_info"):
        head = head.replace("{{" + name + "}}", "")
    return head + "</main></body></html>\n"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """QuantStats prints, and pandas and matplotlib warn about the way it calls them; none of it concerns the reader of the page."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _import_quantstats() -> Any:
    """Import quantstats with fast, quiet drawing and without its download library."""
    import matplotlib as mpl

    mpl.use("svg")
    without_downloads = "yfinance" not in sys.modules
    if without_downloads:
        # QuantStats only needs it to turn ticker names into series, which must never happen here; it costs half a second to import.
        sys.modules["yfinance"] = types.ModuleType("yfinance")
        sys.modules["yfinance"].__version__ = "0.0.0"  # type: ignore[attr-defined]
    try:
        import quantstats
        import quantstats.reports
    finally:
        if without_downloads:
            del sys.modules["yfinance"]
    _draw_once()
    _label_each_bar()
    _know_arial()
    # Text as text: smaller pages, the reader's own fonts, and no outlines to compute.
    mpl.rcParams["svg.fonttype"] = "none"
    return quantstats


def _draw_once() -> None:
    """Let each figure be drawn once when it is saved, with fixed margins.

    Matplotlib would draw it three times for features that SVG files do not use, and measure every label to find the margins.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    def print_figure(self: Any, filename: Any, **_: Any) -> None:
        self.print_svg(filename)

    def draw(self: Any, *_: Any, **__: Any) -> None:
        return None

    def tight_layout(self: Any, **_: Any) -> None:
        height = self.get_figheight()
        self.subplots_adjust(left=0.09, right=0.98, bottom=0.65 / height, top=1 - 0.5 / height)

    for name, function in (("print_figure", print_figure), ("draw", draw), ("draw_idle", draw)):
        setattr(FigureCanvasSVG, name, function)
    setattr(Figure, "tight_layout", tight_layout)  # noqa: B010 - mypy rightly refuses to see a method assigned; it is meant


def _label_each_bar() -> None:
    """Fix the ticks before QuantStats names them: on free ticks its chart of years names each bar for the year after."""
    from matplotlib.axes import Axes
    from matplotlib.ticker import FixedLocator

    original = Axes.set_xticklabels

    def set_xticklabels(self: Any, labels: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(self.xaxis.get_major_locator(), FixedLocator):
            # Bars stand at whole numbers, the first one half a unit from the edge.
            first = math.ceil(self.get_xlim()[0])
            self.set_xticks(range(first, first + len(labels)))
        return original(self, labels, *args, **options)

    setattr(Axes, "set_xticklabels", set_xticklabels)  # noqa: B010 - as above


def _know_arial() -> None:
    """Let Arial, which QuantStats asks for by name, mean the nearest font there is; else each text is a search and a complaint."""
    from matplotlib import font_manager as fonts

    manager = fonts.fontManager
    known = {entry.name: entry for entry in manager.ttflist if entry.weight in (400, "normal", "regular") and entry.style == "normal"}
    if "Arial" in known:
        return
    nearest = known.get("Liberation Sans") or known["DejaVu Sans"]
    for weight in (400, 700):
        manager.ttflist.append(fonts.FontEntry(fname=nearest.fname, name="Arial", style="normal", weight=weight, size="scalable"))


def _serve(folders: list[str]) -> None:
    """Render the named folders, or import first, wait for one name on stdin and answer with one line."""
    os.nice(5)
    # A page or two are drawn and the process ends: collecting garbage would only cost time.
    gc.disable()
    with _quiet():
        _import_quantstats()
    for folder in folders or map(json.loads, filter(None, [sys.stdin.readline()])):
        sys.stdout.write(json.dumps(str(render_tearsheet(Path(folder)))) + "\n")


if __name__ == "__main__":
    _serve(sys.argv[1:])
