"""What a perpetual has beside its candles: funding rates and mark prices, from files, the store and venues."""
