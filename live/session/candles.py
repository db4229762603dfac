"""The candles of a session: the history before its first bar, in a file, and the bars recorded since. Neither stays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from forwardtrader.core import atomic
from forwardtrader.live.output.files import HISTORY, long_table, split_table
from forwardtrader.live.output.store import SessionStore
from forwardtrader.models.features.bars import LATE
from forwardtrader.models.signal_bars import SignalBars


def write_history(folder: Path, histories: Mapping[str, pd.DataFrame]) -> None:
    """Write the history before the first live bar, once: a model trained after a restart must learn from the same bars as its replay."""
    if not (folder / HISTORY).is_file():
        atomic.write_atomically(folder / HISTORY, lambda path: _write(path, histories))


class SessionCandles(Mapping[str, pd.DataFrame]):
    """All closed candles of each symbol, read from disk at each access, one symbol at a time.

    Args:
        beside: adds columns, such as factors, to the candles of a symbol.
        signals: by symbol, bars that features see in place of the session's own; the candles are as they see them.
    """

    def __init__(
        self, folder: Path, store: SessionStore, symbols: tuple[str, ...], beside: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
        signals: Mapping[str, SignalBars] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self._path = folder / HISTORY
        self._store = store
        self._symbols = symbols
        self._beside = beside
        self._signals = signals

    def __getitem__(self, symbol: str) -> pd.DataFrame:
        if symbol not in self._symbols:
            raise KeyError(symbol)
        before = split_table(pd.read_parquet(self._path, filters=[("symbol", "==", symbol)]))[symbol]
        whole = with_late(pd.concat([before, self._store.bars(symbol)]), self._store.late(symbol))
        if (seen := self._signals.get(symbol)) is not None:
            whole = seen.seen(whole)
        return whole if self._beside is None else self._beside(whole)

    def __iter__(self) -> Iterator[str]:
        return iter(self._symbols)

    def __len__(self) -> int:
        return len(self._symbols)


def with_late(candles: pd.DataFrame, late: pd.Series[int]) -> pd.DataFrame:
    """Candles with a column that says which came late (`models.features.bars.Bars.late`), where there are such."""
    return candles if late.empty else candles.assign(**{LATE: late.reindex(candles.index, fill_value=0)})


def _write(path: Path, histories: Mapping[str, pd.DataFrame]) -> None:
    """One row group for each symbol, so that each is written and read without the others."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with ExitStack() as stack:
        writer = None
        for symbol, frame in histories.items():
            table = pa.Table.from_pandas(long_table({symbol: frame}), preserve_index=False)
            writer = writer or stack.enter_context(pq.ParquetWriter(path, table.schema))
            writer.write_table(table, row_group_size=max(1, len(table)))
