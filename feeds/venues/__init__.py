"""Exchanges as sources of candles and market rules: the port, its ccxt implementation, retries."""
