"""Live candles: closed bars of one venue, confirmed by others."""
