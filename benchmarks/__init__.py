"""How fast, side by side with what a user would pick instead."""

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line
