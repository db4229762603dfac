"""`forwardtrader import FILE`: candles from a file, validated and put into the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from forwardtrader.core.cli import end_well
from forwardtrader.core.clock import Clock, SystemClock
from forwardtrader.core.config import load_settings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.file import StoredInfo
from forwardtrader.feeds.candles.store import CandleKey, CandleStore, describe
from forwardtrader.feeds.files.formats import read_rows

if TYPE_CHECKING:
    import argparse


def read_candles(path: Path, symbol: str, timeframe: Timeframe, clock: Clock) -> pd.DataFrame:
    """The candles of one file, without a last bar that is not closed yet.

    Raises:
        CandleFileInvalid: the file or a row of it cannot be used; the message names file, line and remedy.
    """
    rows = read_rows(path, symbol, timeframe)
    return candles.validate(rows.frame, timeframe, origin=rows.origin, now=clock.now())


def import_file(path: Path, key: CandleKey, store: CandleStore, clock: Clock) -> tuple[int, pd.DataFrame]:
    """Put the candles of `path` into the store; returns how many bars were new, and all candles of the file.

    Raises:
        CandleFileInvalid: the file is faulty, or disagrees with bars stored before.
        StorageFull: no room; what was stored is intact.
    """
    frame = read_candles(path, key.symbol, key.timeframe, clock)
    index = candles.times_of(frame)
    info = StoredInfo(
        source=f"file {path.name}", covered_from=index[0].to_pydatetime(), covered_to=index[-1].to_pydatetime() + key.timeframe.delta
    )
    return store.append(key, frame, info), frame


def main(argv: Sequence[str] | None = None) -> int:
    """Import one file and print the result in one line."""
    import argparse

    parser = argparse.ArgumentParser(prog="forwardtrader import", description="Put candles from a file into the store.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--symbol", help="default: the first of feeds.symbols")
    parser.add_argument("--timeframe", help="default: feeds.timeframe")
    parser.add_argument("--exchange", help="the venue whose candles these are (default: feeds.exchange)")
    parser.add_argument("--path", help="folder of the store (default: feeds.store_path)")
    return end_well(lambda: _command(parser.parse_args(argv)))


def _command(chosen: argparse.Namespace) -> int:
    settings = load_settings().feeds
    timeframe = Timeframe.parse(chosen.timeframe or settings.timeframe)
    key = CandleKey(chosen.exchange or settings.exchange, chosen.symbol or settings.symbols[0], timeframe)
    store = CandleStore(chosen.path or settings.store_path)
    added, _ = import_file(chosen.file, key, store, SystemClock())
    sys.stdout.write(f"{describe(store, key)}; {added} bars new\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
