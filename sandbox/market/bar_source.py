"""Bar sources: candle files, or a seeded random process."""

from __future__ import annotations

import csv
import gzip
import itertools
import math
import random
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.core.types import MarketRules
from forwardtrader.sandbox.orders.candle import Candle

HEADER: Final = ["timestamp", "open", "high", "low", "close", "volume"]
START_PRICES: Final = {"BTC": 60_000.0, "ETH": 3_000.0, "BNB": 600.0, "SOL": 150.0}
YEAR_MS: Final = 365 * 86_400_000


def file_bars(path: Path, length: int) -> list[Candle]:
    """Read a candle file: `timestamp,open,high,low,close,volume`, ISO 8601 UTC or milliseconds, plain or gzip.

    Raises:
        CandleFileInvalid: the file is missing, empty, not of that form, or its times do not rise on a grid of `length` milliseconds.
    """
    if not path.is_file():
        raise CandleFileInvalid(f"market file {path} does not exist; give a candle file or 'sample'")
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            bars = list(_read(csv.reader(lines), path, length))
    except (OSError, UnicodeDecodeError, EOFError, zlib.error, csv.Error) as error:
        raise CandleFileInvalid(f"market file {path} cannot be read: {error}") from error
    if not bars:
        raise CandleFileInvalid(f"market file {path} holds no candles")
    return bars


def _read(rows: Iterator[list[str]], path: Path, length: int) -> Iterator[Candle]:
    if [cell.strip().lower() for cell in next(rows, [])] != HEADER:
        raise CandleFileInvalid(f"market file {path} must begin with the line {','.join(HEADER)}")
    before = -1
    for number, row in enumerate(rows, start=2):
        try:
            candle = _candle(row)
        except (ValueError, InvalidOperation, IndexError) as error:
            raise CandleFileInvalid(f"market file {path} line {number}: {','.join(row)!r} is not a candle") from error
        if candle.start <= before or candle.start % length:
            raise CandleFileInvalid(f"market file {path} line {number}: times must rise on the grid of the timeframe ({length // 1000} s)")
        before = candle.start
        yield candle


def _candle(row: list[str]) -> Candle:
    stamp = row[0]
    start = int(stamp) if stamp.isdigit() else int(datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp() * 1000)
    first, high, low, close, volume = prices = [Decimal(cell) for cell in row[1:6]]
    candle = Candle(start, first, high, low, close, volume)
    whole = all(p.is_finite() for p in prices) and candle.volume >= 0
    if not whole or not 0 < candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high:
        raise ValueError("no market could have printed it")
    return candle


def generated_bars(rules: MarketRules, start: int, length: int, seed: int) -> Iterator[Candle]:
    """An endless seeded market: clustered volatility, no drift, opens at or one tick from the last close.

    The same arguments always give the same bars.
    """
    rng = random.Random(f"{seed}:{rules.symbol}:{length}")
    price = START_PRICES.get(rules.base, 100.0)
    calm = 0.6 * math.sqrt(length / YEAR_MS)  # an annual volatility of 60 per cent
    sigma = calm
    for number in itertools.count():
        shock = rng.gauss(0, 1)
        sigma = math.sqrt(0.05 * calm**2 + 0.90 * sigma**2 + 0.05 * (sigma * shock) ** 2)
        close = price * math.exp(sigma * shock - sigma**2 / 2)
        reach = sigma * abs(rng.gauss(0, 0.5))
        high = max(price, close) * math.exp(reach)
        low = min(price, close) * math.exp(-sigma * abs(rng.gauss(0, 0.5)))
        volume = Decimal(f"{rng.lognormvariate(0, 0.7) * (1 + abs(shock)) * 500_000 / price:.5f}")
        candle = _on_grid(start + number * length, (price, high, low, close), volume, rules.tick)
        yield candle
        price = float(candle.close + rules.tick * rng.choice((-1, 0, 0, 1)))


def _on_grid(start: int, prices: tuple[float, float, float, float], volume: Decimal, tick: Decimal) -> Candle:
    first, high, low, close = (max(tick, Decimal(round(p / float(tick))) * tick) for p in prices)
    return Candle(start, first, max(first, high, close), min(first, low, close), close, volume, trades=100)


def path_within(bar: Candle, ticks: int, tick: Decimal, rng: random.Random) -> list[tuple[Decimal, Decimal]]:
    """The prints of a bar: open, both extremes and close, with a random walk in between.

    The nearer extreme comes first. All prices lie on the grid and inside the bar; the volumes add up to the bar's.
    """
    near_low = bar.open - bar.low <= bar.high - bar.open
    anchors = [bar.open, bar.low, bar.high, bar.close] if near_low else [bar.open, bar.high, bar.low, bar.close]
    prices = _between(anchors, max(4, ticks), bar, tick, rng)
    share = (bar.volume / len(prices)).quantize(Decimal("0.00001"), rounding="ROUND_DOWN")
    volumes = [share] * (len(prices) - 1)
    return list(zip(prices, [*volumes, bar.volume - share * (len(prices) - 1)], strict=True))


def _between(anchors: list[Decimal], count: int, bar: Candle, tick: Decimal, rng: random.Random) -> list[Decimal]:
    legs = len(anchors) - 1
    steps = [(count - 1) // legs + (1 if leg < (count - 1) % legs else 0) for leg in range(legs)]
    prices = [anchors[0]]
    for begin, end, number in zip(anchors, anchors[1:], steps, strict=False):
        for step in range(1, number):
            wander = Decimal(f"{step / number + rng.uniform(-0.15, 0.15):.4f}")
            price = ((begin + (end - begin) * wander) / tick).to_integral_value() * tick
            prices.append(min(bar.high, max(bar.low, price)))
        prices.append(end)
    return prices
