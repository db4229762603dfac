"""Historical candles for a run: from the store, a download, a file or the sample market."""
