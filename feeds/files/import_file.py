"""`forwardtrader import FILE`: candles from a file, validated and put into the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
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
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import CandleKey, CandleStore, describe
from forwardtrader.feeds.files.formats import read_rows
from forwardtrader.feeds.flags import import_parser

if TYPE_CHECKING:
    import argparse


def read_candles(path: Path, symbol: str, timeframe: Timeframe, clock: Clock, most_mb: int = USUAL_MB) -> pd.DataFrame:
    """The candles of one file, without a last bar that is not closed yet.

    Raises:
        CandleFileInvalid: the file or a row of it cannot be used; the message names file, line and remedy.
    """
    rows = read_rows(path, symbol, timeframe, most_mb)
    return candles.validate(rows.frame, timeframe, origin=rows.origin, now=clock.now())


def import_file(path: Path, key: CandleKey, store: CandleStore, clock: Clock, most_mb: int = USUAL_MB) -> tuple[int, pd.DataFrame]:
    """Put the candles of `path` into the store; returns how many bars were new, and all candles of the file.

    Raises:
        CandleFileInvalid: the file is faulty, or disagrees with bars stored before.
        StorageFull: no room; what was stored is intact.
    """
    frame = read_candles(path, key.symbol, key.timeframe, clock, most_mb)
    index = candles.times_of(frame)
    info = StoredInfo(
        source=f"file {path.name}", covered_from=index[0].to_pydatetime(), covered_to=index[-1].to_pydatetime() + key.timeframe.delta
    )
    return store.append(key, frame, info), frame


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader import`: one file into the store, and one line that says what came of it."""
    return run(import_parser(), argv, import_candles)


def import_candles(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read. Raises as `import_file`."""
    settings = load_settings().feeds
    timeframe = Timeframe.parse(given.timeframe or settings.timeframe)
    key = CandleKey(given.exchange or settings.exchange, given.symbol or settings.symbols[0], timeframe)
    store = CandleStore(typed_path(given.path) if given.path else settings.store_path)
    added, _ = import_file(typed_path(given.file), key, store, SystemClock(), settings.max_file_mb)
    sys.stdout.write(f"{describe(store, key)}; {added} bars new\n")
    return 0
