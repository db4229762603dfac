"""The candles of a session: the history it began with, in a file, and what it recorded since. Neither stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from forwardtrader.core import atomic
from forwardtrader.live.output.files import HISTORY, long_table, split_table
from forwardtrader.live.output.store import SessionStore


def write_history(folder: Path, histories: Mapping[str, pd.DataFrame]) -> None:
    """What the models and indicators knew before the first live bar; written once, since what the session began with holds for good:
    a model trained after a restart must learn from what its replay will.
    """
    if not (folder / HISTORY).is_file():
        atomic.write_atomically(folder / HISTORY, lambda path: _write(path, histories))


class SessionCandles(Mapping[str, pd.DataFrame]):
    """All closed candles known of each symbol, read when they are asked for, one symbol at a time.

    Args:
        beside: puts more columns beside the candles of a symbol.
    """

    def __init__(
        self, folder: Path, store: SessionStore, symbols: tuple[str, ...], beside: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    ) -> None:
        self._path = folder / HISTORY
        self._store = store
        self._symbols = symbols
        self._beside = beside

    def __getitem__(self, symbol: str) -> pd.DataFrame:
        if symbol not in self._symbols:
            raise KeyError(symbol)
        before = split_table(pd.read_parquet(self._path, filters=[("symbol", "==", symbol)]))[symbol]
        whole = pd.concat([before, self._store.bars(symbol)])
        return whole if self._beside is None else self._beside(whole)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def _write(path: Path, histories: Mapping[str, pd.DataFrame]) -> None:
    """One row group for each symbol, so that one is written at a time, and read without the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer = None
        for symbol, frame in histories.items():
            table = pa.Table.from_pandas(long_table({symbol: frame}), preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table, row_group_size=max(1, len(table)))
