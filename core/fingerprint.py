"""Hashes of values, equal for equal values in any process."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd


def of_arrays(*arrays: np.ndarray[Any, Any]) -> str:
    """Sha256 over shapes, types and bytes of the arrays, in order."""
    digest = hashlib.sha256()
    for array in arrays:
        data = np.ascontiguousarray(array)
        digest.update(f"{data.dtype.str}{data.shape}".encode())
        digest.update(data.view(np.uint8).data if data.size else b"")
    return digest.hexdigest()


def of_frame(frame: pd.DataFrame) -> str:
    """Sha256 over index, column names and values. Times are hashed as UTC nanoseconds, text as UTF-8."""
    digest = hashlib.sha256()
    for name, column in [("index", frame.index.to_series()), *((str(n), frame[n]) for n in frame.columns)]:
        digest.update(name.encode())
        digest.update(of_arrays(_plain(column)).encode())
    return digest.hexdigest()


def of_value(value: Any) -> str:
    """Sha256 of a JSON-like value; key order does not matter."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def of_record(record: Any) -> str:
    """Sha256 over all that a dataclass holds, down to the numbers of its tables and arrays.

    Raises:
        TypeError: it holds something of another kind, which no hash could tell from its like.
    """
    return of_value(_held(record))


def _held(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | Decimal | Enum | date | timedelta):
        return [type(value).__name__, str(value) if isinstance(value, Enum) else repr(value)]
    if isinstance(value, pd.DataFrame):
        return of_frame(value)
    if isinstance(value, np.ndarray):
        return of_arrays(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__qualname__, {field.name: _held(getattr(value, field.name)) for field in fields(value) if field.compare}]
    if isinstance(value, Mapping):
        return [[_held(key), _held(each)] for key, each in value.items()]
    if isinstance(value, Sequence):
        return [_held(each) for each in value]
    raise TypeError(f"a {type(value).__name__} has no fingerprint")


def _plain(column: pd.Series[Any]) -> np.ndarray[Any, Any]:
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return np.asarray(column.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(dtype="datetime64[ns]").astype(np.int64))
    if column.dtype.kind in "biuf":
        return np.asarray(column.to_numpy())
    # Absent text differs from empty text.
    text = "\x1f".join(column.astype(str).fillna("\x00")).encode()
    return np.frombuffer(text, dtype=np.uint8)
