"""Which symbols are traded here, spot and linear perpetuals, and which of them one account can hold together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forwardtrader.core.errors import UnknownSymbol


def settle_currency(symbol: str) -> str:
    """The currency that a contract such as `BTC/USDT:USDT` is settled in; "" for spot and for shares."""
    return symbol.partition(":")[2].split("-")[0]


def refuse_unusual(symbol: str) -> None:
    """Refuse a contract whose profits are no plain sum of price changes in its quote currency, or that ends: it would be booked wrongly.

    Raises:
        UnknownSymbol: an inverse, a dated, an option or a quanto contract.
    """
    pair, _, contract = symbol.partition(":")
    base, _, quote = pair.partition("/")
    settle, _, dated = contract.partition("-")
    if not contract:
        return
    linear = f"take the linear perpetual {base}/{quote}:{quote}"
    if settle == base and base != quote:
        raise UnknownSymbol(
            f"{symbol} is an inverse contract, settled in {base}, which is not traded here; take a linear one such as {base}/USDT:USDT"
        )
    if settle != quote:
        raise UnknownSymbol(f"{symbol} is a quanto contract, quoted in {quote} and settled in {settle}, which is not traded here; {linear}")
    if dated:
        kind = "an option" if re.search(r"-[CP]$", dated) else "a dated future"
        raise UnknownSymbol(f"{symbol} is {kind}, which is not traded here: it ends at its expiry; {linear}")


def require_one_account(symbols: Sequence[str]) -> None:
    """Raise `UnknownSymbol` unless one account can trade all of `symbols`: spot and perpetuals are not mixed, nor settle currencies."""
    perpetuals = [symbol for symbol in symbols if settle_currency(symbol)]
    spot = [symbol for symbol in symbols if not settle_currency(symbol)]
    if perpetuals and spot:
        raise UnknownSymbol(
            f"{spot[0]} is spot and {perpetuals[0]} is a perpetual, and one account trades either; take symbols of one kind"
        )
    other = next((each for each in perpetuals if settle_currency(each) != settle_currency(perpetuals[0])), None)
    if other is not None:
        raise UnknownSymbol(
            f"{perpetuals[0]} is settled in {settle_currency(perpetuals[0])} and {other} in {settle_currency(other)}; one account has one "
            f"settle currency, so take symbols that share it"
        )
