"""Tables of text: separators, headers, comments, footers and rows.

What stands where is found by what the lines hold: a row of data has at least four numbers, the header is what stands right above the first
one, and a last line of words is a footer. pyarrow splits the rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV
from forwardtrader.feeds.bounds import MOST_COLUMNS, lines_of, too_large
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_SEPARATORS: Final = ("\t", ";", "|", ",")
_LEAST_FIELDS: Final = 5
_LEAST_NUMBERS: Final = 4
_MOST_HEADING: Final = 30  # lines above the first row of data
_MOST_FOOTER: Final = 8
_NUMBER: Final = re.compile(r"[-+]?[$€£¥]?\s?\d[\d.,' \u00a0\u202f]*(e[-+]?\d+)?\s?[kmb%]?", re.IGNORECASE)
_COMMENT: Final = ("#", "//", "%")
_MONTH: Final = re.compile(r"\W*(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun)", re.IGNORECASE)
_WHOLE: Final = re.compile(r"[1-9]\d{9,17}")  # a unix time: as a float it would lose digits
_DECIMAL: Final = re.compile(r"-?(0|[1-9]\d{0,9})(\.\d+)?|-?(0|[1-9]\d*)\.\d+")
_HOUR: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")


Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class _Layout:
    """Where the parts of a text are: numbers of lines, from 0."""

    separator: str
    header: tuple[int, ...]
    body: Rows
    notes: tuple[str, ...]


def text_table(text: str, name: str, path: Path) -> Table:
    """The table in a text.

    Raises:
        CandleFileInvalid: there is none, or its rows have unequal numbers of fields; the message has the line.
    """
    lines = lines_of(text, path)
    filled = _filled(text, lines)
    if not len(filled):
        raise CandleFileInvalid(f"{name}: the file is empty; get it again")
    separator = _separator(lines, filled, path)
    if not separator:
        lines, separator = _spaced(lines), "\t"
    layout = _layout(text, lines, filled, separator, name)
    header = [_fields(lines[number], separator) for number in layout.header]
    width = _width(lines, layout, header, name)
    names = _names(header, width, lines[int(layout.body[0])], separator)
    columns = _split(lines, layout, width, name)
    return Table(names, columns, Origin(name, layout.body + 1), has_header=bool(header), notes=layout.notes)


def _filled(text: str, lines: Sequence[str]) -> Rows:
    """Numbers of the lines that are not blank. Most texts have no blank line, which is seen without a look at each."""
    usual_breaks = len(lines) == text.count("\n") + (not text.endswith("\n"))
    if usual_breaks and not text[:1].isspace() and not any(mark in text for mark in ("\n\n", "\n\r", "\n ", "\n\t", "\n\u00a0")):
        return np.arange(len(lines), dtype=np.int64)
    return np.array([number for number, line in enumerate(lines) if line and not line.isspace()], dtype=np.int64)


def _separator(lines: Sequence[str], filled: Rows, path: Path) -> str:
    """The separator of the first line that has enough of one; decimal commas come after semicolons and tabs."""
    for number in filled[:_MOST_HEADING].tolist():
        line = lines[number]
        for mark in _SEPARATORS:
            if (count := line.count(mark)) >= _LEAST_FIELDS - 1:
                if count >= MOST_COLUMNS:
                    raise too_large(path, f"it has more than {MOST_COLUMNS:,} columns")
                return mark
    return ""


def _spaced(lines: Sequence[str]) -> list[str]:
    """Columns that stand under each other, one tab between them."""
    return [re.sub(r"[ \t]+", "\t", line.strip()) for line in lines]


def _fields(line: str, separator: str) -> list[str]:
    if '"' in line:
        return [field.strip() for field in next(csv.reader([line], delimiter=separator))]
    return [field.strip() for field in line.split(separator)]


def _is_data(fields: Sequence[str]) -> bool:
    return sum(_NUMBER.fullmatch(field) is not None for field in fields) >= _LEAST_NUMBERS


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(_COMMENT)


def _layout(text: str, lines: Sequence[str], filled: Rows, separator: str, name: str) -> _Layout:
    heading, first = _heading(lines, filled, separator)
    if not heading and first == len(filled):
        raise CandleFileInvalid(f"{name}: no table of candles in it; needed is a header timestamp,{','.join(OHLCV)}, and rows below it")
    header = [number for number in heading if not _is_comment(lines[number])] or _commented_header(lines, heading, separator)
    body, notes = _body(text, lines, filled[first:], separator, [lines[number].strip() for number in header])
    if not len(body):
        raise CandleFileInvalid(f"{name}: no rows below the header; get the file again")
    return _Layout(separator, tuple(header), body, notes)


def _heading(lines: Sequence[str], filled: Rows, separator: str) -> tuple[list[int], int]:
    """Lines that head the table, and the position in `filled` of the first row."""
    heading: list[int] = []
    for position, number in enumerate(filled[:_MOST_HEADING].tolist()):
        line = lines[number]
        if line.count(separator) >= _LEAST_FIELDS - 1:
            fields = _fields(line, separator)
            if not _is_comment(line) and (_is_data(fields) or (heading and not _continues(fields[0]))):
                return heading, position
            heading.append(number)
        elif heading and not _is_comment(line):
            return heading, position
    return heading, min(len(filled), _MOST_HEADING)


def _continues(first: str) -> bool:
    """Whether a line below a header may be a further line of it: it begins with a word, or with nothing."""
    return not first or first[0].isalpha() or first[0] in "<["


def _commented_header(lines: Sequence[str], heading: list[int], separator: str) -> list[int]:
    """A header behind a mark of comments, where there is no other."""
    named = [number for number in heading if {"open", "close"} <= {f.strip().lower() for f in lines[number].split(separator)}]
    return named[-1:]


def _body(text: str, lines: Sequence[str], rows: Rows, separator: str, header: list[str]) -> tuple[Rows, tuple[str, ...]]:
    """The lines of data, and what was left out among them."""
    notes = []
    if f"\n{separator * 2}" in text or f'\n""{separator}' in text:  # a spreadsheet writes its empty lines too
        rows = np.array([n for n in rows.tolist() if lines[n].strip(f'{separator}" ')], dtype=np.int64)
    end = _footer(lines, rows, separator)
    if end < len(rows):
        notes.append(f"footer left out: {lines[int(rows[end])].strip()[:60]!r}")
        rows = rows[:end]
    if header and any(text.count(line) > 1 for line in header):
        start = header[-1][:3]
        again = [place for place, n in enumerate(rows.tolist()) if lines[n].startswith(start) and lines[n].strip() in header]
        if again:
            notes.append(f"header repeated in {_counted(len(again), 'further line')}, left out")
            rows = np.delete(rows, again)
    comments = any(f"\n{mark}" in text for mark in (*_COMMENT, " ")) and [
        place for place, n in enumerate(rows.tolist()) if lines[n][0] in "#/% " and _is_comment(lines[n])
    ]
    if comments:
        notes.append(f"{_counted(len(comments), 'comment')} among the rows left out")
        rows = np.delete(rows, comments)
    return rows, tuple(notes)


def _footer(lines: Sequence[str], rows: Rows, separator: str) -> int:
    """Position of the first of the last lines that are words and no data; the number of rows where there are none."""
    end = len(rows)
    while end > max(0, len(rows) - _MOST_FOOTER):
        line = lines[int(rows[end - 1])]
        fields = _fields(line, separator) if line.count('"') % 2 == 0 else [line]
        words = fields[0][:1].isalpha() and not _MONTH.match(fields[0]) and len(re.findall(r"[^\W\d]", fields[0])) >= 3
        if _is_comment(line) or (words and not _is_data(fields)):
            end -= 1
        else:
            break
    return end


def _width(lines: Sequence[str], layout: _Layout, header: list[list[str]], name: str) -> int:
    """How many fields each row has: as many as the header, or one more in every row. Raises CandleFileInvalid where the first differs."""
    row = lines[int(layout.body[0])]
    found, named = len(_fields(row, layout.separator)), max(map(len, header), default=0)
    if not header:
        return found
    if found == named + 1 and (len(layout.body) > 1 or row.rstrip(" ").endswith(layout.separator)):
        return found
    if found != named:
        _refuse_unequal(lines, layout, named, name)
    return named


def _refuse_unequal(lines: Sequence[str], layout: _Layout, width: int, name: str) -> None:
    """Raise CandleFileInvalid for the first row that has another number of fields, if there is one."""
    body = layout.body.tolist()
    for place, number in enumerate(body):
        line = lines[number]
        found = len(_fields(line, layout.separator)) if line.count('"') % 2 == 0 else 0
        if found and found != width:
            hint = "the file is cut short, get it again" if place == len(body) - 1 and found < width else "correct or remove the row"
            raise CandleFileInvalid(f"{name}, line {number + 1}: {found} fields where {width} are expected; {hint}")


def _names(header: list[list[str]], width: int, first_row: str, separator: str) -> tuple[tuple[str, ...], ...]:
    """The header of each column. Where rows have one field more, it is empty at their end or has no name at their start."""
    row = _fields(first_row, separator)
    padded = []
    for line in header:
        line = list(line)
        if len(line) == width - 1 and not row[-1]:
            line.append("")
        elif len(line) == width - 1:
            line = [line[0], "time", *line[1:]] if _HOUR.fullmatch(row[1]) else ["", *line]
        padded.append(line + [""] * (width - len(line)))
    padded[:1] = [[name.lstrip("#/% ") for name in line] for line in padded[:1]]
    return tuple(tuple(line[place] for line in padded) for place in range(width))


def _split(lines: Sequence[str], layout: _Layout, width: int, name: str) -> tuple[pa.Array, ...]:
    import pyarrow as pa

    first, last = int(layout.body[0]), int(layout.body[-1])
    chosen = lines[first : last + 1] if last - first + 1 == len(layout.body) else [lines[number] for number in layout.body.tolist()]
    data = "\n".join(chosen).encode()
    texts = [pa.string()] * width
    try:
        try:
            table = _parsed(data, layout.separator, [_kind(field) for field in _fields(chosen[0], layout.separator)])
        except pa.ArrowInvalid:  # a cell that is no plain number; which one matters, and what it means, is found out later
            table = _parsed(data, layout.separator, texts)
    except pa.ArrowException as error:
        _refuse_unequal(lines, layout, width, name)
        raise CandleFileInvalid(f"{name}: rows of unequal length, or a quote without its end; get the file again") from error
    if table.num_rows != len(chosen) or table.num_columns != width:
        raise CandleFileInvalid(f"{name}: a quote without its end, or a line break within one; get the file again")
    return tuple(column.combine_chunks() for column in table.columns)


def _kind(field: str) -> pa.DataType:
    """The type of a column whose first cell is this: plain numbers are read as such at once, which is twice as fast as by way of texts."""
    import pyarrow as pa

    if _WHOLE.fullmatch(field):
        return pa.int64()
    return pa.float64() if _DECIMAL.fullmatch(field) else pa.string()


def _parsed(data: bytes, separator: str, kinds: Sequence[pa.DataType]) -> pa.Table:
    import pyarrow.csv as arrow_csv

    keys = [str(place) for place in range(len(kinds))]
    return arrow_csv.read_csv(
        io.BytesIO(data),
        read_options=arrow_csv.ReadOptions(column_names=keys),
        parse_options=arrow_csv.ParseOptions(delimiter=separator),
        convert_options=arrow_csv.ConvertOptions(column_types=dict(zip(keys, kinds, strict=True)), strings_can_be_null=False),
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
