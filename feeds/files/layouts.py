"""Columns of files without a header, by their order: every venue has its own, and prices tell them apart.

High is the highest and low the lowest of each row. Two orders that both fit have the same values, since then the prices that they disagree
about are equal.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import OHLCV
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_ORDERS: Final = (
    ("open", "high", "low", "close"),  # most
    ("open", "close", "high", "low"),  # Bitfinex, KuCoin
    ("low", "high", "open", "close"),  # Coinbase
    ("open", "close", "low", "high"),  # Dukascopy
    ("close", "high", "low", "open"),  # Gate.io
    ("open", "low", "high", "close"),
)
_AFTER: Final = {
    1: ("volume",),
    2: ("volume", "count"),  # Kraken: trades; Bybit, KuCoin: turnover
    3: ("vwap", "volume", "trades"),  # Kraken's interface
    4: ("volume", "volccy", "volccyquote", "confirm"),  # OKX
    7: ("volume", "close_time", "quote_volume", "trades", "taker_base", "taker_quote", "unused"),  # Binance
}
_GATE: Final = ("quote_volume", "close", "high", "low", "open", "base_volume", "closed")
_PROVEN: Final = 0.999


def with_names(table: Table) -> Table:
    """The table with the names that the order of its columns stands for.

    Raises:
        CandleFileInvalid: no known order fits.
    """
    times = 2 if len(table.columns) > 6 and _is_clock(table) else 1
    after = len(table.columns) - times - 4
    if after in _AFTER:
        for order in _ORDERS:
            names = ("date", "time")[:times] if times == 2 else ("timestamp",)
            if _fits(table, times, order):
                return _named(table, (*names, *order, *_AFTER[after]), order)
    if times == 1 and len(table.columns) in (7, 8) and _fits(table, 2, ("close", "high", "low", "open")):
        return _named(table, ("timestamp", *_GATE[: len(table.columns) - 1]), ("close", "high", "low", "open"))
    if after in _AFTER and not _readable(table, times):
        return _named(table, (*(("date", "time") if times == 2 else ("timestamp",)), *_ORDERS[0], *_AFTER[after]), _ORDERS[0])
    raise CandleFileInvalid(
        f"{table.origin.name}: no header, and {len(table.columns)} columns fit no known form; add a line timestamp,{','.join(OHLCV)}"
    )


def _named(table: Table, names: tuple[str, ...], order: tuple[str, ...]) -> Table:
    told = () if order == _ORDERS[0] else (f"no header: the prices say that columns are {', '.join(order)}",)
    return replace(table, names=tuple((name,) for name in names), has_header=True).noted(*told)


def _is_clock(table: Table) -> bool:
    from forwardtrader.feeds.files.columns import are_clocks

    return are_clocks(table.columns[1])


def _floats(column: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    from forwardtrader.feeds.files.numbers import column_numbers

    return column_numbers(column)


def _readable(table: Table, first: int) -> bool:
    return all(bool(np.isfinite(_floats(table.columns[first + n])).all()) for n in range(4))


def _fits(table: Table, first: int, order: tuple[str, ...]) -> bool:
    prices = dict(zip(order, (_floats(table.columns[first + n]) for n in range(4)), strict=True))
    high, low = prices["high"] * (1 + 1e-10), prices["low"] * (1 - 1e-10)
    inside = (high >= prices["open"]) & (high >= prices["close"]) & (low <= prices["open"]) & (low <= prices["close"]) & (high >= low)
    return len(inside) > 0 and bool(np.mean(inside) >= _PROVEN)
