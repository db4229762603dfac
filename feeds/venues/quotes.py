"""Symbols of one market in another quote currency."""

from __future__ import annotations


def at_quote(symbol: str, quote: str) -> str:
    """`BTC/USDT` as `BTC/USD` for the quote USD; of a perpetual the settlement goes along. An empty quote changes nothing."""
    if not quote:
        return symbol
    pair, _, settle = symbol.partition(":")
    base = pair.partition("/")[0]
    return f"{base}/{quote}:{quote}" if settle else f"{base}/{quote}"
