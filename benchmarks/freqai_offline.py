"""Runs freqtrade where no venue can be reached: its market list is put in place by hand. For freqtrade's own interpreter.

FREQTRADE_PYTHON benchmarks/freqai_offline.py SYMBOL... -- FREQTRADE_WORDS...
"""

from __future__ import annotations

import sys
from typing import Any


def market(symbol: str) -> dict[str, Any]:
    """What ccxt says of a spot pair of Binance, as far as a backtest asks."""
    base, quote = symbol.split("/")
    limits = {"amount": {"min": 1e-5, "max": 9000.0}, "price": {"min": 0.01, "max": 1e6}, "cost": {"min": 5.0, "max": 9e6}}
    kinds = dict.fromkeys(("margin", "swap", "future", "option", "contract", "linear", "inverse"), False)
    return {
        "id": base + quote, "lowercaseId": (base + quote).lower(), "symbol": symbol, "base": base, "quote": quote, "baseId": base,
        "quoteId": quote, "settle": None, "type": "spot", "spot": True, "active": True, "taker": 0.001, "maker": 0.001,
        "precision": {"amount": 1e-5, "price": 0.01, "base": 1e-8, "quote": 1e-8}, "limits": limits, "info": {}, **kinds,
    }  # fmt: skip


def main() -> None:
    """Put the markets in place, then be freqtrade."""
    import ccxt
    import ccxt.async_support
    import ccxt.pro

    cut = sys.argv.index("--")
    markets = {symbol: market(symbol) for symbol in sys.argv[1:cut]}

    def at_once(venue: Any, *_: Any, **__: Any) -> Any:
        return venue.set_markets(markets)

    async def later(venue: Any, *_: Any, **__: Any) -> Any:
        return venue.set_markets(markets)

    ccxt.binance.load_markets = at_once
    ccxt.async_support.binance.load_markets = later
    ccxt.pro.binance.load_markets = later

    from freqtrade.main import main as freqtrade  # type: ignore[import-not-found]  # lives in another environment

    freqtrade(sys.argv[cut + 1 :])


if __name__ == "__main__":
    main()
