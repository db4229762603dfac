"""Which columns of a table are times, prices, volumes, an adjusted close and the name of the market."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.files import names
from forwardtrader.feeds.files.names import PRICES, ROLES, words_of
from forwardtrader.feeds.files.symbol import Market, parts_of
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_ADJUSTED: Final = ("adj", "adjusted")
_ADJUSTED_VOLUME: Final = ("adj volume", "adjvolume", "adjusted volume", "volume adj", "volume adjusted")
_BITMEX: Final = ("home notional", "foreign notional")  # dates its bars with their end
_DERIVED: Final = (
    "ha", "heikin", "ashi", "sma", "ema", "ma", "rsi", "bollinger", "prev", "previous", "next", "pct", "change", "52", "week", "ask",
    "bid",
)  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Places of columns in a table.

    `group` is what the names of prices say beside open, high, low and close: a ticker, or nothing. `adjusted` has four places where all
    four prices stand adjusted beside the raw ones, and `adjusted_volume` is the volume that goes with them. `zone` is what the file says of
    the zone of its times elsewhere than in them.
    """

    prices: tuple[int, int, int, int]
    times: tuple[int, ...]
    group: str = ""
    adjusted_close: int | None = None
    adjusted: tuple[int, int, int, int] | None = None
    adjusted_volume: int | None = None
    closes: bool = False
    zone: str = ""
    notes: tuple[str, ...] = ()
    flow: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Named:
    """A column's role, and the words that stand beside it in its name."""

    place: int
    role: str
    beside: str


def find_columns(table: Table, market: Market) -> Columns:
    """The columns that candles of `market` are made of.

    Raises:
        CandleFileInvalid: one is missing or there are two for it, or the file is of several markets; the message lists the columns.
    """
    groups = _groups(table)
    group, notes = _chosen(groups, table, market)
    prices = _four(groups[group], table)
    adjusted = next((groups[name] for name in _ADJUSTED if name in groups and name != group), {})
    full = _four(adjusted, table) if all(role in adjusted for role in PRICES) else None
    close = next((place for place, name in enumerate(table.names) if names.is_adjusted_close(_without(_plain(name), group))), None)
    if close is None and "close" in adjusted:
        close = adjusted["close"][0]
    times, closes = _times(table, group)
    closes = closes or set(_BITMEX) <= {_plain(name) for name in table.names}
    volume = next((place for place, name in enumerate(table.names) if _plain(name) in _ADJUSTED_VOLUME), None) if full else None
    return Columns(prices, times, group, None if full else close, full, volume, closes, _zone(table, times), notes, _flow(table))


def _flow(table: Table) -> tuple[int, int] | None:
    """Places of taker volume and number of trades, where a file has both."""
    words = [_plain(name) for name in table.names]
    found = [next((words.index(name) for name in known if name in words), None) for known in (names.TAKER_VOLUMES, names.TRADE_COUNTS)]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def _plain(levels: tuple[str, ...]) -> str:
    return " ".join(filter(None, (words_of(level) for level in levels)))


def _without(words: str, group: str) -> str:
    """Words of a name without those that say which market it is of."""
    beside = words_of(group).split()
    return " ".join(word for word in words.split() if word not in beside)


def _groups(table: Table) -> dict[str, dict[str, list[int]]]:
    """Prices by the words beside their role: none, a ticker, `mid`, `adj`."""
    groups: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, levels in enumerate(table.names):
        for named in _roles(place, levels):
            groups[named.beside][named.role].append(named.place)
    plain = groups.get("")
    if plain is not None and "close" not in plain:  # some vendors call the close `Price`
        for place, levels in enumerate(table.names):
            if _plain(levels) in ("price", "value"):
                plain["close"].append(place)
    return {name: dict(roles) for name, roles in groups.items()}


def _roles(place: int, levels: tuple[str, ...]) -> list[_Named]:
    """The one role that a header can have; the rest of it is what it is of."""
    joined = _plain(levels)
    if joined in ROLES:
        return [_Named(place, ROLES[joined], "")]
    if len(levels) > 1:
        roles = [(n, ROLES[words_of(level)]) for n, level in enumerate(levels) if words_of(level) in ROLES]
        if len(roles) == 1:
            rest = " ".join(level for n, level in enumerate(levels) if n != roles[0][0] and level)
            return [_Named(place, roles[0][1], rest.strip())]
    words = joined.split()
    found = [n for n, word in enumerate(words) if ROLES.get(word) and (len(word) > 1 or len(words) == 2)]
    if len(found) != 1 or any(word in ("time", "date", "volume", "vol", "interest") for word in words):
        return []
    return [_Named(place, ROLES[words[found[0]]], " ".join(word for n, word in enumerate(words) if n != found[0]))]


def _chosen(groups: dict[str, dict[str, list[int]]], table: Table, market: Market) -> tuple[str, tuple[str, ...]]:
    """The group of prices that is meant: the one without further words, of the symbol, or in its quote currency."""
    whole = [name for name, roles in groups.items() if all(role in roles for role in PRICES)]
    if "" in whole:
        return "", ()
    others = [name for name in whole if not set(name.split()) & set(_DERIVED) and name not in _ADJUSTED]
    quote = parts_of(market.symbol)[1].lower()
    fitting = [name for name in others if name.lower() in ("mid", "price", "trade", quote) or market.fits(name)]
    if len(fitting) == 1:
        return fitting[0], (f"prices of {fitting[0]}" + (f", one of {len(others)} sets in the file" if len(others) > 1 else ""),)
    if others:
        listed = ", ".join(others[:8])
        raise CandleFileInvalid(f"{table.origin.name}: its prices are of {listed}, not of {market.symbol}; name the right --symbol")
    for side in ("bid", "ask"):
        if side in whole and not {"bid", "ask"} - {side} & set(whole):
            return side, (f"{side} prices, not trades",)
    if {"bid", "ask"} <= set(whole):
        raise CandleFileInvalid(
            f"{table.origin.name}: prices of bid and ask, none of trades; save one side, or their middle, as open, high, low, close"
        )
    if adjusted := next((name for name in _ADJUSTED if name in whole), None):
        return adjusted, ("all prices are adjusted ones",)
    best = max(groups.values(), key=len, default={})
    if whole:
        raise CandleFileInvalid(f"{table.origin.name}: its prices are {', '.join(whole[:8])}, none of trades; found are {table.listed()}")
    missing = next(role for role in PRICES if role not in groups.get("", best))
    raise CandleFileInvalid(f"{table.origin.name}: column {missing!r} is missing; found are {table.listed()}")


def _four(roles: dict[str, list[int]], table: Table) -> tuple[int, int, int, int]:
    places = []
    for role in PRICES:
        found = roles[role]
        if len(found) > 1 and any(not table.columns[place].equals(table.columns[found[0]]) for place in found[1:]):
            raise CandleFileInvalid(f"{table.origin.name}: column {role!r} stands twice in the header; give each column a name of its own")
        places.append(found[0])
    return places[0], places[1], places[2], places[3]


def _times(table: Table, group: str) -> tuple[tuple[int, ...], bool]:
    """Places of the times, and whether they are the ends of the bars."""
    by_words: dict[str, int] = {}
    for place, levels in enumerate(table.names):
        words = _without(_plain(levels), group)
        by_words.setdefault(words, place)
        bare = [word for word in words.split() if word not in names.ZONES_OF_TIMES]
        by_words.setdefault(" ".join(bare), place)
        by_words.setdefault(" ".join(word for word in bare if word.upper() not in names.ZONES_IN_NAMES), place)
        if place == 0 and len(levels) > 1:  # the names of the header's own lines stand over the name of the index
            by_words.setdefault(words_of(levels[-1]), place)
    date = next((by_words[name] for name in names.DATES if name in by_words), None)
    clock = next((by_words[name] for name in names.CLOCKS if name in by_words and by_words[name] != date), None)
    opening = next((by_words[name] for name in names.OPENING_TIMES if name in by_words), None)
    if opening is None and date is not None and clock is not None and are_clocks(table.columns[clock]):
        return (date, clock), False
    found = opening if opening is not None else next((by_words[name] for name in names.PLAIN_TIMES if name in by_words), None)
    if found is None:
        found = next((by_words[name] for name in names.NAMELESS if name in by_words), None)
    if found is not None:
        return (found,), False
    closing = next((by_words[name] for name in names.CLOSING_TIMES if name in by_words), None)
    if closing is None:
        raise CandleFileInvalid(f"{table.origin.name}: no column of times; name one of them timestamp, date or time")
    return (closing,), True


def _zone(table: Table, times: tuple[int, ...]) -> str:
    """The zone that a column of its own, or the name of the times, states: `Time (EET)`, `timezone`; several, one after the other."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for place in times:
        words = {word.upper() for word in _plain(table.names[place]).split()} & set(names.ZONES_IN_NAMES)
        if words:
            return words.pop()
    for place, levels in enumerate(table.names):
        if _plain(levels) in (*names.STATED_ZONES, *names.STATED_OFFSETS):
            stated = [str(value) for value in pc.unique(pc.cast(table.columns[place], pa.string())).to_pylist()[:3] if value]
            if _plain(levels) in names.STATED_ZONES or stated not in ([], ["0"], ["0.0"]):
                return ", ".join(stated)
    return ""


def are_clocks(column: pa.Array) -> bool:
    """Whether a column holds times of a day: `15:30`, `3:30 PM`, or `153000`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_time(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        whole = pa.types.is_integer(column.type) or (
            pa.types.is_floating(column.type) and pc.all(pc.equal(column, pc.floor(column))).as_py()
        )
        return bool(whole and pc.all(pc.and_(pc.less(column, 240_000), pc.greater_equal(column, 0))).as_py())
    clock = r"^\s*(\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AaPp]\.?[Mm]\.?)?\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?|\d{1,6})\s*$"
    return bool(pc.all(pc.match_substring_regex(column, clock)).as_py())
