"""Contracts that cannot be booked rightly are refused, and so are accounts that no venue has."""

from __future__ import annotations

import pytest

from forwardtrader.core.errors import UnknownSymbol
from forwardtrader.feeds.venues.contracts import refuse_unusual, require_one_account, settle_currency
from forwardtrader.feeds.venues.market_rules import market_rules


@pytest.mark.parametrize(("symbol", "what"), [
    ("BTC/USD:BTC", "an inverse contract, settled in BTC, .*take a linear one such as BTC/USDT:USDT"),
    ("ETH/USD:ETH-250328", "an inverse contract"),
    ("BTC/USDT:USDT-250328", "a dated future, .*take the linear perpetual BTC/USDT:USDT"),
    ("BTC/USDT:USDT-250328-60000-C", "an option, "),
    ("ETH/USD:BTC", "a quanto contract, quoted in USD and settled in BTC, "),
    ("BTC/USDT:USDC", "a quanto contract, quoted in USDT and settled in USDC, .*take the linear perpetual BTC/USDT:USDT"),
])  # fmt: skip
def test_a_contract_that_is_no_linear_perpetual_is_refused_by_its_kind(symbol: str, what: str) -> None:
    with pytest.raises(UnknownSymbol, match=f"^{symbol} is {what}"):
        market_rules(symbol, "binance")


@pytest.mark.parametrize("symbol", ["BTC/USDT:USDT", "BTC/USDC:USDC", "BTC/USD:USD", "BTC/USDT", "SPY"])
def test_linear_perpetuals_spot_and_shares_are_taken(symbol: str) -> None:
    refuse_unusual(symbol)
    assert market_rules(symbol, "binance").settle == settle_currency(symbol)


@pytest.mark.parametrize(("symbols", "what"), [
    (["BTC/USDT", "ETH/USDT:USDT"], "BTC/USDT is spot and ETH/USDT:USDT is a perpetual"),
    (["BTC/USDT:USDT", "ETH/USDC:USDC"], "BTC/USDT:USDT is settled in USDT and ETH/USDC:USDC in USDC"),
])  # fmt: skip
def test_an_account_holds_one_kind_of_market_in_one_currency(symbols: list[str], what: str) -> None:
    with pytest.raises(UnknownSymbol, match=what):
        require_one_account(symbols)


@pytest.mark.parametrize("symbols", [["BTC/USDT", "ETH/BTC"], ["BTC/USDT:USDT", "ETH/USDT:USDT"], ["SPY"], []])
def test_markets_of_one_kind_go_together(symbols: list[str]) -> None:
    require_one_account(symbols)
