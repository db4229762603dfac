"""What is known about the market, and since when it was known."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
