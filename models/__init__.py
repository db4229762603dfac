"""From bars to forecasts, and how models live and die."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
