"""`forwardtrader import FILE`: candles from a file, validated and put into the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.bounds import USUAL_MB
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.doubts import doubts
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.grid import own_grid
from forwardtrader.feeds.candles.store import MARK, CandleKey, CandleStore, describe
from forwardtrader.feeds.files.formats import read_rows
from forwardtrader.feeds.files.times import AS_WRITTEN, TimeNotation, notation_of
from forwardtrader.feeds.flags import import_parser

if TYPE_CHECKING:
    import argparse


@dataclass(frozen=True)
class CandleFile:
    """The candles of a file, and one line for each thing that was decided about it, left out of it or looks wrong in it.

    `flow` has the columns of `FLOW` on their index, where the file has them.
    """

    candles: pd.DataFrame
    notes: tuple[str, ...]
    flow: pd.DataFrame | None = None


def read_file(
    path: Path, symbol: str, timeframe: Timeframe, clock: Clock, most_mb: int = USUAL_MB, notation: TimeNotation = AS_WRITTEN
) -> CandleFile:
    """The candles of one file, without a last bar that is not closed yet.

    Raises:
        CandleFileInvalid: the file or a row of it cannot be used; the message names file, line and remedy.
    """
    rows = read_rows(path, symbol, timeframe, most_mb, notation)
    frame, flow = candles.split_flow(candles.validate(rows.frame, timeframe, origin=rows.origin, now=clock.now(), own_grid=True))
    grid = own_grid(candles.times_of(frame), timeframe)
    return CandleFile(frame, (*rows.notes, *([grid] if grid else []), *doubts(frame, timeframe)), flow)


def read_candles(path: Path, symbol: str, timeframe: Timeframe, clock: Clock, most_mb: int = USUAL_MB) -> pd.DataFrame:
    """The candles alone. Raises as `read_file`."""
    return read_file(path, symbol, timeframe, clock, most_mb).candles


def import_file(path: Path, key: CandleKey, store: CandleStore, clock: Clock, most_mb: int = USUAL_MB) -> tuple[int, pd.DataFrame]:
    """Put the candles of `path` into the store; returns how many bars were new, and all candles of the file. Raises as `keep_file`."""
    read = read_file(path, key.symbol, key.timeframe, clock, most_mb)
    return keep_file(path, read, key, store), read.candles


def keep_file(path: Path, read: CandleFile, key: CandleKey, store: CandleStore) -> int:
    """Put what was read of `path` into the store; returns how many bars were new.

    Raises:
        CandleFileInvalid: the file disagrees with bars stored before.
        StorageFull: no room; what was stored is intact.
    """
    index = candles.times_of(read.candles)
    info = StoredInfo(
        source=f"file {path.name}", covered_from=index[0].to_pydatetime(), covered_to=index[-1].to_pydatetime() + key.timeframe.delta
    )
    return store.append(key, read.candles if read.flow is None else read.candles.join(read.flow), info, own_grid=True)


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader import`: one file into the store, and one line that says what came of it."""
    return run(import_parser(), argv, import_candles)


def import_candles(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read. Raises as `import_file`."""
    settings = load_settings().feeds
    timeframe = Timeframe.parse(given.timeframe or settings.timeframe)
    kind = MARK if given.kind == MARK else ""
    key = CandleKey(given.exchange or settings.exchange, given.symbol or settings.symbols[0], timeframe, kind)
    store = CandleStore(typed_path(given.path) if given.path else settings.store_path)
    path = typed_path(given.file)
    notation = notation_of(given.date_format or settings.date_format, given.tz or settings.file_zone, given.stamped or settings.stamped)
    read = read_file(path, key.symbol, timeframe, SystemClock(), settings.max_file_mb, notation)
    added = keep_file(path, read, key, store)
    sys.stdout.write("".join(f"{line}\n" for line in (*read.notes, f"{describe(store, key)}; {added} bars new")))
    return 0
