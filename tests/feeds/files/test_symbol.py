"""A file that is named after its market is traded by that market's rules."""

from __future__ import annotations

import pytest

from forwardtrader.feeds.files.symbol import symbol_of_file


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("binance_spot_BTCUSDT_1h.csv.gz", "BTC/USDT"),
        ("BTCUSDT-1m-2024-01.csv", "BTC/USDT"),
        ("BTC_USDT-1h.feather", "BTC/USDT"),
        ("btc-usdt.csv", "BTC/USDT"),
        ("kraken_spot_BTCUSD_1h.csv.gz", "BTC/USD"),
        ("1000PEPEUSDT_5m.csv", "1000PEPE/USDT"),
        ("BTCFDUSD.csv", "BTC/FDUSD"),
        ("ETHBTC.parquet", "ETH/BTC"),
        ("equity_AAPL_1d.csv.gz", "equity_AAPL_1d"),
        ("candles.csv", "candles"),
        ("USDT.csv", "USDT"),
    ],
)
def test_the_pair_in_a_file_name_is_its_symbol(name: str, symbol: str) -> None:
    assert symbol_of_file(name) == symbol
