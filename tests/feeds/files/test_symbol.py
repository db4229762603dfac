"""A file that is named after its market is traded by that market's rules."""

from __future__ import annotations

import pytest

from forwardtrader.feeds.files.symbol import Market, same_market, symbol_of_file


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
        ("XBTUSD.csv", "XBT/USD"),
        ("XRPTUSD.csv", "XRP/TUSD"),
        ("data_eth.csv", "data_eth"),
        ("my_btc.csv", "my_btc"),
        ("btc_eth.csv", "btc_eth"),
        ("export_usd.csv", "export_usd"),
        ("BTCUSDT_ETHUSDT.csv", "BTCUSDT_ETHUSDT"),
        ("DAT_ASCII_EURUSD_M1_2020.csv", "EUR/USD"),
        ("USDJPY60.csv", "USD/JPY"),
        ("BINANCE_BTCUSDT, 60.csv", "BTC/USDT"),
        ("btcusdt.csv", "BTC/USDT"),
    ],
)
def test_the_pair_in_a_file_name_is_its_symbol(name: str, symbol: str) -> None:
    assert symbol_of_file(name) == symbol


@pytest.mark.parametrize(
    "name", ["BTCUSD", "XBT/USD", "BTC-USD", "tBTCUSD", "X:BTCUSD", "COINBASE:BTCUSD", "btc_usd", "BTC", "XBTUSD", "BTC/USD:USD"]
)
def test_a_market_is_known_in_the_notation_of_any_venue(name: str) -> None:
    assert same_market(name, "BTC/USD")


@pytest.mark.parametrize("name", ["ETHUSD", "BTCUSDT", "ETH", "BTC-EUR", "WBTC"])
def test_another_market_is_not_taken_for_it(name: str) -> None:
    assert not same_market(name, "BTC/USD")


def test_a_file_whose_market_nobody_named_may_be_of_any() -> None:
    assert Market.of("prices", "prices.csv").fits("IBM")
    assert not Market.of("MSFT", "prices.csv").fits("IBM")
    assert Market.of("IBM", "prices.csv").fits("IBM.US")
