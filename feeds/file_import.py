"""`python -m feeds.file_import FILE`: candles from a file, validated and put into the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from core.clock import Clock, SystemClock
from core.command import end_well
from core.settings import FeedSettings
from core.types import Timeframe
from feeds import candles
from feeds.candle_store import CandleKey, CandleStore, StoredInfo
from feeds.file_formats import read_rows


def read_candles(path: Path, symbol: str, timeframe: Timeframe, clock: Clock) -> pd.DataFrame:
    """The candles of one file, without a last bar that is not closed yet.

    Raises:
        CandleFileInvalid: the file or a row of it cannot be used; names file, line and mend.
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
    """Import one file and say in one line what came of it."""
    import argparse

    defaults = FeedSettings()
    parser = argparse.ArgumentParser(prog="python -m feeds.file_import", description="Put candles from a file into the store.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--symbol", default=defaults.symbols[0], help="default %(default)s")
    parser.add_argument("--timeframe", default=defaults.timeframe, help="default %(default)s")
    parser.add_argument("--exchange", default=defaults.exchange, help="the venue whose candles these are (default %(default)s)")
    parser.add_argument("--path", default=defaults.store_path, help="folder of the store (default %(default)s)")
    chosen = parser.parse_args(argv)
    return end_well(lambda: _import(chosen.file, CandleKey(chosen.exchange, chosen.symbol, Timeframe.parse(chosen.timeframe)), chosen.path))


def _import(path: Path, key: CandleKey, root: str) -> int:
    added, frame = import_file(path, key, CandleStore(root), SystemClock())
    index = candles.times_of(frame)
    gaps = candles.describe_gaps(candles.find_gaps(index, key.timeframe)) or "no gaps"
    sys.stdout.write(
        f"{key}: {len(frame)} bars, {index[0]:%Y-%m-%d %H:%M} .. {index[-1]:%Y-%m-%d %H:%M}, {gaps}; {added} new in the store\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
