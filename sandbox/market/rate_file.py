"""Funding rates from a file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import CandleFileInvalid

_HEADERS: Final = (["timestamp", "rate"], ["timestamp", "funding_rate"])


def funding_rates(path: Path, shift: int = 0) -> list[tuple[int, Decimal]]:
    """Read `timestamp,rate`: settlement times, ISO 8601 UTC or milliseconds, moved by `shift` milliseconds, and the share that longs pay.

    Raises:
        CandleFileInvalid: the file is missing, not of that form, or its times do not rise.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rates = [(at + shift, rate) for at, rate in _read(csv.reader(lines), path)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CandleFileInvalid(f"funding file {path} cannot be read: {error}") from error
    return rates


def _read(rows: Iterator[list[str]], path: Path) -> Iterator[tuple[int, Decimal]]:
    if [cell.strip().lower() for cell in next(rows, [])] not in _HEADERS:
        raise CandleFileInvalid(f"funding file {path} must begin with the line timestamp,rate")
    before = -1
    for number, row in enumerate(rows, start=2):
        try:
            at, rate = _moment(row[0]), Decimal(row[1])
        except (ValueError, InvalidOperation, IndexError) as error:
            raise CandleFileInvalid(f"funding file {path} line {number}: {','.join(row)!r} is not a funding rate") from error
        if at <= before or not rate.is_finite() or abs(rate) >= 1:
            raise CandleFileInvalid(f"funding file {path} line {number}: times must rise, and rates are shares between -1 and 1")
        before = at
        yield at, rate


def _moment(text: str) -> int:
    return int(text) if text.isdigit() else int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)
