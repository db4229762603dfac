"""The practice exchange's protocol of Binance USD-M: linear perpetuals under `/fapi/`, and their sockets."""
