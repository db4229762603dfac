"""The market that a file is of, as the file itself says, checked against the one that was asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.files.names import PERHAPS_SYMBOLS, SYMBOLS, words_of
from forwardtrader.feeds.files.symbol import Market, pairs_of_name
from forwardtrader.feeds.files.tables.archive import Member
from forwardtrader.feeds.files.tables.table import Table

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_MARKETS: Final = 100_000
_BESIDE: Final = ("symbol", "ticker", "pair", "instrument", "instrument name", "product id")
_LETTERS: Final = re.compile(r"[A-Za-z0-9.:/_^=-]{1,24}")
_TICKER: Final = re.compile(r"[A-Z][A-Z0-9.]{0,5}|[A-Z0-9]{2,10}[-/_][A-Z0-9]{2,6}|[A-Z0-9]{2,8}(USDT|USDC|USD|BTC|EUR)")


def checked_market(table: Table, market: Market) -> Table:
    """The rows of a market in a table that names its markets.

    Raises:
        CandleFileInvalid: it is of other markets; the message names them.
    """
    words = [" ".join(map(words_of, levels)).strip() for levels in table.names]
    place = next((n for n, name in enumerate(words) if name in SYMBOLS), None)
    sure = place is not None
    place = next((n for n, name in enumerate(words) if name in PERHAPS_SYMBOLS), None) if place is None else place
    if place is None:
        _check_beside(table, market)
        return table
    import pyarrow.compute as pc

    encoded = _encoded(table.columns[place])
    if encoded is None or not (sure or all(_TICKER.fullmatch(str(name)) for name in encoded.dictionary.to_pylist())):
        return table
    markets = [str(name) for name in encoded.dictionary.to_pylist()]
    fitting = [name for name in markets if market.fits(name)]
    if len(markets) == 1 and fitting:
        return table
    if len(fitting) != 1:
        listed = ", ".join(markets[:5]) + (", ..." if len(markets) > 5 else "")
        raise CandleFileInvalid(
            f"{table.origin.name}: the file is of {listed} by its column {table.names[place][-1]!r}, not of {market.symbol} alone; "
            "name the right --symbol"
        )
    chosen = pc.fill_null(pc.equal(encoded.indices, markets.index(fitting[0])), False)
    rows = np.asarray(chosen.to_numpy(zero_copy_only=False))
    return table.taken(rows).noted(f"rows of {fitting[0]} are read, of {len(markets)} markets in the file")


def _check_beside(table: Table, market: Market) -> None:
    """Raises CandleFileInvalid where an answer says beside its rows that they are of another market."""
    for key, text in table.beside.items():
        if words_of(key) in _BESIDE and _LETTERS.fullmatch(text) and not market.fits(text):
            raise CandleFileInvalid(
                f"{table.origin.name}: the file is of {text} by its {key!r}, not of {market.symbol}; name the right --symbol"
            )


def _encoded(column: pa.Array) -> pa.Array | None:
    """A column of names by their number; None where it is no column of names."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return None
    encoded = pc.dictionary_encode(pc.utf8_trim_whitespace(column))
    return encoded if 0 < len(encoded.dictionary) <= _MOST_MARKETS else None


def of_market(members: Sequence[Member], path: Path, market: Market) -> Sequence[Member]:
    """The files of an archive that are of a market, as far as their names say what they are of.

    Raises:
        CandleFileInvalid: they are of several markets, none of them that one.
    """
    pairs = {member.name: pairs_of_name(PurePosixPath(member.name).name) for member in members}
    markets = list(dict.fromkeys(found[0] for found in pairs.values() if len(found) == 1))
    if len(markets) < 2:
        return members
    fitting = [name for name in markets if market.fits(name)]
    if len(fitting) != 1:
        named = ", ".join(markets[:5])
        raise CandleFileInvalid(
            f"{path}: the archive holds {named}, not {market.symbol} alone; name one of them with --symbol, or unpack it"
        )
    return [member for member in members if pairs[member.name][:1] == fitting]
