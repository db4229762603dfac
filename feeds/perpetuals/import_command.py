"""`forwardtrader import FILE`: candles, marks or funding from a file, validated and put into the store."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from forwardtrader.core.command.cli import run
from forwardtrader.core.command.project import typed_path
from forwardtrader.core.config import load_settings
from forwardtrader.core.errors import InvalidSetting
from forwardtrader.feeds.files.import_file import import_candles
from forwardtrader.feeds.flags import import_parser
from forwardtrader.feeds.perpetuals.funding_file import read_funding
from forwardtrader.feeds.perpetuals.funding_store import FundingStore
from forwardtrader.feeds.venues.contracts import refuse_unusual, settle_currency

if TYPE_CHECKING:
    import argparse


def main(argv: Sequence[str] | None = None) -> int:
    """`forwardtrader import`: one file into the store, and one line that says what came of it."""
    return run(import_parser(), argv, import_any)


def import_any(given: argparse.Namespace) -> int:
    """As `main`, once the flags are read.

    Raises:
        InvalidSetting: marks or funding of what is no perpetual.
        CandleFileInvalid: a file that cannot be used, or one that differs from what is stored.
    """
    settings = load_settings().feeds
    symbol = given.symbol or settings.symbols[0]
    refuse_unusual(symbol)
    if given.kind == "candles":
        return import_candles(given)
    if not settle_currency(symbol):
        base, _, quote = symbol.partition("/")
        raise InvalidSetting(f"{symbol} is no perpetual and has no {given.kind}; write --symbol {base}/{quote or 'USDT'}:{quote or 'USDT'}")
    if given.kind == "mark":
        return import_candles(given)
    venue, store = given.exchange or settings.exchange, FundingStore(typed_path(given.path) if given.path else settings.store_path)
    rates = read_funding(typed_path(given.file), settings.max_file_mb)
    added = store.append(venue, symbol, rates)
    kept = store.read(venue, symbol)
    span = f"{kept.index[0]:%Y-%m-%d %H:%M} .. {kept.index[-1]:%Y-%m-%d %H:%M}"
    sys.stdout.write(f"{venue} {symbol} funding: {len(kept)} settlements, {span}; {added} new\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
