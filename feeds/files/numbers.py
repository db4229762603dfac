"""Numbers written by people and spreadsheets: decimal commas, thousands, currencies, K and M; each is read to its exact value.

Which of comma and point is the decimal mark is decided for the whole table: by a number that has both, or one that only one reading allows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid

if TYPE_CHECKING:
    import pyarrow as pa

Floats = np.ndarray[Any, np.dtype[np.float64]]
_MISSING: Final = frozenset(("", "nan", "null", "none", "na", "n/a", "n.a.", "-", "--", "\\n", "#n/a", "nat", "<na>", "."))
_SCALES: Final = {"k": "e3", "m": "e6", "b": "e9"}
_DROPPED: Final = re.compile(r"[\s\u00a0\u202f'’$€£¥]")
_POINT: Final = re.compile(
    r"[-+]?\d{1,2}(,\d{2})+,\d{3}(\.\d*)?|[-+]?\d{1,3}(,\d{3})+(\.\d*)?([eE][-+]?\d+)?|[-+]?\d*\.?\d+([eE][-+]?\d+)?|[-+]?\d+\.?"
)
_COMMA: Final = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d*)?([eE][-+]?\d+)?|[-+]?\d*,?\d+([eE][-+]?\d+)?|[-+]?\d+,?")
_SPACED: Final = re.compile(r"\d[\s\u00a0\u202f'’]\d")
_GROUPED: Final = re.compile(r"(?<!\d)\d{1,3}([\s\u00a0\u202f'’]\d{3})+(?!\d|[\s\u00a0\u202f'’]\d)")


def column_numbers(column: pa.Array, decimal: str = ".") -> Floats:
    """The values of a column; NaN for what is no number."""
    values, _ = _read(column, decimal)
    return values


def read_numbers(columns: Mapping[str, pa.Array], source: str) -> tuple[dict[str, Floats | np.ndarray[Any, Any]], tuple[str, ...]]:
    """The values of columns of one table. A column with something in it that is no number comes back with that text in its place.

    Raises:
        CandleFileInvalid: commas may be decimal marks or thousands.
    """
    plain = {name: _plain(column) for name, column in columns.items()}
    if all(values is not None for values in plain.values()):
        return {name: values for name, values in plain.items() if values is not None}, ()
    decimal = _decimal_mark([column for name, column in columns.items() if plain[name] is None], source)
    read = {name: _read(column, decimal) for name, column in columns.items()}
    notes = []
    if decimal == ",":
        notes.append("decimal commas")
    if any(re.search(r"\d\s?[kmbKMB]$", text) for name, column in columns.items() if plain[name] is None for text in _samples(column)):
        notes.append("numbers with K, M or B, rounded in the file itself")
    return {name: values if not wrong else _with_text(values, columns[name], wrong) for name, (values, wrong) in read.items()}, tuple(notes)


def _plain(column: pa.Array) -> Floats | None:
    """Values of a column that needs no reading of ours."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        try:
            return _array(pc.cast(column, pa.float64()))
        except pa.ArrowInvalid:
            return None
    if pa.types.is_temporal(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
        return None
    if pa.types.is_decimal(kind):
        column = column.cast(pa.string())  # by way of its digits: arrow's own way to floats is off by their last one
    try:
        return _array(column.cast(pa.float64(), safe=False))
    except pa.ArrowException:
        return None


def _array(column: pa.Array) -> Floats:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _texts(column: pa.Array) -> list[str]:
    return ["" if value is None else str(value) for value in column.to_pylist()]


def _samples(column: pa.Array) -> list[str]:
    return _texts(column.slice(0, 1000))


def _read(column: pa.Array, decimal: str) -> tuple[Floats, tuple[int, ...]]:
    """Values, and the rows whose text is no number."""
    plain = _plain(column)
    if plain is not None:
        return plain, ()
    known: dict[str, float | None] = {}
    values, wrong = np.empty(len(column)), []
    for row, text in enumerate(_texts(column)):
        if text not in known:
            known[text] = _number(text, decimal)
        value = known[text]
        if value is None:
            wrong.append(row)
        values[row] = np.nan if value is None else value
    return values, tuple(wrong)


def _number(text: str, decimal: str) -> float | None:
    bare = _DROPPED.sub("", text)
    if bare.lower() in _MISSING:
        return float("nan")
    if _SPACED.search(text.strip()) and not _GROUPED.search(text.strip()):
        return None
    scale = _SCALES.get(bare[-1:].lower(), "")
    if scale:
        bare = bare[:-1]
    if not (_COMMA if decimal == "," else _POINT).fullmatch(bare):
        return None
    whole = bare.replace(".", "").replace(",", ".") if decimal == "," else bare.replace(",", "")
    return float(whole + scale) if not scale or "e" not in whole.lower() else None


def _with_text(values: Floats, column: pa.Array, wrong: tuple[int, ...]) -> np.ndarray[Any, Any]:
    mixed = values.astype(object)
    for row in wrong:
        mixed[row] = column[row].as_py()
    return mixed


def _decimal_mark(columns: list[pa.Array], source: str) -> str:
    """`,` or `.`: the one mark that all numbers of the table allow."""
    doubtful = ""
    votes = set()
    for column in columns:
        for text in dict.fromkeys(_texts(column)):
            bare = _DROPPED.sub("", text)
            scaled = bare[:-1] if bare[-1:].lower() in _SCALES else bare
            if "," not in scaled:
                if scaled.count(".") > 1:
                    votes.add(",")
                continue
            point, comma = bool(_POINT.fullmatch(scaled)), bool(_COMMA.fullmatch(scaled))
            if point and comma:
                doubtful = doubtful or text
            elif point or comma:
                votes.add("." if point else ",")
    if len(votes) > 1:
        raise CandleFileInvalid(f"{source}: commas are decimal marks in some numbers and thousands in others; write 1234.5")
    if not votes and doubtful:
        raise CandleFileInvalid(f"{source}: {doubtful!r} may have a decimal comma or a comma of thousands; write 1234.5")
    return votes.pop() if votes else "."
