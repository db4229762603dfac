"""Volume in the base asset: which column has it, what is only turnover in the quote asset, and the proof where a file has both.

Turnover divided by volume is a price, and has to lie between low and high; a volume that fails this beside its turnover is not what its
name says.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.files.names import words_of
from forwardtrader.feeds.files.symbol import is_asset, is_money, parts_of, usual
from forwardtrader.feeds.files.tables.table import Table

Floats = np.ndarray[Any, np.dtype[np.float64]]

_PLAIN: Final = (
    "volume", "vol", "v", "volumen", "wolumen", "volumes", "tot volume", "total volume traded", "volumn", "volum", "trade volume",
    "volume traded", "traded volume", "shares", "stuecke", "stucke", "stuck", "volume in shares", "volume base", "base volume",
    "base asset volume", "vol base", "volume from", "volumefrom", "qty", "quantity", "candle acc trade volume",
    "base token volume", "no shares", "home notional", "成交量", "出来高", "объем",
)  # fmt: skip
_SHARES: Final = (
    "stuecke", "stucke", "stuck", "shares", "volume in shares", "base volume", "volume base", "base asset volume", "vol base",
    "volumefrom", "volume from", "base token volume", "no shares", "home notional",
)  # fmt: skip
_TURNOVER: Final = (
    "quote volume", "quotevolume", "quote asset volume", "volume quote", "turnover", "volume currency", "total volume", "vol quote",
    "notional", "volume notional", "turnover usd", "volumeto", "volume to", "value traded", "trade value", "traded value", "money",
    "umsatz", "vol ccy quote", "volccyquote", "quote vol", "dollar volume", "turnover amount", "vol ccy", "volccy",
    "candle acc trade price", "total turnover rs", "foreign notional", "成交额",
)  # fmt: skip
_TICKS: Final = ("tick volume", "tickvol", "tickvolume", "ticks", "tick vol", "tickqty")
_EITHER: Final = ("amount", "value")
_AVERAGES: Final = ("MA", "SMA", "AVG", "EMA", "WMA")
_MARKET_CAP: Final = ("market cap", "marketcap", "market capitalization")
_SIGNS: Final = (("$", "usd"), ("€", "eur"), ("£", "gbp"))
_PROVEN: Final = 0.9
_ROUNDING: Final = 1e-3
_SAFE: Final = 20  # rows that a proof needs, of those with volume
# Nothing that is traded turns over so much in a day: what is called volume is turnover already.
_MOST_TURNOVER: Final = 3e13


@dataclass(frozen=True)
class VolumeColumns:
    """Places of the columns that may be the volume, by what their names say."""

    base: tuple[int, ...]
    plain: tuple[int, ...]
    turnover: tuple[int, ...]
    either: tuple[int, ...]
    ticks: tuple[int, ...]
    in_quote: bool

    @property
    def places(self) -> tuple[int, ...]:
        return (*self.base, *self.plain, *self.turnover, *self.either, *self.ticks)


@dataclass(frozen=True)
class Volume:
    """The volume of each bar in units of the base asset, and notes on how it was found. `values` is None: take the column as it stands."""

    place: int
    values: Floats | None = None
    notes: tuple[str, ...] = ()


def find_volumes(table: Table, symbol: str, group: str = "") -> VolumeColumns:
    """The columns that may be the volume.

    Raises:
        CandleFileInvalid: there is none, or it is of assets that `symbol` has nothing to do with.
    """
    base, quote = parts_of(symbol)
    kinds: dict[str, list[int]] = {"base": [], "plain": [], "turnover": [], "either": [], "ticks": [], "other": []}
    words = [" ".join(filter(None, map(words_of, levels))) for levels in table.names]
    beside = words_of(group)
    for place, name in enumerate(words):
        own = name.replace(f" {beside}", "").replace(f"{beside} ", "") if beside else name
        if kind := _kind(_signed(own, " ".join(table.names[place])), base, quote):
            kinds[kind].append(place)
    base_places, plain, turnover, either, ticks = (tuple(kinds[kind]) for kind in ("base", "plain", "turnover", "either", "ticks"))
    found = VolumeColumns(base_places, plain, turnover, either, ticks, _in_quote(words, table, symbol))
    if not found.places:
        if kinds["other"]:
            raise CandleFileInvalid(
                f"{table.origin.name}: {' and '.join(' '.join(table.names[n]) for n in kinds['other'])} is no volume of {symbol}; "
                "name the right --symbol"
            )
        raise CandleFileInvalid(f"{table.origin.name}: column 'volume' is missing; found are {table.listed()}")
    return found


def _signed(words: str, name: str) -> str:
    """The words of a name without small ones, and with a currency where it has the sign of one."""
    asset = next((asset for sign, asset in _SIGNS if sign in name), "")
    return " ".join([*(word for word in words.split() if word not in ("in", "of", "the")), *([asset] if asset else [])])


def _kind(words: str, base: str, quote: str) -> str:
    if words in _PLAIN:
        return "base" if words in _SHARES else "plain"
    for names, kind in ((_TURNOVER, "turnover"), (_TICKS, "ticks"), (_EITHER, "either")):
        if words in names:
            return kind
    parts = words.split()
    if len(parts) != 2 or not {"volume", "vol"} & set(parts):
        return ""
    asset = usual(next(part for part in parts if part not in ("volume", "vol")).upper()) if parts[0] != parts[1] else ""
    if asset == base:
        return "base"
    if asset == quote or (is_money(asset) and (not quote or (asset == "USD" and "USD" in quote))):
        return "turnover"
    if not quote and is_asset(asset):
        return "base"
    return "other" if is_asset(asset) or (asset.isalpha() and len(asset) in (3, 4) and bool(quote) and asset not in _AVERAGES) else ""


def _in_quote(words: list[str], table: Table, symbol: str) -> bool:
    """Vendors that list a market's worth give its volume in money; so did FTX, and so does Yahoo for coins."""
    adjusted = any(name in ("adj close", "adjclose", "dividends", "stock splits", "capital gains") for name in words)
    yahoo = adjusted or any(len(levels) > 1 and levels[0] == "Price" for levels in table.names[:1])
    ftx = {"start time", "time", "volume"} <= set(words)
    return ftx or any(name in _MARKET_CAP for name in words) or ("/" in symbol and yahoo)


def base_volume(
    found: VolumeColumns, numbers: dict[int, Floats], prices: tuple[Floats, Floats, Floats, Floats], seconds: int, table: Table
) -> Volume:
    """The volume in the base asset.

    Args:
        numbers: the values of each of `found.places`.
        prices: open, high, low and close.
        seconds: length of a bar.

    Raises:
        CandleFileInvalid: what the file has may be shares or money.
    """
    name = {place: " ".join(part for part in table.names[place] if part) for place in found.places}
    if not found.base and not found.plain and not found.ticks and not found.turnover:
        raise CandleFileInvalid(f"{table.origin.name}: {name[found.either[0]]!r} may be shares or money; call it volume or quote_volume")
    if found.in_quote and not found.base:
        place = (*found.plain, *found.turnover)[0]
        return Volume(place, _converted(numbers[place], prices), (_told(name[place]),))
    shares = (*found.base, *found.plain)
    if len(shares) > 1 and not all(np.array_equal(numbers[place], numbers[shares[0]], equal_nan=True) for place in shares):
        proven = [
            place
            for place in shares
            for money in (*shares, *found.turnover)
            if money != place and _prove(numbers[place], numbers[money], prices)
        ]
        if found.base and (not proven or proven[0] == found.base[0]):
            return Volume(found.base[0], None, (f"volume is {name[found.base[0]]!r}",))
        if len(dict.fromkeys(proven)) != 1:
            if len(found.plain) > 1:
                raise CandleFileInvalid(
                    f"{table.origin.name}: column 'volume' stands twice in the header; give each column a name of its own"
                )
            return Volume(found.base[0], None, (f"volume is {name[found.base[0]]!r}",))
        return Volume(proven[0], None, (f"volume is {name[proven[0]]!r}: it agrees with prices and turnover",))
    if shares:
        return _shares(shares[0], found, numbers, prices, seconds, name)
    if found.ticks and not found.turnover:
        return Volume(found.ticks[0], None, ("volume counts ticks",))
    place = found.turnover[0]
    if found.either and _prove(numbers[found.either[0]], numbers[place], prices):
        return Volume(found.either[0], None, (f"volume is {name[found.either[0]]!r}: it agrees with prices and turnover",))
    return Volume(place, _converted(numbers[place], prices), (_told(name[place]),))


def _shares(
    place: int, found: VolumeColumns, numbers: dict[int, Floats], prices: tuple[Floats, ...], seconds: int, name: dict[int, str]
) -> Volume:
    volume = numbers[place]
    if found.ticks and not np.nan_to_num(volume).any():
        return Volume(found.ticks[0], None, ("volume counts ticks: the volume itself is zero throughout",))
    for other in (*found.turnover, *found.either):
        if _prove(volume, numbers[other], prices):
            return Volume(place)
        if _prove(numbers[other], volume, prices):
            return Volume(other, None, (f"{name[place]!r} is turnover, {name[other]!r} the volume: prices say so",))
    money = (*found.turnover, *found.either)
    for own, other in itertools.permutations(money, 2):
        if _prove(numbers[own], numbers[other], prices):
            told = f"{name[own]!r} is the volume: it agrees with prices and {name[other]!r}, which {name[place]!r} does not"
            return Volume(own, None, (told,))
    if money and _counts(volume, numbers[money[0]]):
        both = f"{name[place]!r} and {name[money[0]]!r}"
        told = f"{both} do not agree with the prices; volume is taken as it stands, perhaps in contracts or lots"
        return Volume(place, None, (told,))
    known = (volume * prices[3])[np.isfinite(volume * prices[3])]
    typical = float(np.median(known)) if len(known) else 0.0
    if typical * 86_400 / min(seconds, 86_400) > _MOST_TURNOVER:
        return Volume(place, None, (f"{name[place]!r} times price is more money than any market turns over; it may be in money already",))
    return Volume(place)


def _told(column: str) -> str:
    return f"{column!r} is money: volume is that divided by the typical price (high + low + close) / 3"


def _converted(money: Floats, prices: tuple[Floats, Floats, Floats, Floats]) -> Floats:
    _, high, low, close = prices
    return money / ((high + low + close) / 3.0)


def _counts(volume: Floats, money: Floats) -> bool:
    return int(((volume > 0) & (money > 0)).sum()) >= _SAFE


def _prove(volume: Floats, money: Floats, prices: tuple[Floats, ...]) -> bool:
    """Whether `money / volume` is a price between low and high, as far as both are rounded."""
    traded = (volume > 0) & (money > 0)
    if not traded.any():
        return False
    price = money[traded] / volume[traded]
    high, low = prices[1][traded], prices[2][traded]
    return bool(np.mean((price >= low * (1 - _ROUNDING)) & (price <= high * (1 + _ROUNDING))) >= _PROVEN)
