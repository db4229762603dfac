"""One historical run from candles to pages: the composition of the rooms."""
