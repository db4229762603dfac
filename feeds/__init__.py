"""Market data: candles from venues, files and the sample market, live and past, and factors with the time they became known."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
