"""A table as a file holds it: columns with names, whose meaning is not known yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from forwardtrader.feeds.candles.schema import Origin

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """Columns of equal length, in the order of the file.

    `names` has the header of each column, as many texts as the header has lines; none for a column without a name. With `has_header` false
    there is no header at all, and the order of the columns says what they are. Cells are text, numbers or times, as the file has them.
    `notes` say in one line each what was left out or decided on the way. `beside` has the short texts that stand beside the rows in a
    venue's answer, as its `symbol`.
    """

    names: tuple[tuple[str, ...], ...]
    columns: tuple[pa.Array, ...]
    origin: Origin
    has_header: bool = True
    notes: tuple[str, ...] = field(default=())
    beside: Mapping[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def listed(self) -> str:
        """The names of the columns, for messages."""
        return ", ".join(" ".join(part for part in name if part) or "(no name)" for name in self.names[:20])

    def noted(self, *notes: str) -> Table:
        """The same table with further notes."""
        return replace(self, notes=(*self.notes, *notes))

    def taken(self, rows: np.ndarray) -> Table:
        """Only these rows (numbers or flags of them)."""
        import numpy as np
        import pyarrow as pa

        places = np.flatnonzero(rows) if rows.dtype == bool else rows
        lines = self.origin.lines
        origin = Origin(self.origin.name, places + 1 if lines is None else lines[places])
        if lines is None:
            origin = Origin(self.origin.name, places + 1, counts="row")
        return replace(self, columns=tuple(column.take(pa.array(places)) for column in self.columns), origin=origin)
