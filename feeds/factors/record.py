"""The record of a factor that is fetched: an append-only table of what was said of which moment, and when it became known.

A row is never changed: a revision is another row about the same moment, which counts from its own `known_at` on. The file is a table of the
known form `timestamp, known_at, value` (`feeds.factors.files`), so that anything can read it; a row cut off by a kill is left out.

What a live session joined stays what a backtest joins: `seal` marks up to which moment bars were joined with this record, and no row
appended later counts as known at or before it. Both happen under one lock, among threads and processes alike.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.errors import StorageFull, StoreDamaged

HEADER: Final = "timestamp,known_at,value\n"
MOST_BYTES: Final = 256_000_000
_LOCK_SECONDS: Final = 10.0
_WIDTH: Final = 20  # digits of a sealed moment, and the line's end
_TICK: Final = 1000  # nanoseconds: the resolution of the times in a record


@dataclass(frozen=True)
class Fetched:
    """Rows of a source: values by the moment they describe, and where the source says it, when each was published.

    Attributes:
        describes, known_at: nanoseconds UTC; `known_at` is 0 where the source does not say it.
        refused: rows left out, since their time or value cannot be one.
    """

    describes: NDArray[np.int64]
    value: NDArray[np.float64]
    known_at: NDArray[np.int64]
    refused: int = 0

    @classmethod
    def of(cls, rows: list[tuple[int, float, int]], refused: int = 0) -> Fetched:
        """Of (describes, value, known_at)."""
        times, values, known = zip(*rows, strict=True) if rows else ((), (), ())
        return cls(np.array(times, np.int64), np.array(values, np.float64), np.array(known, np.int64), refused)


def stamped(nominal: NDArray[np.int64], now: int, sealed: tuple[int, int] | None, *, live: bool) -> NDArray[np.int64]:
    """When rows that are appended at `now` count as known; nanoseconds UTC. Pure.

    Args:
        nominal: when they were published, as far as that is known.
        sealed: the first and the last moment at which bars were joined; None before the first.
        live: somebody has been looking: what is new now was not there before.
    """
    arrival = now if sealed is None else max(now, sealed[1] + _TICK)
    late = np.zeros(len(nominal), np.bool_) if sealed is None else (nominal >= sealed[0]) & (nominal <= sealed[1])
    return np.where(late | live, np.maximum(nominal, arrival), nominal)


class FactorRecord:
    """One record, at `path`.

    Raises (all methods):
        StoreDamaged: another process holds it for too long.
        StorageFull: no room, or the record has outgrown all bounds; what was recorded is intact.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread = threading.Lock()
        self._size = -1
        self._newest: dict[int, float] = {}

    def append(self, found: Fetched, delay: timedelta, now: datetime, *, live: bool) -> int:
        """Add what is new or revised, of moments up to `now`; returns how many rows were added.

        Args:
            delay: how long after its moment a value is published where the source does not say so.
            live: as of `stamped`.
        """
        with self._held():
            self._load()
            at, lag = _nanoseconds(now), int(delay / timedelta(microseconds=1)) * _TICK
            moments = -(-found.describes // _TICK) * _TICK
            last = {said: n for n, said in enumerate(moments.tolist())}  # of several rows about one moment the last
            fresh = [n for said, n in last.items() if self._newest.get(said) != float(found.value[n])]
            describes, value, published = moments[fresh], found.value[fresh], found.known_at[fresh]
            revised = np.array([said in self._newest for said in describes.tolist()], np.bool_)
            nominal = np.maximum(np.where(published > 0, published, describes + lag), describes)
            known = stamped(nominal, at, self._sealed(), live=live)
            known = np.where(revised, np.maximum(known, stamped(nominal, at, self._sealed(), live=True)), known)
            order = np.lexsort((describes, known))
            self._write([_line(describes[n], known[n], value[n]) for n in order])
            self._newest.update(zip(describes.tolist(), value.tolist(), strict=True))
            return len(fresh)

    def seal(self, moment: datetime) -> None:
        """Bars that close at `moment` are about to be joined: what is appended from now on counts as known after it."""
        with self._held():
            at, sealed = _nanoseconds(moment), self._sealed()
            if sealed is not None and sealed[0] <= at <= sealed[1]:
                return
            first, last = (at, at) if sealed is None else (min(sealed[0], at), max(sealed[1], at))
            descriptor = os.open(self.path.with_suffix(".joined"), os.O_CREAT | os.O_WRONLY, 0o666)
            try:
                os.pwrite(descriptor, f"{first:019d}\n{last:019d}\n".encode(), 0)
            finally:
                os.close(descriptor)

    def newest(self) -> datetime | None:
        """The latest moment that a row describes."""
        with self._held():
            self._load()
            return max(map(_moment, self._newest), default=None)

    def _load(self) -> None:
        """The newest value of each moment; read again only where another process has written."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        if size == self._size:
            return
        self._newest = {}
        if size:
            table = read_record(self.path)
            times = pd.DatetimeIndex(table["timestamp"]).as_unit("ns").asi8
            self._newest = dict(zip(times.tolist(), table["value"].tolist(), strict=True))
            self._cut_torn_row()
        self._size = self.path.stat().st_size if self.path.is_file() else 0

    def _cut_torn_row(self) -> None:
        with self.path.open("rb+") as file:
            text = file.read()
            whole = text.rfind(b"\n") + 1
            if whole < len(text):
                file.truncate(whole)

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        text = "".join(lines) if self._size > 0 else HEADER + "".join(lines)
        if self._size + len(text) > MOST_BYTES:
            raise StorageFull(f"{self.path} would hold more than {MOST_BYTES // 1_000_000} MB; look at its source, or move the file away")
        try:
            with self.path.open("ab") as file:
                file.write(text.encode())
        except OSError as error:
            raise StorageFull(f"{self.path} cannot be written ({error.strerror}); free some space, or look at its rights") from error
        self._size = self.path.stat().st_size

    def _sealed(self) -> tuple[int, int] | None:
        with suppress(OSError, ValueError):
            text = self.path.with_suffix(".joined").read_text(encoding="ascii")
            return int(text[: _WIDTH - 1]), int(text[_WIDTH : 2 * _WIDTH - 1])
        return None

    @contextmanager
    def _held(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._thread, FileLock(self.path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
                yield
        except Timeout as error:
            raise StoreDamaged(f"{self.path} has been held by another process for {_LOCK_SECONDS:.0f} s; end that process") from error


def read_record(path: Path) -> pd.DataFrame:
    """The whole rows of a record: `timestamp` and `known_at` (UTC) and `value`, as they were appended; none where there is no file."""
    if not path.is_file() or not path.stat().st_size:
        return _table(pd.DataFrame({"timestamp": [], "known_at": [], "value": []}))
    data = path.read_bytes()
    lines = data[: data.rfind(b"\n") + 1].decode("utf-8", errors="replace")
    rows = [row for row in (line.split(",") for line in lines.splitlines()[1:]) if len(row) == 3]
    return _table(pd.DataFrame(rows, columns=["timestamp", "known_at", "value"]))


def _table(frame: pd.DataFrame) -> pd.DataFrame:
    times = {name: pd.to_datetime(frame[name], utc=True, format="ISO8601", errors="coerce") for name in ("timestamp", "known_at")}
    values = np.array([_number(text) for text in frame["value"].tolist()], dtype=np.float64)
    table = pd.DataFrame({**times, "value": values})
    sound = table.notna().all(axis=1) & np.isfinite(values) & (table["known_at"] >= table["timestamp"])
    return table.loc[sound].reset_index(drop=True)


def _number(text: str) -> float:
    """To the last bit, which the faster parsers of pandas do not promise."""
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _line(describes: np.int64, known_at: np.int64, value: np.float64) -> str:
    return f"{_text(int(describes))},{_text(int(known_at))},{float(value)!r}\n"


def _text(nanoseconds: int) -> str:
    return f"{_moment(nanoseconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def _moment(nanoseconds: int) -> datetime:
    return pd.Timestamp(-(-nanoseconds // _TICK) * _TICK, unit="ns", tz="UTC").to_pydatetime()


def _nanoseconds(moment: datetime) -> int:
    return pd.Timestamp(moment).as_unit("ns").value
