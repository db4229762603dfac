"""What people see on a terminal, however narrow it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

_NARROWEST: Final = 20
_ANY_WIDTH: Final = 10_000


def ignore_no_width() -> None:
    """Leave the width to the terminal where COLUMNS says 0, as services and containers do: nothing would be printed within it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) < _NARROWEST:
        del os.environ["COLUMNS"]


class _Wide:
    """A table that is drawn in a width of its own, whatever that of the console."""

    def __init__(self, table: Table, width: int) -> None:
        self._table, self._width = table, width

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._table, options.update(width=self._width))


def print_table(console: Console, table: Table) -> None:
    """Print a table whose lines are as long as its longest words need: a narrow terminal breaks them, and no cell loses a part."""
    options = console.options.update(max_width=_ANY_WIDTH)
    for column in table.columns:
        sizes = [console.measure(cell, options=options) for cell in (column.header, *column.cells)]
        column.min_width = max(size.maximum if column.no_wrap else size.minimum for size in sizes)
    console.print(_Wide(table, max(console.width, console.measure(table, options=options).minimum)), crop=False)
