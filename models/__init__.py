"""Models: features, forecasters, walk-forward training, registry, online learning and serving."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
