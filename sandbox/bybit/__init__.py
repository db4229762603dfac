"""The practice exchange's Bybit protocol."""
