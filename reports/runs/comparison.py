"""Two or more runs side by side: what they scored, what they were told, and their equity over each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports import manifest
from forwardtrader.reports.artefacts import EQUITY, empty_equity, read_table
from forwardtrader.reports.manifest import RunManifest
from forwardtrader.reports.pages.charts import keep_extremes
from forwardtrader.reports.pages.formats import DASH, count, number, percent, probability, setting, signed_percent
from forwardtrader.reports.runs.listing import RunKind, RunListing, RunRow
from forwardtrader.reports.runs.own_settings import strategy_of
from forwardtrader.reports.statistics import metrics

MOST: Final = 6  # runs beside each other
_POINTS: Final = 700  # of a curve, which is about what a screen can show
_LEFT_OUT: Final = {"reports", "live"}
_NUMBERS: Final[tuple[tuple[str, str, Callable[[Any], str]], ...]] = (
    ("total_return", "Net return", signed_percent), ("cagr", "A year", signed_percent), ("sharpe", "Sharpe ratio", number),
    ("sortino", "Sortino ratio", number), ("max_drawdown", "Largest drawdown", percent), ("volatility", "Volatility", percent),
    ("dsr", "Deflated Sharpe", probability), ("trials", "Trials counted", count), ("trades", "Round trips", count),
    ("win_rate", "Won", percent), ("turnover", "Turnover a year", number), ("exposure", "Exposure", percent), ("fees", "Fees", number),
    ("slippage", "Slippage", number), ("break_even_bps", "Break-even cost, bp", number),
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One line of the comparison: a value of each run, as text; `differs` where they are not all the same."""

    label: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Curve:
    """The growth of an account since its first bar, thinned out with all highs and lows: milliseconds UTC, and 0.1 for ten per cent."""

    times: tuple[int, ...]
    growth: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other, in the order they were named.

    Attributes:
        numbers: of all the time that each of them traded.
        common: the same days of all of them; empty where they traded the same anyway, or had no day in common.
        settings: those that differ.
        note: why their numbers do not tell which is better; "" where nothing speaks against it.
    """

    runs: tuple[RunRow, ...]
    numbers: tuple[Line, ...]
    common: tuple[Line, ...]
    settings: tuple[Line, ...]
    curves: tuple[Curve, ...]
    note: str = ""


def compare(listing: RunListing, names: Sequence[str]) -> Comparison:
    """Read and compare runs.

    Args:
        names: of their folders, or how those begin.

    Raises:
        RunUnreadable: fewer than two are named or more than six, one is not there or is no backtest, or cannot be read.
    """
    if not 2 <= len(names) <= MOST:
        raise RunUnreadable(f"{len(names)} runs are named; name two to {MOST}")
    rows = listing.rows()
    runs = tuple(_chosen(rows, name, listing.output) for name in names)
    if len({run.folder for run in runs}) < len(runs):
        raise RunUnreadable("a run is named twice; name each one once")
    manifests = [manifest.read(listing.output / run.folder) for run in runs]
    equities = [_equity(listing.output / run.folder) for run in runs]
    common = _common(equities)
    return Comparison(
        runs=runs, numbers=tuple(_numbers(manifests)), common=tuple(_on_common_days(manifests, common)),
        settings=tuple(_settings(manifests)), curves=tuple(map(curve, equities)), note=_note(runs, manifests, common),
    )  # fmt: skip


def _chosen(rows: Sequence[RunRow], name: str, output: Path) -> RunRow:
    found = [row for row in rows if row.folder == name] or [row for row in rows if name and row.folder.startswith(name)]
    if len(found) != 1:
        raise RunUnreadable(f"{len(found) or 'no'} runs in {output} begin with {name!r}; name one as `forwardtrader serve` lists it")
    if found[0].trouble:
        raise RunUnreadable(found[0].trouble)
    if found[0].kind is not RunKind.BACKTEST:
        raise RunUnreadable(f"{found[0].folder} is the folder of a whole {found[0].kind}; name the run of a backtest")
    return found[0]


def _equity(folder: Path) -> pd.Series:
    return read_table(folder / EQUITY, empty_equity())["equity"]


def _numbers(manifests: Sequence[RunManifest]) -> list[Line]:
    verdicts = Line("Verdict", tuple(str(each.verdict or DASH) for each in manifests))
    lines = [
        Line(label, tuple(form(getattr(each.strategy, key)) if each.strategy else DASH for each in manifests))
        for key, label, form in _NUMBERS
    ]
    return [verdicts, *(line for line in lines if set(line.values) != {DASH})]


def _common(equities: Sequence[pd.Series]) -> list[pd.Series]:
    """Equity of the days that all have, a value a day; none where all traded the same days."""
    daily = [metrics.daily(each) for each in equities]
    shared = daily[0].index
    for each in daily[1:]:
        shared = shared.intersection(each.index)
    return [] if all(len(each) == len(shared) for each in daily) else [each.loc[shared] for each in daily]


def _on_common_days(manifests: Sequence[RunManifest], common: Sequence[pd.Series]) -> list[Line]:
    if not common or len(common[0]) < 2:
        return []
    returns = [metrics.returns_of(each) for each in common]
    years = [run.data.periods_per_year for run in manifests]
    sharpe = [metrics.sharpe(each, year) for each, year in zip(returns, years, strict=True)]
    return [
        Line("Net return", tuple(signed_percent(metrics.total_return(each)) for each in returns)),
        Line("Sharpe ratio", tuple(map(number, sharpe))),
        Line("Largest drawdown", tuple(percent(metrics.max_drawdown(each)) for each in common)),
    ]


def _settings(manifests: Sequence[RunManifest]) -> list[Line]:
    flat = [_flat(each) for each in manifests]
    keys = list(dict.fromkeys(key for each in flat for key in each))
    lines = [Line(key, tuple(setting(each.get(key)) for each in flat)) for key in keys]
    return [line for line in lines if line.differs]


def _flat(run: RunManifest) -> dict[str, Any]:
    told = {"strategy": strategy_of(run.command) or "LSTMStrategy", "code": run.git}
    rooms = {room: held for room, held in run.config.items() if room not in _LEFT_OUT and isinstance(held, dict)}
    return told | {f"{room}.{key}": value for room, held in rooms.items() for key, value in held.items()}


def curve(equity: pd.Series) -> Curve:
    """An account's growth, thinned out to what a screen can show."""
    values = equity.to_numpy(dtype=np.float64)
    if not len(values) or not values[0] > 0:
        return Curve((), ())
    kept = keep_extremes([values], _POINTS)
    times = pd.DatetimeIndex(equity.index).as_unit("ms").asi8[kept]
    return Curve(tuple(times.tolist()), tuple(np.round(values[kept] / values[0] - 1.0, 6).tolist()))


def _note(runs: Sequence[RunRow], manifests: Sequence[RunManifest], common: Sequence[pd.Series]) -> str:
    prints = [{s: d.fingerprint for s, d in each.data.symbols.items()} for each in manifests]
    parts = ["One is on simulated prices and one is not."] if len({run.is_sample for run in runs}) > 1 else []
    parts += ["They did not trade the same symbols."] if len({frozenset(each) for each in prints}) > 1 else []
    if common:
        days = len(common[0])
        parts += [f"They traded different days, {days:,} in common." if days else "They have no day in common."]
    return " ".join(parts)
