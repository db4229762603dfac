"""`python -m reports compare A B`: runs side by side on the terminal, or as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from forwardtrader.core import log
from forwardtrader.core.command.terminal import print_table
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import RunUnreadable
from forwardtrader.reports.runs.comparison import Comparison, Line, compare
from forwardtrader.reports.runs.listing import RunListing


def compare_runs(given: argparse.Namespace) -> int:
    """The command, once its flags are read; the first of `given.folders` is the word itself.

    Raises:
        RunUnreadable: as `compare`, or the runs do not lie in one folder.
    """
    names = [str(path) for path in given.folders[1:]]
    output, runs = _placed(names, Path(load_settings().reports.output))
    found = compare(RunListing(output), runs)
    if given.json:
        sys.stdout.write(log.redact(json.dumps(asdict(found), indent=1, default=str)) + "\n")
    else:
        show(found, Console(highlight=False))
    return 0


def _placed(names: Sequence[str], output: Path) -> tuple[Path, list[str]]:
    """The folder that holds the runs, and their names in it: they may be typed as paths."""
    from forwardtrader.core.command.project import typed_path

    folders = {typed_path(name).resolve().parent if "/" in name else output.resolve() for name in names}
    if len(folders) > 1:
        raise RunUnreadable("the runs lie in different folders; name runs of one")
    return next(iter(folders), output), [Path(name).name for name in names]


def show(found: Comparison, console: Console) -> None:
    """Print the comparison."""
    for number, run in enumerate(found.runs, 1):
        days = f"{run.first:%Y-%m-%d} to {run.last:%Y-%m-%d}" if run.first and run.last else "days not known"
        console.print(f"[bold]{number}[/]  {escape(run.name)}  [dim]{days}  {escape(run.folder)}[/]", soft_wrap=True)
    if found.note:
        console.print(found.note, style="yellow")
    for title, lines in (("", found.numbers), ("on the days in common", found.common), ("settings that differ", found.settings)):
        if lines:
            console.print(f"\n[bold]{title}[/]" if title else "")
            print_table(console, _table(lines, len(found.runs)))


def _table(lines: Sequence[Line], runs: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for number in range(1, runs + 1):
        table.add_column(str(number), justify="right", overflow="fold")
    for line in lines:
        table.add_row(escape(line.label), *map(escape, line.values))
    return table
