"""One historical run from candles to pages: the composition of the rooms."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
