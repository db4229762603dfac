"""The symbol in the name of a candle file."""

from __future__ import annotations

import itertools
import re
from typing import Final

# Longer ones first, so that BTCFDUSD is not taken for BTCFD in dollars.
_QUOTES: Final = ("FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "BTC", "ETH")
_JOINED: Final = re.compile(rf"([A-Z0-9]{{2,10}}?)({'|'.join(_QUOTES)})")
_BASE: Final = re.compile(r"[A-Za-z0-9]{2,10}")


def symbol_of_file(name: str) -> str:
    """`BTC/USDT` for `binance_spot_BTCUSDT_1h.csv.gz`, `BTC_USDT-1h.feather` or `btc-usdt.csv`; the bare name where no pair is found.

    Args:
        name: of the file, without its folder.
    """
    bare = name.split(".")[0]
    parts = re.split(r"[_\-\s]+", bare)
    for base, quote in itertools.pairwise(parts):
        if quote.upper() in _QUOTES and _BASE.fullmatch(base):
            return f"{base.upper()}/{quote.upper()}"
    for part in parts:
        if pair := _JOINED.fullmatch(part):
            return f"{pair[1]}/{pair[2]}"
    return bare
