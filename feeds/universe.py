"""The universe of a run: which symbols may be traded when, by what was known then.

It is a file of members, or the symbols with the largest volume, chosen anew at each month by the thirty days before it.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Spans

ENDLESS: Final = float("inf")
_RANKED_OVER: Final = timedelta(days=30)
_STILL_LISTED: Final = timedelta(days=2)  # without a bar for so long, a symbol is delisted
_COLUMNS: Final = ("symbol", "from", "to")


@dataclass(frozen=True)
class TopByVolume:
    """The `count` symbols with the largest traded value."""

    count: int


def parse_universe(text: str) -> TopByVolume | Path:
    """Read `top:20`, `top:20 by volume`, or the path of a file.

    Raises:
        InvalidSetting: neither a number of symbols above zero nor a file.
    """
    if text.startswith("top:"):
        match = re.fullmatch(r"top:\s*([1-9]\d*)(\s+by\s+volume)?", text)
        if match is None:
            raise InvalidSetting(f"universe {text!r} is not known; write top:20, or name a file with the columns symbol, from, to")
        return TopByVolume(int(match[1]))
    path = Path(text)
    if not path.is_file():
        raise InvalidSetting(f"universe {text!r} is no file; write top:20, or name a file with the columns symbol, from, to")
    return path


def read_universe(path: Path) -> dict[str, Spans]:
    """The members of a file, each with the spans [from, to) of UTC epoch seconds in which it may be traded, in order.

    A row is `symbol`, `symbol,from` or `symbol,from,to`; days are ISO 8601, UTC. An empty `from` is the beginning, an empty `to` the end.
    A header, empty lines and lines that begin with # are left out; a symbol may have several rows.

    Raises:
        InvalidSetting: a line is wrong, spans of a symbol overlap, or no symbol is there; the message names file and line.
    """
    found: dict[str, list[tuple[float, float]]] = {}
    for number, row in enumerate(csv.reader(_lines(path)), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#") or (number == 1 and cells[0].lower() == "symbol"):
            continue
        where = f"{path.name}, line {number}"
        symbol, span = _member(cells, where)
        if any(span[0] < last and first < span[1] for first, last in found.get(symbol, ())):
            raise InvalidSetting(f"{where}: {symbol} is a member in this span already; join the two, or mend their days")
        found.setdefault(symbol, []).append(span)
    if not found:
        raise InvalidSetting(f"{path.name} names no symbol; give each a line: symbol,from,to")
    return {symbol: tuple(sorted(spans)) for symbol, spans in found.items()}


def members_between(members: Mapping[str, Spans], first: datetime, last: datetime) -> list[str]:
    """The symbols that are members at some moment in [first, last), in their order."""
    begin, end = first.timestamp(), last.timestamp()
    return [symbol for symbol, spans in members.items() if any(since < end and begin < until for since, until in spans)]


def top_by_volume(candles: Mapping[str, pd.DataFrame], count: int, first: datetime, last: datetime) -> dict[str, Spans]:
    """The members of each month that touches [first, last), as spans like those of `read_universe`.

    A month's members have the largest sums of close times volume over the bars that closed in the thirty days before it; symbols without a
    bar in the two days before it are delisted. Equal sums are ranked by name.

    Args:
        candles: by symbol, as `feeds.candles.schema` has them.
    """
    worth = {symbol: frame["close"] * frame["volume"] for symbol, frame in candles.items()}
    months = _months(first, last)
    found: dict[str, list[tuple[float, float]]] = {}
    for since, until in itertools.pairwise(months):
        for symbol in _largest(worth, pd.Timestamp(since), count):
            spans = found.setdefault(symbol, [])
            if spans and spans[-1][1] == since.timestamp():
                spans[-1] = (spans[-1][0], until.timestamp())
            else:
                spans.append((since.timestamp(), until.timestamp()))
    return {symbol: tuple(spans) for symbol, spans in found.items()}


def _largest(worth: Mapping[str, pd.Series], at: pd.Timestamp, count: int) -> list[str]:
    sums = {}
    for symbol, values in worth.items():
        known = values.loc[at - _RANKED_OVER : at - pd.Timedelta(1, "ns")]  # a bar that opens before the month has closed by then
        if len(known) and known.index[-1] >= at - _STILL_LISTED:
            sums[symbol] = float(known.sum())
    return sorted(sums, key=lambda symbol: (-sums[symbol], symbol))[:count]


def _months(first: datetime, last: datetime) -> list[datetime]:
    """The first moments of the months that touch [first, last), and of the one after."""
    at = datetime(first.year, first.month, 1, tzinfo=UTC)
    found = [at]
    while at < last:
        at = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
        found.append(at)
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} cannot be read as text ({error}); give a file with the columns symbol, from, to") from error


def _member(cells: Sequence[str], where: str) -> tuple[str, tuple[float, float]]:
    if len(cells) > len(_COLUMNS) and any(cells[len(_COLUMNS) :]):
        raise InvalidSetting(f"{where} has {len(cells)} columns; give symbol, from, to")
    symbol, since, until = (*cells, "", "")[:3]
    if not symbol:
        raise InvalidSetting(f"{where} names no symbol; give symbol, from, to")
    span = (_moment(since, where) if since else -ENDLESS, _moment(until, where) if until else ENDLESS)
    if not span[0] < span[1]:
        raise InvalidSetting(f"{where}: {symbol} leaves at {until}, which is not after {since}, when it joins")
    return symbol, span


def _moment(text: str, where: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidSetting(f"{where}: {text!r} is no day; write 2022-01-31") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
