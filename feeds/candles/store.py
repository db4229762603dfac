"""The candle store: one append-only Parquet file per venue, symbol and timeframe.

A file is replaced as a whole or not at all, carries a checksum of its values and of its own description, and is written under a lock, so
neither a kill nor a second process leaves half a file. One that fails its checksum is set aside as `*.damaged-<time>` and never read.
The store holds real candles only: the sample market is computed anew each time and has no way in.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import numpy as np
import pandas as pd

from forwardtrader.core import log
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import CandleFileInvalid, StoreDamaged
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.file import FileDamaged, Stored, StoredInfo, read_file, write_file
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.flags import candles_parser

MARK: Final = "mark"  # the kind of candles of the mark price
_LOCK_SECONDS: Final = 120.0
_LOG: Final = log.logger("feeds")


@dataclass(frozen=True)
class CandleKey:
    """What one file holds: candles of the last price, or of a `kind` of their own ("mark")."""

    venue: str
    symbol: str
    timeframe: Timeframe
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.venue} {self.symbol} {self.timeframe}{f' {self.kind}' if self.kind else ''}"


class CandleStore:
    """Candles under `root/<venue>/<symbol>/<timeframe>.parquet`; those of another kind in a folder of its name beside them."""

    def __init__(self, root: Path | str, clock: Clock | None = None) -> None:
        self.root = Path(root)
        self._clock = clock or SystemClock()

    def path(self, key: CandleKey) -> Path:
        return self.root / _as_name(key.venue) / _as_name(key.symbol) / key.kind / f"{key.timeframe}.parquet"

    def read(self, key: CandleKey) -> Stored | None:
        """The stored candles, or None where there are none.

        Raises:
            StoreDamaged: the file fails its checksum; it has been set aside.
        """
        path = self.path(key)
        try:
            return read_file(path)
        except FileDamaged:
            with _held(path):  # once more, where nobody can have put a sound one in its place meanwhile
                return self._read_held(path)

    def load(self, key: CandleKey, *, as_of: datetime | None = None) -> pd.DataFrame:
        """Candles of `key`, of them only those closed at `as_of`; an empty frame where there are none.

        Raises:
            StoreDamaged: as `read`.
        """
        stored = self.read(key)
        if stored is None:
            return candles.empty()
        return stored.candles if as_of is None else candles.drop_unclosed(stored.candles, key.timeframe, as_of)

    def append(self, key: CandleKey, frame: pd.DataFrame, info: StoredInfo, *, keep_stored: bool = False, own_grid: bool = False) -> int:
        """Add the bars of `frame` that are not stored yet and widen what is covered; returns how many were added.

        With `own_grid` bars may open on a grid of their market's own, all of them on one.

        A stored bar never changes: a different one in `frame` is an error, or with `keep_stored` a logged event.

        Raises:
            CandleFileInvalid: `frame` is no valid candle frame, or disagrees with a stored bar.
            StorageFull: no room; what was stored is intact.
        """
        path = self.path(key)
        origin = Origin(f"{info.source} {key}")
        fresh = candles.validate(frame, key.timeframe, origin=origin, whole=False, own_grid=own_grid) if len(frame) else frame
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path):
            _remove_leftovers(path)
            return self._merge(key, fresh, info, keep_stored, own_grid)

    def held(self) -> list[CandleKey]:
        """All keys with a file, sorted by name."""
        found = []
        for path in sorted([*self.root.glob("*/*/*.parquet"), *self.root.glob(f"*/*/{MARK}/*.parquet")]):
            venue, symbol, *kind = path.relative_to(self.root).parent.parts
            found.append(CandleKey(_from_name(venue), _from_name(symbol), Timeframe.parse(path.stem), *kind))
        return found

    def damaged(self, key: CandleKey) -> list[Path]:
        """Files of `key` that were set aside, oldest first."""
        path = self.path(key)
        return sorted(path.parent.glob(f"{path.name}.damaged-*"))

    def _merge(self, key: CandleKey, fresh: pd.DataFrame, info: StoredInfo, keep_stored: bool, own_grid: bool) -> int:
        try:
            stored = self._read_held(self.path(key))
        except StoreDamaged:
            stored = None  # set aside and logged; what is fetched now takes its place
        fresh, flow = candles.split_flow(fresh)
        if stored is None:
            write_file(self.path(key), Stored(fresh, info, flow))
            return len(fresh)
        _compare(stored.candles, fresh, key, info.source, keep_stored)
        new = fresh.loc[~fresh.index.isin(stored.candles.index)]
        joined = pd.concat([stored.candles, new]).sort_index() if len(new) else stored.candles
        if own_grid and len(new):
            candles.validate(
                joined, key.timeframe, origin=Origin(f"{info.source} with what is stored of {key}"), whole=False, own_grid=True
            )
        write_file(self.path(key), Stored(joined, _widened(stored.info, info), _with_flow(stored.flow, flow, joined)))
        return len(new)

    def _read_held(self, path: Path) -> Stored | None:
        """As `read`, under the lock of the file."""
        try:
            return read_file(path)
        except FileDamaged as fault:
            aside = self._set_aside(path)
            log.event(_LOG, "store_file_damaged", path=str(path), aside=str(aside), fault=str(fault))
            raise StoreDamaged(
                f"{path} is damaged ({fault}) and was set aside as {aside.name}; download or import the candles again"
            ) from fault

    def _set_aside(self, path: Path) -> Path:
        aside = path.with_name(f"{path.name}.damaged-{self._clock.now():%Y%m%dT%H%M%SZ}")
        path.replace(aside)
        return aside


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Whoever replaces the file, or sets it aside, holds its lock."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(path.with_suffix(".lock"), timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise StoreDamaged(f"{path} has been held by another process for {_LOCK_SECONDS:.0f} s; end it and run again") from error


def _widened(old: StoredInfo, new: StoredInfo) -> StoredInfo:
    fetched = [at for at in (old.fetched_at, new.fetched_at) if at is not None]
    source = old.source if new.source in old.source.split(" + ") else f"{old.source} + {new.source}"
    return replace(
        old,
        source=source,
        covered_from=min(old.covered_from, new.covered_from),
        covered_to=max(old.covered_to, new.covered_to),
        fetched_at=max(fetched) if fetched else None,
    )


def _compare(stored: pd.DataFrame, fresh: pd.DataFrame, key: CandleKey, source: str, keep_stored: bool) -> None:
    both = stored.index.intersection(fresh.index)
    here, there = stored.loc[both], fresh.loc[both]
    same = np.isclose(here.to_numpy(), there.to_numpy(), rtol=1e-9, atol=1e-12).all(axis=1)
    if same.all():
        return
    first, count = both[int(np.argmin(same))], int((~same).sum())
    if not keep_stored:
        raise CandleFileInvalid(
            f"{source}: {count} bars differ from those stored for {key}, the first at {first:%Y-%m-%d %H:%M}; "
            "import them under another --exchange name"
        )
    log.event(_LOG, "candles_revised", key=str(key), source=source, bars=count, first=str(first))


def _with_flow(stored: pd.DataFrame | None, fresh: pd.DataFrame | None, bars: pd.DataFrame) -> pd.DataFrame | None:
    """What is known on the index of `bars`; what is stored stays, and what was not known is filled in."""
    parts = [part.reindex(bars.index) for part in (stored, fresh) if part is not None]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else parts[0].fillna(parts[1])


def _remove_leftovers(path: Path) -> None:
    # Only called under the lock, so a temporary file here belongs to a writer that was killed.
    for leftover in path.parent.glob(f".{path.name}.*"):
        leftover.unlink(missing_ok=True)


def _as_name(text: str) -> str:
    return quote(text, safe="").replace("-", "%2D").replace("%2F", "-")


def _from_name(name: str) -> str:
    return unquote(name.replace("-", "%2F"))


def describe(store: CandleStore, key: CandleKey) -> str:
    """One line for people: how many bars of `key`, from when to when, what is missing, and where they come from.

    Raises:
        StoreDamaged: as `CandleStore.read`.
    """
    stored = store.read(key)
    if stored is None:
        return f"{key}: nothing stored"
    index = candles.times_of(stored.candles)
    span = f"{index[0]:%Y-%m-%d %H:%M} .. {index[-1]:%Y-%m-%d %H:%M}" if len(index) else "no bars"
    gaps = candles.describe_gaps(candles.find_gaps(index, key.timeframe)) or "no gaps"
    fetched = stored.info.fetched_at
    when = f", fetched {fetched.astimezone(UTC):%Y-%m-%d %H:%M}" if fetched else ""
    return f"{key}: {len(index)} bars, {span}, {gaps}; from {stored.info.source}{when}"


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader candles`: `list` what is stored, or `check` each file; 0 if all is sound, 3 if a file is damaged."""
    return run(candles_parser(), argv, list_candles)


def list_candles(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read."""
    path = typed_path(given.path) if given.path else load_settings().feeds.store_path
    return _report(CandleStore(path), fails=given.verb == "check")


def _report(store: CandleStore, *, fails: bool) -> int:
    lines, damaged = [], 0
    for key in store.held():
        try:
            lines.append(describe(store, key))
        except StoreDamaged as fault:
            lines.append(f"{key}: {fault}")
            damaged += 1
    sys.stdout.write("\n".join(lines or [f"nothing is stored under {store.root}"]) + "\n")
    return StoreDamaged.exit_code if damaged and fails else 0
