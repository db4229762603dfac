"""The Backtrader side of a venue: store, data feed and broker."""
