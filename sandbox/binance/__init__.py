"""The practice exchange's Binance protocol."""
