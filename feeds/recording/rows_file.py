"""Append-only CSV files: whole rows whatever stops the process, one file in all or one for each day, within a bound on the disk."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import StorageFull

_TAIL: Final = 65_536


class RowsFile:
    """One file with a header. A row that a kill cut off is cut away when it is opened again.

    Raises (all methods):
        StorageFull: the disk refused a write; whole rows before it are intact.
    """

    def __init__(self, path: Path, header: str) -> None:
        self.path = path
        self._header = header
        self._is_open = False

    def append(self, rows: Iterable[str]) -> None:
        """Add rows, given without line ends."""
        text = "".join(f"{row}\n" for row in rows)
        if not text:
            return
        try:
            if not self._is_open:
                self._open()
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)
        except OSError as error:
            raise StorageFull(f"{self.path} cannot be written ({error.strerror}); free some space, or look at its rights") from error

    def tail(self) -> list[str]:
        """The newest rows, oldest first. What a kill cut off is cut away."""
        if not self.path.is_file():
            return []
        self._cut_torn_row()
        with self.path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            text = file.read().decode("utf-8", errors="replace")
        return text.splitlines()[1:]  # the header, or a row whose begin is not there

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file():
            self._cut_torn_row()
        if not self.path.is_file() or not self.path.stat().st_size:
            self.path.write_text(f"{self._header}\n", encoding="utf-8")
        self._is_open = True

    def _cut_torn_row(self) -> None:
        with self.path.open("rb+") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL))
            tail = file.read()
            whole = tail.rfind(b"\n") + 1
            if whole < len(tail):
                file.truncate(size - len(tail) + whole)


class DailyFiles:
    """A file for each UTC day: `<folder>/<day>.csv`."""

    def __init__(self, folder: Path, header: str) -> None:
        self.folder = folder
        self._header = header
        self._file: RowsFile | None = None

    def append(self, rows: Iterable[str], at: datetime) -> None:
        """Add rows to the file of the day of `at`. Raises as `RowsFile`."""
        path = self.folder / f"{at:%Y-%m-%d}.csv"
        if self._file is None or self._file.path != path:
            self._file = RowsFile(path, self._header)
        self._file.append(rows)

    def tail(self) -> list[str]:
        """The newest rows of the newest day."""
        days = sorted(self.folder.glob("????-??-??.csv"))
        return RowsFile(days[-1], self._header).tail() if days else []


def prune(root: Path, most_bytes: int) -> int:
    """Remove the oldest days below `root` until the rest fits; today's files stay. Returns how many files went."""
    days = sorted(root.rglob("????-??-??.csv"), key=lambda path: path.stem)
    total, gone = sum(path.stat().st_size for path in root.rglob("*.csv")), 0
    for path in days:
        if total <= most_bytes or path.stem == days[-1].stem:
            break
        total -= path.stat().st_size
        path.unlink()
        gone += 1
    return gone
