"""Terminal report of a finished run: the verdict, the scores beside their baselines, the account beside holding."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from forwardtrader.backtest.job import FinishedRun
from forwardtrader.core import p_values
from forwardtrader.core.command import answer
from forwardtrader.core.command.terminal import print_table
from forwardtrader.core.types import Verdict
from forwardtrader.reports.manifest import RunManifest, StrategySummary, to_json
from forwardtrader.reports.pages.formats import limits
from forwardtrader.reports.sections.forecasts import ForecastScores, SymbolForecast
from forwardtrader.reports.sections.importance import ImportanceSection

# As short as they must be for tables to fit 80 columns.
SHORT = {
    "buy_and_hold": "buy and hold",
    "volatility_targeted": "vol. target",
    "random_entries": "at random",
    "shifted_forecasts": "shifted",
}
SHOWN_FEATURES = 5
STYLES = {Verdict.EDGE: "bold green", Verdict.NO_EDGE: "bold red", Verdict.NOT_ENOUGH_DATA: "bold yellow"}


def report(run: FinishedRun, console: Console, *, as_json: bool, quiet: bool) -> None:
    """Print the run's `run.json` or its summary."""
    if as_json:
        answer.write(to_json(run.artefacts.manifest))
    elif not quiet:
        show(run, console)


def show(run: FinishedRun, console: Console) -> None:
    """Print the summary of a run."""
    manifest = run.artefacts.manifest
    if manifest.is_sample:
        console.print(Panel("SAMPLE: simulated candles, not a market. No number here is about real prices.", style="bold magenta"))
    for symbol, forecast in manifest.forecast.items():
        print_table(console, _scores(symbol, forecast))
    if manifest.importance is not None:
        _importance(manifest.importance, console)
    print_table(console, _accounts(manifest))
    if manifest.limits is not None:
        console.print(limits(manifest.limits), style="yellow" if manifest.limits.count or manifest.limits.refused else "")
    _verdict(manifest, console)
    seconds = manifest.timing_s.get("total")
    console.print(f"\n{run.page}   [dim]{seconds:.1f} s[/dim]" if seconds is not None else f"\n{run.page}", soft_wrap=True)


def _verdict(manifest: RunManifest, console: Console) -> None:
    if manifest.verdict is None:
        return
    console.print(f"\nVerdict: [{STYLES[manifest.verdict]}]{manifest.verdict.upper()}[/]")
    _list(manifest.verdict_reasons, console, "")
    _list(manifest.alarms, console, "bold yellow")


def _list(lines: Iterable[str], console: Console, style: str) -> None:
    for line in lines:
        console.print(f"  - {line}", style=style)


def _scores(symbol: str, forecast: SymbolForecast) -> Table:
    headers = ("", "n", "rank IC", "hit rate", "top 10%", "skill", "90% band", "DM p")
    table = _table(f"Forecasts of {symbol}, out of sample", headers)
    if forecast.lstm is not None:
        table.add_row(forecast.name, *_score_cells(forecast.lstm), "", style="bold")
    for name, scores in forecast.baselines.items():
        test = forecast.diebold_mariano.get(name)
        table.add_row(name, *_score_cells(scores), p_values.shown(test.p if test else None))
    return table


def _score_cells(scores: ForecastScores) -> list[str]:
    return [
        f"{scores.n:,}",
        _number(scores.rank_ic, "{:.3f}"),
        _number(scores.accuracy, "{:.1%}"),
        _number(scores.accuracy_top10, "{:.1%}"),
        _number(scores.loss_skill, "{:+.2%}"),
        _number(scores.coverage_90, "{:.1%}"),
    ]


def _importance(found: ImportanceSection, console: Console) -> None:
    """The five features that add the most, and how many add nothing."""
    headers = ("", "loss without it", "95% interval", "p", "rank IC")
    table = _table(f"What features add, out of sample ({found.bars:,} bars)", headers)
    for row in found.features[:SHOWN_FEATURES]:
        low, high = row.loss_ci or (None, None)
        within = f"{_number(low, '{:+.2%}')} .. {_number(high, '{:+.2%}')}"
        cells = (_number(row.loss, "{:+.2%}"), within, p_values.shown(row.p), _number(row.rank_ic, "{:+.3f}"))
        table.add_row(row.name, *cells, style="" if row.adds else "dim")
    print_table(console, table)
    idle = sum(not row.adds for row in found.features)
    console.print(f"{idle} of {len(found.features)} features add nothing by themselves that can be told from chance. {found.sentence}")
    for row in found.refit:
        console.print(f"  trained anew without {row.name}: loss {_number(row.loss, '{:+.2%}')}, p {p_values.shown(row.p)}")
    for group, why in found.left_out.items():
        console.print(f"  not trained anew without {group}: {why}", style="yellow", soft_wrap=True, markup=False)


def _accounts(manifest: RunManifest) -> Table:
    headers = ("", "return", "CAGR", "Sharpe", "drawdown", "vol.", "trades", "turns", "held")
    table = _table("\nThe account, after costs", headers)
    rows = {"strategy": manifest.strategy} if manifest.strategy else {}
    for name, summary in {**rows, **manifest.benchmark}.items():
        table.add_row(SHORT.get(name, name.replace("_", " ")), *_account_cells(summary), style="bold" if name == "strategy" else "")
    return table


def _account_cells(summary: StrategySummary) -> list[str]:
    return [
        _gain(summary.total_return),
        _gain(summary.cagr),
        _number(summary.sharpe, "{:.2f}"),
        _number(summary.max_drawdown, "{:.1%}"),
        _number(summary.volatility, "{:.1%}"),
        f"{summary.trades:,}",
        _number(summary.turnover, "{:.1f}x"),
        _number(summary.exposure, "{:.0%}"),
    ]


def _table(title: str, headers: Iterable[str]) -> Table:
    """A table without frames: names to the left, numbers to the right, none of them broken into lines."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, justify="right" if header else "left", no_wrap=True)
    return table


def _gain(value: float | None) -> str:
    return _number(value, "{:+.1%}" if value is None or abs(value) < 10 else "{:+,.0%}")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
