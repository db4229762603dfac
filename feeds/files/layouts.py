"""Columns of files without a header, by their order: every venue has its own, and prices tell them apart.

High is the highest and low the lowest of each row. Which of the other two is the open follows from the rows in the order of time: a bar
opens near the close of the one before it.
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

Floats = np.ndarray[Any, np.dtype[np.float64]]

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
    3: ("vwap", "volume", "trades"),  # Kraken's interface; others by what they hold
    4: ("volume", "volccy", "volccyquote", "confirm"),  # OKX
    7: ("volume", "close_time", "quote_volume", "trades", "taker_base", "taker_quote", "unused"),  # Binance
}
_MEXC: Final = ("volume", "close_time", "quote_volume")
_BITGET: Final = ("volume", "quote_volume", "usdt_volume")
_GATE: Final = ("quote_volume", "close", "high", "low", "open", "base_volume", "closed")
_PROVEN: Final = 0.999
_NEARER: Final = 0.7  # so much nearer the closes before them must opens be for another order than the usual one
_ROUNDING: Final = 1e-3
_TIMES_FROM: Final = 1e9  # what is larger beside prices and volumes is a time


def with_names(table: Table) -> Table:
    """The table with the names that the order of its columns stands for.

    Raises:
        CandleFileInvalid: no known order fits.
    """
    table, market = _without_words(table)
    named = _with_names(table)
    return named if market is None else replace(named, names=(*named.names, ("symbol",)), columns=(*named.columns, market))


def _without_words(table: Table) -> tuple[Table, pa.Array | None]:
    """The table without columns of words before the times, the first of which names the market: `IBM,D,20220103,...`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = 0
    for column in table.columns[: len(table.columns) - 6]:
        if not pa.types.is_string(column.type) or not pc.all(pc.match_substring_regex(column, r"^\s*[A-Za-z][\w.:/-]*\s*$")).as_py():
            break
        count += 1
    if not count:
        return table, None
    return replace(table, names=table.names[count:], columns=table.columns[count:]), table.columns[0]


def _with_names(table: Table) -> Table:
    times = 2 if len(table.columns) > 6 and _is_clock(table) else 1
    after = len(table.columns) - times - 4
    if after in _AFTER:
        for order in _ORDERS:
            names = ("date", "time")[:times] if times == 2 else ("timestamp",)
            if _fits(table, times, order):
                found = _in_time(table, times, order)
                return _named(table, (*names, *found, *_after(table, times + 4, after)), found)
    if times == 1 and len(table.columns) == 6 and _fits(table, 2, ("close", "high", "low", "open")):
        found = _in_time(table, 2, _GATE[1:5])
        return _named(table, ("timestamp", "volume", *found), ("volume", *found))
    if times == 1 and len(table.columns) in (7, 8) and _fits(table, 2, ("close", "high", "low", "open")):
        return _named(table, ("timestamp", *_GATE[: len(table.columns) - 1]), ("close", "high", "low", "open"))
    if after in _AFTER and not _readable(table, times):
        return _named(table, (*(("date", "time") if times == 2 else ("timestamp",)), *_ORDERS[0], *_AFTER[after]), _ORDERS[0])
    raise CandleFileInvalid(
        f"{table.origin.name}: no header, and {len(table.columns)} columns fit no known form; add a line timestamp,{','.join(OHLCV)}"
    )


def _in_time(table: Table, first: int, order: tuple[str, ...]) -> tuple[str, ...]:
    """The order, or the one with open and close exchanged where that is what the rows say; as it is where their direction is not clear."""
    direction = _direction(table.columns[0])
    if not direction:
        return order
    prices = {name: _floats(table.columns[first + n])[::direction] for n, name in enumerate(order)}
    opened, close = prices["open"], prices["close"]
    apart, exchanged = np.abs(opened[1:] - close[:-1]).sum(), np.abs(close[1:] - opened[:-1]).sum()
    if not exchanged < _NEARER * apart:
        return order
    return tuple({"open": "close", "close": "open"}.get(name, name) for name in order)


def _direction(times: pa.Array) -> int:
    """1 where rows rise in time, -1 where they fall; 0 where times are texts that do not begin with the year."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(times.type):
        if pc.all(pc.match_substring_regex(times, r"^\s*\d+(\.\d*)?\s*$")).as_py():
            times = pc.cast(pc.utf8_trim_whitespace(times), pa.float64())
        elif not pc.all(pc.match_substring_regex(times, r"^\s*(19|20)\d{2}\D")).as_py():
            return 0
    first, last = times[0].as_py(), times[len(times) - 1].as_py()
    return 0 if first == last else 1 if first < last else -1


def _after(table: Table, first: int, count: int) -> tuple[str, ...]:
    """The names of the columns behind the prices."""
    if count not in (2, 3):
        return _AFTER[count]
    prices = [_floats(table.columns[first - n]) for n in range(1, 5)]
    low, high = np.min(prices, axis=0) * (1 - _ROUNDING), np.max(prices, axis=0) * (1 + _ROUNDING)
    one, two = _floats(table.columns[first]), _floats(table.columns[first + 1])
    if count == 2:
        return _AFTER[2] if not _between(one, two * low, two * high) else ("quote_volume", "volume")
    three = _floats(table.columns[first + 2])
    if _between(one, low, high, where=two != 0) and bool((three % 1 == 0).all()):
        return _AFTER[3]
    closes = bool((two > _TIMES_FROM).all()) and bool((np.diff(two) == np.diff(_floats(table.columns[0]))).all())
    return _MEXC if closes else _BITGET


def _between(values: Floats, low: Floats, high: Floats, where: Any = True) -> bool:
    """Whether nearly all values that count lie so, some of them above zero."""
    counted = (values > 0) & where
    return bool(counted.any()) and bool(np.mean(((values >= low) & (values <= high))[counted]) >= _PROVEN)


def _named(table: Table, names: tuple[str, ...], order: tuple[str, ...]) -> Table:
    told = () if order == _ORDERS[0] else (f"no header: the prices say that columns are {', '.join(order)}",)
    return replace(table, names=tuple((name,) for name in names), has_header=True).noted(*told)


def _is_clock(table: Table) -> bool:
    from forwardtrader.feeds.files.columns import are_clocks

    return are_clocks(table.columns[1])


def _floats(column: pa.Array) -> Floats:
    from forwardtrader.feeds.files.numbers import column_numbers

    return column_numbers(column)


def _readable(table: Table, first: int) -> bool:
    return all(bool(np.isfinite(_floats(table.columns[first + n])).all()) for n in range(4))


def _fits(table: Table, first: int, order: tuple[str, ...]) -> bool:
    prices = dict(zip(order, (_floats(table.columns[first + n]) for n in range(4)), strict=True))
    high, low = prices["high"] * (1 + 1e-10), prices["low"] * (1 - 1e-10)
    inside = (high >= prices["open"]) & (high >= prices["close"]) & (low <= prices["open"]) & (low <= prices["close"]) & (high >= low)
    return len(inside) > 0 and bool(np.mean(inside) >= _PROVEN)
