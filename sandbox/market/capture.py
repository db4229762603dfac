"""Markets replayed from recorded Binance streams: per line a receive time and a JSON message, whose trades form the bars."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

import orjson

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.sandbox.market.bar_source import path_within
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import ZERO

Trades = list[tuple[Decimal, Decimal]]


def is_capture(path: Path) -> bool:
    return path.name.endswith((".txt", ".txt.gz"))


def read_capture(path: Path, length: int) -> dict[Candle, Trades]:
    """Bars of `length` milliseconds in order, each with its recorded trades (price, size).

    Raises:
        CandleFileInvalid: the file is missing, unreadable, or holds no trades.
    """
    if not path.is_file():
        raise CandleFileInvalid(f"market file {path} does not exist; give a candle file or 'sample'")
    slots: dict[int, Trades] = {}
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for at, price, size in _trades(lines):
                slots.setdefault(at - at % length, []).append((price, size))
    except (OSError, EOFError, ValueError, KeyError, InvalidOperation) as error:
        raise CandleFileInvalid(f"market file {path} is not a recorded stream: {error}") from error
    if not slots:
        raise CandleFileInvalid(f"market file {path} holds no trades")
    return {_bar(start, slots[start]): slots[start] for start in sorted(slots)}


class CapturedPath:
    """Splits a recorded bar into its own trades, and any other bar as `path_within` does."""

    def __init__(self) -> None:
        self._trades: dict[Candle, Trades] = {}

    def add(self, bars: dict[Candle, Trades]) -> None:
        self._trades.update(bars)

    def __call__(self, bar: Candle, ticks: int, tick: Decimal, rng: random.Random) -> Trades:
        trades = self._trades.get(bar)
        return path_within(bar, ticks, tick, rng) if trades is None else gathered(trades, ticks)


def gathered(trades: Trades, count: int) -> Trades:
    """At most `count` prints: runs of trades at their last price, with all of their size."""
    step = max(1, -(-len(trades) // count))
    runs = [trades[n : n + step] for n in range(0, len(trades), step)]
    return [(run[-1][0], sum((size for _, size in run), ZERO)) for run in runs]


def _trades(lines: Iterator[bytes]) -> Iterator[tuple[int, Decimal, Decimal]]:
    for line in lines:
        if b'"e":"trade"' in line:
            message = orjson.loads(line.partition(b" ")[2])
            trade = message.get("data", message)
            yield int(trade["T"]), Decimal(trade["p"]).normalize(), Decimal(trade["q"]).normalize()


def _bar(start: int, trades: Trades) -> Candle:
    prices = [price for price, _ in trades]
    return Candle(start, prices[0], max(prices), min(prices), prices[-1], sum((s for _, s in trades), ZERO), len(trades))
